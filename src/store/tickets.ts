import { createHash, randomBytes } from 'node:crypto';
import type { Database } from './database.js';
import { statement } from './statement.js';

/** A ticket is good for one socket, on whichever gateway, for so long. */
const TICKET_MS = 60_000;
const INSERT = statement(
  'insert_ws_ticket',
  `WITH expired AS (DELETE FROM ws_tickets WHERE expires_at < now())
   INSERT INTO ws_tickets (hash, owner_id, key_id, login_hash, expires_at) VALUES ($1, $2, $3, $4, now() + $5 * interval '1 millisecond')
   RETURNING expires_at AS "expiresAt"`,
);
const TAKE = statement(
  'take_ws_ticket',
  'DELETE FROM ws_tickets WHERE hash = $1 RETURNING key_id AS "keyId", login_hash AS "loginHash", expires_at > now() AS "isValid"',
);

const hashOf = (ticket: string): string => createHash('sha256').update(ticket).digest('hex');

/** Whose rights a ticket carries: a key's, for as long as the login lasts that asked for it, if one did. */
export interface TicketHolder {
  readonly keyId: string;
  readonly loginHash: string | null;
}

/** A new ticket with the rights of a key. Only its hash is kept. `expiresAt` is an ISO instant by PostgreSQL's clock. */
export async function createTicket(
  db: Database,
  holder: TicketHolder & { readonly ownerId: string },
): Promise<{ readonly ticket: string; readonly expiresAt: string }> {
  const ticket = `wst_${randomBytes(24).toString('base64url')}`;
  const [row] = await db.rows<{ expiresAt: Date }>(INSERT, [hashOf(ticket), holder.ownerId, holder.keyId, holder.loginHash, TICKET_MS]);
  if (row === undefined) throw new Error('The ticket was not inserted');
  return { ticket, expiresAt: row.expiresAt.toISOString() };
}

/** Uses a ticket up. @returns undefined when it is unknown, used or expired */
export async function takeTicket(db: Database, ticket: string): Promise<TicketHolder | undefined> {
  const [row] = await db.rows<TicketHolder & { isValid: boolean }>(TAKE, [hashOf(ticket)]);
  return row?.isValid === true ? { keyId: row.keyId, loginHash: row.loginHash } : undefined;
}
