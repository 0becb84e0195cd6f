/** API keys: shown once, kept as a hash. Nobody makes a key that may do more than they. */
import { AppError, notFound } from '../errors.js';
import { createKey as insertKey, deleteKey, listKeys as listRows, type KeyRecord } from '../store/keys.js';
import type { Page, PageRequest } from '../store/page.js';
import { tellRightsChanged } from '../store/rights.js';
import { getUser } from '../store/users.js';
import { audit } from './actor.js';
import { authorize } from './authorize.js';
import type { OperationDeps } from './deps.js';
import { pageOf } from './page-of.js';
import type { Principal } from './principal.js';
import { covers, isAllowed, type Action, type Role } from './role-matrix.js';

export interface CreateKeyParams {
  readonly name: string;
  readonly role: Role;
  readonly kind: 'person' | 'agent';
  /** Another person's: for admins. */
  readonly userId?: string;
  readonly scopes?: readonly Action[];
  /** ISO instant. */
  readonly expiresAt?: string | null;
}

export type WireKey = Omit<KeyRecord, 'role' | 'scopes'> & { readonly role: Role; readonly scopes: Action[] | null };
export const toWireKey = (key: KeyRecord): WireKey => ({
  ...key,
  role: key.role as Role,
  scopes: key.scopes === null ? null : ([...key.scopes] as Action[]),
});

/**
 * Makes a key and tells its secret, this once. Its role is within its user's, and within the caller's; an agent's key, and a narrowed
 * one, make none that is wider. @throws AppError forbidden, not_found (the user), validation_failed (already expired)
 */
export async function createKey(
  deps: OperationDeps,
  principal: Principal,
  params: CreateKeyParams,
): Promise<{ readonly key: WireKey; readonly secret: string }> {
  authorize(principal, 'read');
  refuseExpired(params.expiresAt);
  const userId = params.userId ?? principal.userId;
  if (userId !== principal.userId) authorize(principal, 'admin');
  const user = await getUser(deps.db, userId);
  if (user === undefined || user.disabled) throw notFound('user', userId);
  refuseWider(principal, user.role as Role, params);
  const { name, role, kind, scopes, expiresAt } = params;
  const made = await insertKey(deps.db, { userId, name, role, kind, scopes: scopes ?? principal.scopes, expiresAt: expiresAt ?? null });
  await audit(deps, principal, {
    ownerId: userId,
    action: 'key.created',
    targetType: 'key',
    targetId: made.key.id,
    details: { name, role, kind },
  });
  return { key: toWireKey(made.key), secret: made.secret };
}

/** A key that opens nothing would be found out only when it is used. */
function refuseExpired(expiresAt: string | null | undefined): void {
  if (typeof expiresAt !== 'string' || Date.parse(expiresAt) > Date.now()) return;
  const problem = { code: 'invalid_field', severity: 'error', path: '/expiresAt', message: `${expiresAt} is in the past` } as const;
  throw new AppError('validation_failed', `${problem.path}: ${problem.message}`, { problems: [problem] });
}

function refuseWider(principal: Principal, userRole: Role, { role, kind, scopes }: CreateKeyParams): void {
  const refuse = (why: string) => new AppError('forbidden', why, {});
  if (principal.kind === 'agent' && kind === 'person') throw refuse('An agent’s key makes no key of a person');
  if (!covers(principal.role, role)) throw refuse(`A key of role ${principal.role} makes none of role ${role}`);
  if (!covers(userRole, role)) throw refuse(`The user’s role is ${userRole}: their keys cannot have ${role}`);
  const beyond = (scopes ?? []).filter((scope) => principal.scopes !== null && !principal.scopes.includes(scope));
  if (beyond.length > 0) throw refuse(`This key is narrowed and cannot give ${beyond.join(', ')}`);
}

/** One's own; an admin sees everybody's. Newest first. */
export async function listKeys(deps: OperationDeps, principal: Principal, page: PageRequest): Promise<Page<WireKey>> {
  authorize(principal, 'read');
  const keys = await listRows(deps.db, isAllowed(principal, 'admin') ? null : principal.userId);
  return pageOf(keys.map(toWireKey), page);
}

/** One's own; an admin anybody's. It opens nothing from then on. @throws AppError not_found */
export async function revokeKey(deps: OperationDeps, principal: Principal, { id }: { readonly id: string }): Promise<void> {
  authorize(principal, 'read');
  const isThere = await deleteKey(deps.db, isAllowed(principal, 'admin') ? null : principal.userId, id);
  if (!isThere) throw notFound('key', id);
  await tellRightsChanged(deps.db);
  await audit(deps, principal, { action: 'key.revoked', targetType: 'key', targetId: id });
}
