/** Browsers that log in with a key and stay logged in by a cookie. A login carries the key's rights and ends with it. */
import { timingSafeEqual } from 'node:crypto';
import { AppError } from '../errors.js';
import type { Database } from '../store/database.js';
import { createLogin, csrfTokenOf, deleteLogin, findLoginHolder, hashLogin } from '../store/logins.js';
import { tellRightsChanged } from '../store/rights.js';
import { audit } from './actor.js';
import { noteUse, principalOf, type KnownKey } from './authenticate-key.js';
import { authorize } from './authorize.js';
import type { OperationDeps } from './deps.js';
import type { Principal } from './principal.js';

/** What a browser shows instead of a key. */
export interface BrowserLogin {
  /** The cookie's SHA-256, hex: what it is known by. */
  readonly hash: string;
  /** Writes of this login have to bear it. */
  readonly csrfToken: string;
}

export const toBrowserLogin = (secret: string): BrowserLogin => ({ hash: hashLogin(secret), csrfToken: csrfTokenOf(secret) });

/** Whether this is the login's token, in a time that does not tell how much of it is right. */
export function isCsrfTokenOf({ csrfToken }: BrowserLogin, given: string): boolean {
  const [a, b] = [Buffer.from(csrfToken), Buffer.from(given)];
  return a.length === b.length && timingSafeEqual(a, b);
}

/** Logs a browser in as the holder of a key. `secret` is the cookie's value. @throws AppError unauthenticated, forbidden */
export async function logIn(
  deps: OperationDeps,
  principal: Principal,
): Promise<{ readonly secret: string; readonly expiresAt: Date; readonly login: BrowserLogin }> {
  authorize(principal, 'read');
  const made = principal.keyId === null ? undefined : await createLogin(deps.db, principal.keyId);
  if (made === undefined) throw new AppError('unauthenticated', 'The key is unknown, expired or revoked', {});
  await audit(deps, principal, { action: 'login.opened', targetType: 'key', targetId: principal.keyId });
  return { ...made, login: toBrowserLogin(made.secret) };
}

/** Ends a login, and what it holds open. Again changes nothing. */
export async function logOut(deps: OperationDeps, principal: Principal, { hash }: BrowserLogin): Promise<void> {
  authorize(principal, 'read');
  await deleteLogin(deps.db, hash);
  await tellRightsChanged(deps.db);
  await audit(deps, principal, { action: 'login.closed', targetType: 'key', targetId: principal.keyId });
}

/** Who is logged in by the cookie with this SHA-256 (hex); null when nobody is, or their user is disabled. */
export async function findLogin(db: Database, sha256: string): Promise<KnownKey | null> {
  const found = await findLoginHolder(db, sha256);
  if (found === undefined || found.holder.user.disabled) return null;
  const { holder, expiresAt } = found;
  await noteUse(db, holder.key);
  const keyExpiresAt = holder.key.expiresAt === null ? Number.POSITIVE_INFINITY : Date.parse(holder.key.expiresAt);
  return { principal: principalOf(holder), expiresAtMs: Math.min(expiresAt.getTime(), keyExpiresAt) };
}
