import type { Database, Tx } from './database.js';
import { statement } from './statement.js';

/** A caller's key at a door: `workflow:<id>`, `trigger:<id>`, `execution:<id>`, `session:<id>`. */
export interface IdempotencyKey {
  readonly door: string;
  readonly key: string;
  /** sha256 of what the caller sent: the key must not come back with something else. */
  readonly bodyHash: string;
  /** Ticks are remembered for ever; everything else 400 days, or these hours. */
  readonly forever?: true;
  readonly hours?: number;
}

/** `first`: the key is now taken for `resultId`. */
export type Claim = { readonly kind: 'first' } | { readonly kind: 'repeat'; readonly resultId: string } | { readonly kind: 'reused' };

const TAKE = statement(
  'take_key',
  `INSERT INTO idempotency_keys (owner_id, door, key, body_hash, result_id, expires_at)
   VALUES ($1, $2, $3, $4, $5, CASE WHEN $6::boolean THEN NULL ELSE now() + $7 * interval '1 hour' END)
   ON CONFLICT (owner_id, door, key) DO UPDATE SET body_hash = EXCLUDED.body_hash, result_id = EXCLUDED.result_id, expires_at = EXCLUDED.expires_at,
     created_at = EXCLUDED.created_at WHERE idempotency_keys.expires_at <= now()
   RETURNING true AS taken`,
);
const FIND = statement(
  'find_key',
  'SELECT body_hash AS "bodyHash", result_id AS "resultId" FROM idempotency_keys WHERE owner_id = $1 AND door = $2 AND key = $3',
);
const LOOK = statement('look_key', `${FIND.text} AND (expires_at IS NULL OR expires_at > now())`);
const DELETE_EXPIRED = statement(
  'delete_expired_keys',
  `DELETE FROM idempotency_keys k USING (SELECT owner_id, door, key FROM idempotency_keys WHERE expires_at <= now() ORDER BY expires_at LIMIT $1) old
   WHERE k.owner_id = old.owner_id AND k.door = old.door AND k.key = old.key AND k.expires_at <= now() RETURNING true AS deleted`,
);
const DEFAULT_HOURS = 400 * 24;

interface KeyRow {
  readonly bodyHash: string;
  readonly resultId: string;
}

/**
 * Takes the key for a result. While another transaction is about to take it, this waits for its end: of many at once, one is first.
 * Rolling back frees the key.
 */
export async function takeKey(tx: Tx, ownerId: string, key: IdempotencyKey, resultId: string): Promise<Claim> {
  const taken = await tx.rows(TAKE, [ownerId, key.door, key.key, key.bodyHash, resultId, key.forever ?? false, key.hours ?? DEFAULT_HOURS]);
  if (taken.length > 0) return { kind: 'first' };
  const [row] = await tx.rows<KeyRow>(FIND, [ownerId, key.door, key.key]);
  return claimOf(row, key);
}

/** The same by itself, for what is made idempotent by other means. */
export const takeKeyFor = (db: Database, ownerId: string, key: IdempotencyKey, resultId: string): Promise<Claim> =>
  db.transaction((tx) => takeKey(tx, ownerId, key, resultId));

/** What a key stands for already, if anything: for a look before the work of a request. */
export async function findKey(db: Database, ownerId: string, key: IdempotencyKey): Promise<Claim | undefined> {
  const [row] = await db.rows<KeyRow>(LOOK, [ownerId, key.door, key.key]);
  return row === undefined ? undefined : claimOf(row, key);
}

/** Keys whose time is over; at most `limit`. @returns how many */
export async function deleteExpiredKeys(db: Database, limit: number): Promise<number> {
  return (await db.rows(DELETE_EXPIRED, [limit])).length;
}

function claimOf(row: KeyRow | undefined, key: IdempotencyKey): Claim {
  if (row === undefined) throw new Error(`Idempotency key ${key.key} at ${key.door} vanished`);
  return row.bodyHash === key.bodyHash ? { kind: 'repeat', resultId: row.resultId } : { kind: 'reused' };
}
