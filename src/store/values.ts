import { createHash } from 'node:crypto';
import { LARGE_VALUE_BYTES } from '../definition/json-size.js';
import type { Json, Ref, Value } from '../definition/value.js';
import { containsRefs, replaceRefs, toDisplay } from '../definition/value-parts.js';
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
  `INSERT INTO "values" (id, owner_id, sha256, bytes, body, preview, refs) VALUES ($1, $2, $3, $4, $5, $6, $7)
   ON CONFLICT (owner_id, sha256) DO NOTHING RETURNING id`,
);
const GET = statement('get_value', 'SELECT body, refs FROM "values" WHERE id = $1 AND owner_id = $2');

type Refs = NonNullable<Value['refs']>;
interface Row {
  readonly body: string;
  readonly refs: Refs | null;
}

const parsed = new WeakMap<Database, ByteCache<Value>>();

/** The value itself, or stored and by reference when its JSON is larger than 32 KB. */
export async function storeIfLarge(db: Database, ownerId: string, json: Json): Promise<Value> {
  const text = toJsonText(json);
  if (Buffer.byteLength(text) <= LARGE_VALUE_BYTES) return { v: json };
  return { v: null, refs: { '': await putText(db, ownerId, text) } };
}

/** Stores a value whatever its size; the same content of the same owner is stored once. */
export const putValue = (db: Database, ownerId: string, json: Json): Promise<Ref> => putText(db, ownerId, toJsonText(json));

/** The same for a value that may stand upon stored ones: they stay where they are, and its body says so. */
export function storeValue(db: Database, ownerId: string, value: Value): Promise<Ref> {
  const { refs } = value;
  return putText(db, ownerId, toJsonText(toDisplay(value)), refs !== undefined && containsRefs(value) ? refs : null);
}

async function putText(db: Database, ownerId: string, text: string, refs: Refs | null = null): Promise<Ref> {
  const bytes = Buffer.byteLength(text);
  // Data that merely looks like references is another value.
  const sha256 = createHash('sha256')
    .update(refs === null ? text : `${text} ${Object.keys(refs).join(' ')}`)
    .digest('hex');
  const preview = previewOf(text);
  const row = [newId('val'), ownerId, sha256, bytes, text, preview, refs === null ? null : toJsonText(refs)];
  const found = (await findId(db, ownerId, sha256)) ?? (await insert(db, row)) ?? (await findId(db, ownerId, sha256));
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

/** The JSON text of a stored value of this owner; undefined: no such value, or another's. Values inside it are shown as references. */
export async function readValueText(db: Database, ownerId: string, ref: string): Promise<string | undefined> {
  return (await readRow(db, ownerId, ref))?.body;
}

async function readRow(db: Database, ownerId: string, ref: string): Promise<Row | undefined> {
  const [row] = await db.rows<Row>(GET, [ref, ownerId]);
  return row;
}

/**
 * A stored value of this owner, which may stand upon others; undefined: no such value, or another's. Kept in the process: treat it as
 * immutable.
 */
export async function readStored(db: Database, ownerId: string, ref: string): Promise<Value | undefined> {
  const cache = cacheOf(db);
  const key = `${ownerId} ${ref}`;
  const known = cache.get(key);
  if (known !== undefined) return known;
  const row = await readRow(db, ownerId, ref);
  if (row === undefined) return undefined;
  const value = toValue(row);
  cache.set(key, value, row.body.length);
  return value;
}

/** The body has something to show in each place; a value has nothing there. */
function toValue({ body, refs }: Row): Value {
  const v = JSON.parse(body) as Json;
  return refs === null ? { v } : { v: replaceRefs({ v, refs }, () => null), refs };
}

/** Of one value at most so many bytes are put together; what lies beyond stays by reference. */
const WHOLE_BYTES = 32 * 1024 * 1024;

/** A stored value of this owner as JSON, with the values that it stands upon in their places; undefined: no such value, or another's. */
export async function readValue(db: Database, ownerId: string, ref: string, limitBytes = WHOLE_BYTES): Promise<Json | undefined> {
  const value = await readStored(db, ownerId, ref);
  return value === undefined ? undefined : await wholeOf(value, (inner) => readStored(db, ownerId, inner), { left: limitBytes });
}

async function wholeOf(value: Value, read: (ref: string) => Promise<Value | undefined>, room: { left: number }): Promise<Json> {
  const parts = new Map<string, Json>();
  for (const ref of Object.values(value.refs ?? {})) {
    if (parts.has(ref.ref) || ref.bytes > room.left) continue;
    room.left -= ref.bytes;
    const inner = await read(ref.ref);
    if (inner !== undefined) parts.set(ref.ref, await wholeOf(inner, read, room));
  }
  return replaceRefs(value, ({ ref, bytes, sha256, preview }) => parts.get(ref) ?? { ref, bytes, sha256, preview });
}

function cacheOf(db: Database): ByteCache<Value> {
  let cache = parsed.get(db);
  if (cache === undefined) {
    cache = new ByteCache(CACHE_BYTES);
    parsed.set(db, cache);
  }
  return cache;
}
