/** People: for admins. */
import { AppError, notFound } from '../errors.js';
import type { Page, PageRequest } from '../store/page.js';
import { tellRightsChanged } from '../store/rights.js';
import {
  createUser as insertUser,
  listUsers as listRows,
  updateUser as updateRow,
  type NewUser,
  type UserChange,
  type UserRecord,
} from '../store/users.js';
import { audit } from './actor.js';
import { authorize } from './authorize.js';
import type { OperationDeps } from './deps.js';
import type { Principal } from './principal.js';
import type { Role } from './role-matrix.js';

export type WireUser = Omit<UserRecord, 'role' | 'groups'> & { readonly role: Role; readonly groups: string[] };
export const toWireUser = (user: UserRecord): WireUser => ({ ...user, role: user.role as Role, groups: [...user.groups] });

/** Adds a person, with the lasting session of their agent. @throws AppError forbidden, email_taken */
export async function createUser(
  deps: OperationDeps,
  principal: Principal,
  params: NewUser & { readonly role: Role },
): Promise<{ readonly user: WireUser }> {
  authorize(principal, 'admin');
  const user = await insertUser(deps.db, params);
  await audit(deps, principal, {
    ownerId: user.id,
    action: 'user.created',
    targetType: 'user',
    targetId: user.id,
    details: { role: user.role },
  });
  return { user: toWireUser(user) };
}

/** Changes what is given. @throws AppError forbidden (also to lock oneself out), not_found */
export async function updateUser(
  deps: OperationDeps,
  principal: Principal,
  { id, ...change }: UserChange & { readonly id: string },
): Promise<{ readonly user: WireUser }> {
  authorize(principal, 'admin');
  const locksOut = id === principal.userId && (change.disabled === true || (change.role !== undefined && change.role !== 'admin'));
  if (locksOut) throw new AppError('forbidden', 'Nobody takes their own admin role or access away', {});
  const user = await updateRow(deps.db, id, change);
  if (user === undefined) throw notFound('user', id);
  await tellRightsChanged(deps.db);
  await audit(deps, principal, {
    ownerId: id,
    action: 'user.updated',
    targetType: 'user',
    targetId: id,
    details: { ...change, groups: change.groups === undefined ? null : [...change.groups] },
  });
  return { user: toWireUser(user) };
}

/** Everybody, newest first. @throws AppError forbidden */
export async function listUsers(deps: OperationDeps, principal: Principal, page: PageRequest): Promise<Page<WireUser>> {
  authorize(principal, 'admin');
  const users = await listRows(deps.db, page);
  return { ...users, items: users.items.map(toWireUser) };
}
