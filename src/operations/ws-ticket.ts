/** Tickets: a WebSocket of a browser cannot send headers, so it shows a secret that is good once. */
import { AppError } from '../errors.js';
import { openLogins } from '../store/logins.js';
import { createTicket, takeTicket } from '../store/tickets.js';
import { findKeysById } from './authenticate-key.js';
import { authorize } from './authorize.js';
import type { OperationDeps } from './deps.js';
import type { BrowserLogin } from './logins.js';
import type { Principal } from './principal.js';

/** A ticket with the rights of the caller's key, or of the login that a browser showed. @throws AppError forbidden */
export async function issueTicket(
  deps: OperationDeps,
  principal: Principal,
  login?: Pick<BrowserLogin, 'hash'>,
): Promise<{ readonly ticket: string; readonly expiresAt: string }> {
  authorize(principal, 'read');
  if (principal.keyId === null) throw new AppError('forbidden', 'A ticket is given to the holder of a key', {});
  return createTicket(deps.db, { ownerId: principal.userId, keyId: principal.keyId, loginHash: login?.hash ?? null });
}

/** Who has shown a key, a login or a ticket of either. */
export interface Caller {
  readonly principal: Principal;
  /** What was shown is a browser's login, or of one: it ends with that. */
  readonly login: Pick<BrowserLogin, 'hash'> | undefined;
}

/** Whose ticket this is; it is used up. Null when it is unknown, used or expired, or its key or login is. */
export async function redeemTicket({ db }: Pick<OperationDeps, 'db'>, ticket: string): Promise<Caller | null> {
  const holder = await takeTicket(db, ticket);
  if (holder === undefined) return null;
  const { keyId, loginHash } = holder;
  if (loginHash !== null && !(await openLogins(db, [loginHash])).has(loginHash)) return null;
  const principal = (await findKeysById(db, [keyId])).get(keyId);
  return principal === undefined ? null : { principal, login: loginHash === null ? undefined : { hash: loginHash } };
}
