/** Tickets: a WebSocket of a browser cannot send headers, so it shows a secret that is good once. */
import { AppError } from '../errors.js';
import { createTicket, takeTicket } from '../store/tickets.js';
import { findKeysById } from './authenticate-key.js';
import { authorize } from './authorize.js';
import type { OperationDeps } from './deps.js';
import type { Principal } from './principal.js';

/** A ticket with the rights of the caller's key. @throws AppError forbidden */
export async function issueTicket(
  deps: OperationDeps,
  principal: Principal,
): Promise<{ readonly ticket: string; readonly expiresAt: string }> {
  authorize(principal, 'read');
  if (principal.keyId === null) throw new AppError('forbidden', 'A ticket is given to the holder of a key', {});
  return createTicket(deps.db, { ownerId: principal.userId, keyId: principal.keyId });
}

/** Whose ticket this is; it is used up. Null when it is unknown, used or expired, or its key is. */
export async function redeemTicket(deps: Pick<OperationDeps, 'db'>, ticket: string): Promise<Principal | null> {
  const keyId = await takeTicket(deps.db, ticket);
  return keyId === undefined ? null : ((await findKeysById(deps.db, [keyId])).get(keyId) ?? null);
}
