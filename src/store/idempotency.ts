import type { Database, Tx } from './database.js';
import { statement } from './statement.js';

/** A caller's key at a door: `workflow:<id>`, `trigger:<id>`, `execution:<id>`, `session:<id>`. */
export interface IdempotencyKey {
  readonly door: string;
  readonly key: string;
  /** sha256 of what the caller sent: the key must not come back with something else. */
  readonly bodyHash: string;
  /** Ticks are remembered for ever, everything else 400 days. */
  readonly forever?: true;
}

/** `first`: the key is now taken for `resultId`. */
export type Claim = { readonly kind: 'first' } | { readonly kind: 'repeat'; readonly resultId: string } | { readonly kind: 'reused' };

const TAKE = statement(
  'take_key',
  `INSERT INTO idempotency_keys (owner_id, door, key, body_hash, result_id, expires_at)
   VALUES ($1, $2, $3, $4, $5, CASE WHEN $6::boolean THEN NULL ELSE now() + interval '400 days' END)
   ON CONFLICT (owner_id, door, key) DO NOTHING RETURNING true AS taken`,
);
const FIND = statement(
  'find_key',
  'SELECT body_hash AS "bodyHash", result_id AS "resultId" FROM idempotency_keys WHERE owner_id = $1 AND door = $2 AND key = $3',
);

interface KeyRow {
  readonly bodyHash: string;
  readonly resultId: string;
}

/**
 * Takes the key for a result. While another transaction is about to take it, this waits for its end: of many at once, one is first.
 * Rolling back frees the key.
 */
export async function takeKey(tx: Tx, ownerId: string, key: IdempotencyKey, resultId: string): Promise<Claim> {
  const taken = await tx.rows(TAKE, [ownerId, key.door, key.key, key.bodyHash, resultId, key.forever ?? false]);
  if (taken.length > 0) return { kind: 'first' };
  const [row] = await tx.rows<KeyRow>(FIND, [ownerId, key.door, key.key]);
  return claimOf(row, key);
}

/** What a key stands for already, if anything: for a look before the work of a request. */
export async function findKey(db: Database, ownerId: string, key: IdempotencyKey): Promise<Claim | undefined> {
  const [row] = await db.rows<KeyRow>(FIND, [ownerId, key.door, key.key]);
  return row === undefined ? undefined : claimOf(row, key);
}

function claimOf(row: KeyRow | undefined, key: IdempotencyKey): Claim {
  if (row === undefined) throw new Error(`Idempotency key ${key.key} at ${key.door} vanished`);
  return row.bodyHash === key.bodyHash ? { kind: 'repeat', resultId: row.resultId } : { kind: 'reused' };
}
