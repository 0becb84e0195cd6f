/** The caller, and what everybody did. */
import { notFound } from '../errors.js';
import { listAudit as listRows, type AuditRecord } from '../store/audit.js';
import { getKeyHolder } from '../store/keys.js';
import type { Page, PageRequest } from '../store/page.js';
import { getUser } from '../store/users.js';
import { authorize } from './authorize.js';
import type { OperationDeps } from './deps.js';
import { toWireKey, type WireKey } from './keys.js';
import type { Principal } from './principal.js';
import { toWireUser, type WireUser } from './users.js';

/** Who the caller is; `key`: the one that was shown, or that the browser logged in with. @throws AppError not_found */
export async function getMe(deps: OperationDeps, principal: Principal): Promise<{ readonly user: WireUser; readonly key: WireKey | null }> {
  authorize(principal, 'read');
  const holder = principal.keyId === null ? undefined : await getKeyHolder(deps.db, principal.keyId);
  const user = holder?.user ?? (await getUser(deps.db, principal.userId));
  if (user === undefined) throw notFound('user', principal.userId);
  return { user: toWireUser(user), key: holder === undefined ? null : toWireKey(holder.key) };
}

/** Newest first. @throws AppError forbidden */
export function listAudit(deps: OperationDeps, principal: Principal, page: PageRequest): Promise<Page<AuditRecord>> {
  authorize(principal, 'admin');
  return listRows(deps.db, page);
}
