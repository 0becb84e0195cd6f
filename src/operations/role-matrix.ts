/**
 * Which role may do what (design §9). Pure: the doors ask before they translate, the operations ask again before they act,
 * so that a door that forgets opens nothing.
 */
export const ROLES = ['viewer', 'approver', 'runner', 'editor', 'admin'] as const;
export type Role = (typeof ROLES)[number];

/**
 * `read` one's own rows · `run` start, stop, rerun, send events, chat · `write` workflows, triggers, personas, secrets ·
 * `decide` approvals, where the gate lets them · `admin` people, other people's keys, the audit log.
 */
export const ACTIONS = ['read', 'run', 'write', 'decide', 'admin'] as const;
export type Action = (typeof ACTIONS)[number];

const MAY: Readonly<Record<Role, readonly Action[]>> = {
  viewer: ['read'],
  approver: ['read', 'decide'],
  runner: ['read', 'run', 'decide'],
  editor: ['read', 'run', 'write', 'decide'],
  admin: ['read', 'run', 'write', 'decide', 'admin'],
};

export interface Capable {
  readonly role: Role;
  readonly kind: 'person' | 'agent';
  /** What the key is narrowed to; null: everything that its role may do. */
  readonly scopes: readonly Action[] | null;
}

/** Why somebody may not do this, or undefined when they may. An agent never decides, and is told so before anything else. Pure. */
export function denialOf(who: Capable, action: Action): 'agent_cannot_decide' | 'forbidden' | undefined {
  if (action === 'decide' && who.kind === 'agent') return 'agent_cannot_decide';
  if (who.scopes !== null && !who.scopes.includes(action)) return 'forbidden';
  return MAY[who.role].includes(action) ? undefined : 'forbidden';
}

/** Whether they may. Pure. */
export const isAllowed = (who: Capable, action: Action): boolean => denialOf(who, action) === undefined;

/** Whether a role includes all that another may do: nobody hands out more than they have. Pure. */
export const covers = (role: Role, other: Role): boolean => MAY[other].every((action) => MAY[role].includes(action));
