import { createHash, createHmac, randomBytes } from 'node:crypto';
import type { Database } from './database.js';
import { getKeyHolder, type KeyHolder } from './keys.js';
import { statement } from './statement.js';

/** How long a browser stays logged in; less when its key expires before. */
const LOGIN_MS = 30 * 24 * 60 * 60 * 1_000;
const INSERT = statement(
  'insert_login',
  `WITH expired AS (DELETE FROM logins WHERE expires_at < now())
   INSERT INTO logins (hash, key_id, expires_at)
   SELECT $1, id, least(now() + $3 * interval '1 millisecond', expires_at) FROM api_keys WHERE id = $2
   RETURNING expires_at AS "expiresAt"`,
);
const FIND = statement('find_login', 'SELECT key_id AS "keyId", expires_at AS "expiresAt" FROM logins WHERE hash = $1');
const OPEN = statement('open_logins', 'SELECT hash FROM logins WHERE hash = ANY($1) AND expires_at > now()');
const DELETE = statement('delete_login', 'DELETE FROM logins WHERE hash = $1');

/** The cookie's SHA-256 (hex), which is all that is kept of it. Pure. */
export const hashLogin = (secret: string): string => createHash('sha256').update(secret).digest('hex');

/** What writes of this login have to show: known to who may read answers, not to who can only make a browser send requests. Pure. */
export const csrfTokenOf = (secret: string): string => createHmac('sha256', secret).update('csrf').digest('base64url');

/** Logs a browser in with the rights of a key; undefined when the key is gone. `expiresAt` is by PostgreSQL's clock. */
export async function createLogin(db: Database, keyId: string): Promise<{ readonly secret: string; readonly expiresAt: Date } | undefined> {
  const secret = `sbl_${randomBytes(32).toString('base64url')}`;
  const [row] = await db.rows<{ expiresAt: Date }>(INSERT, [hashLogin(secret), keyId, LOGIN_MS]);
  return row === undefined ? undefined : { secret, expiresAt: row.expiresAt };
}

/** Whose login this is. Whether it or its key has expired, or its user is disabled, is the caller's to check. */
export async function findLoginHolder(
  db: Database,
  hash: string,
): Promise<{ readonly holder: KeyHolder; readonly expiresAt: Date } | undefined> {
  const [row] = await db.rows<{ keyId: string; expiresAt: Date }>(FIND, [hash]);
  const holder = row === undefined ? undefined : await getKeyHolder(db, row.keyId);
  return row === undefined || holder === undefined ? undefined : { holder, expiresAt: row.expiresAt };
}

/** Which of these logins have not ended. */
export async function openLogins(db: Database, hashes: readonly string[]): Promise<ReadonlySet<string>> {
  if (hashes.length === 0) return new Set();
  return new Set((await db.rows<{ hash: string }>(OPEN, [[...hashes]])).map(({ hash }) => hash));
}

export async function deleteLogin(db: Database, hash: string): Promise<void> {
  await db.rows(DELETE, [hash]);
}
