import { createHash } from 'node:crypto';
import { LARGE_VALUE_BYTES } from '../definition/json-size.js';
import type { Json, Ref, Value } from '../definition/value.js';
import { ByteCache } from './byte-cache.js';
import type { Database } from './database.js';
import { newId } from './ids.js';
import { toJsonText } from './json-text.js';
import { statement } from './statement.js';

const PREVIEW_CHARACTERS = 500;
const CACHE_BYTES = 64 * 1024 * 1024;

const FIND = statement('find_value', 'SELECT id FROM "values" WHERE owner_id = $1 AND sha256 = $2');
const PUT = statement(
  'put_value',
  `INSERT INTO "values" (id, owner_id, sha256, bytes, body, preview) VALUES ($1, $2, $3, $4, $5, $6)
   ON CONFLICT (owner_id, sha256) DO NOTHING RETURNING id`,
);
const GET = statement('get_value', 'SELECT body FROM "values" WHERE id = $1 AND owner_id = $2');

const parsed = new WeakMap<Database, ByteCache<Json>>();

/** The value itself, or stored and by reference when its JSON is larger than 32 KB. */
export async function storeIfLarge(db: Database, ownerId: string, json: Json): Promise<Value> {
  const text = toJsonText(json);
  if (Buffer.byteLength(text) <= LARGE_VALUE_BYTES) return { v: json };
  return { v: null, refs: { '': await putText(db, ownerId, text) } };
}

/** Stores a value whatever its size; the same content of the same owner is stored once. */
export const putValue = (db: Database, ownerId: string, json: Json): Promise<Ref> => putText(db, ownerId, toJsonText(json));

async function putText(db: Database, ownerId: string, text: string): Promise<Ref> {
  const bytes = Buffer.byteLength(text);
  const sha256 = createHash('sha256').update(text).digest('hex');
  const preview = previewOf(text);
  const found =
    (await findId(db, ownerId, sha256)) ??
    (await insert(db, [newId('val'), ownerId, sha256, bytes, text, preview])) ??
    (await findId(db, ownerId, sha256));
  if (found === undefined) throw new Error(`Value ${sha256} of ${ownerId} was neither there nor inserted`);
  return { ref: found, bytes, sha256, preview };
}

async function findId(db: Database, ownerId: string, sha256: string): Promise<string | undefined> {
  const [row] = await db.rows<{ id: string }>(FIND, [ownerId, sha256]);
  return row?.id;
}

async function insert(db: Database, values: readonly unknown[]): Promise<string | undefined> {
  const [row] = await db.rows<{ id: string }>(PUT, values);
  return row?.id;
}

/** The start of the JSON text, never half of a surrogate pair. */
const previewOf = (text: string): string => text.slice(0, PREVIEW_CHARACTERS).replace(/[\ud800-\udbff]$/, '');

/** The JSON text of a stored value of this owner; undefined: no such value, or another's. */
export async function readValueText(db: Database, ownerId: string, ref: string): Promise<string | undefined> {
  const [row] = await db.rows<{ body: string }>(GET, [ref, ownerId]);
  return row?.body;
}

/** A stored value of this owner; undefined: no such value, or another's. Kept in the process: treat it as immutable. */
export async function readValue(db: Database, ownerId: string, ref: string): Promise<Json | undefined> {
  const cache = cacheOf(db);
  const key = `${ownerId} ${ref}`;
  const known = cache.get(key);
  if (known !== undefined) return known;
  const text = await readValueText(db, ownerId, ref);
  if (text === undefined) return undefined;
  const json = JSON.parse(text) as Json;
  cache.set(key, json, text.length);
  return json;
}

function cacheOf(db: Database): ByteCache<Json> {
  let cache = parsed.get(db);
  if (cache === undefined) {
    cache = new ByteCache(CACHE_BYTES);
    parsed.set(db, cache);
  }
  return cache;
}
