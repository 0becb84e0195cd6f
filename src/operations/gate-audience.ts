/** Who may know of a gate and who may decide it (api.md, Approvals). Pure. */

export interface Person {
  readonly userId: string;
  readonly email: string;
  readonly groups: readonly string[];
}
export interface GateAudience {
  /** User ids, e-mails, `group:<name>`; null: the owner's team. An empty list names nobody. */
  readonly approvers: readonly string[] | null;
  /** Whom an escalation added. */
  readonly escalatedTo: readonly string[];
  readonly owner: { readonly userId: string; readonly groups: readonly string[] };
}

/** Whether the gate lets this person decide. A team is all who share a group with the owner, and the owner. Pure. */
export function mayDecide(gate: GateAudience, person: Person): boolean {
  if (gate.approvers === null && isOnTeam(gate.owner, person)) return true;
  return [...(gate.approvers ?? []), ...gate.escalatedTo].some((entry) => names(entry, person));
}

/** Whether this person may know of the gate: its owner, who may decide it, and admins; others get 404. Pure. */
export const maySee = (gate: GateAudience, person: Person & { readonly role: string }): boolean =>
  person.userId === gate.owner.userId || person.role === 'admin' || mayDecide(gate, person);

function isOnTeam(owner: GateAudience['owner'], person: Person): boolean {
  return person.userId === owner.userId || person.groups.some((group) => owner.groups.includes(group));
}

function names(entry: string, person: Person): boolean {
  if (entry.startsWith('group:')) return person.groups.includes(entry.slice('group:'.length));
  return entry === person.userId || entry.toLowerCase() === person.email.toLowerCase();
}
