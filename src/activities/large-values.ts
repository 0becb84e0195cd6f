import type { Json, JsonObject, Ref, Value } from '../definition/value.js';
import { objectValue } from '../definition/value-parts.js';

/** Above this a value is stored once and passed by reference (durability §5). */
export const INLINE_LIMIT_BYTES = 32_768;
/** Of an input, parts above this are replaced first, so that what is left can be read. */
const PART_LIMIT_BYTES = 8_192;

/** Stores a value of the owner by content; may repeat. */
export type PutValue = (json: Json) => Promise<Ref>;

export const bytesOf = (json: Json): number => Buffer.byteLength(JSON.stringify(json) ?? '', 'utf8');

/** The value inline, or whole by reference when it is large. */
export async function toInlineOrRef(json: Json, put: PutValue): Promise<Value> {
  if (bytesOf(json) <= INLINE_LIMIT_BYTES) return { v: json };
  return { v: null, refs: { '': await put(json) } };
}

/** A step's input for its record: large top-level parts by reference, their names still there. */
export async function toRecordedInput(input: Value, put: PutValue): Promise<Value> {
  if (bytesOf(input.v) <= INLINE_LIMIT_BYTES) return input;
  if (input.refs?.[''] !== undefined || !isObject(input.v)) return await withinLimit(input, put);
  const entries = await Promise.all(Object.entries(input.v).map(async ([name, part]) => [name, await partOf(input, name, part, put)] as const));
  return await withinLimit(objectValue(entries), put);
}

async function partOf(input: Value, name: string, part: Json, put: PutValue): Promise<Value> {
  const prefix = `/${name.replaceAll('~', '~0').replaceAll('/', '~1')}`;
  const refs = Object.fromEntries(Object.entries(input.refs ?? {}).filter(([at]) => at === prefix || at.startsWith(`${prefix}/`)).map(([at, ref]) => [at.slice(prefix.length), ref]));
  // What holds references of its own cannot be stored as plain JSON; it stays, and only its neighbours go.
  if (Object.keys(refs).length > 0) return { v: part, refs };
  return bytesOf(part) > PART_LIMIT_BYTES ? { v: null, refs: { '': await put(part) } } : { v: part };
}

async function withinLimit(value: Value, put: PutValue): Promise<Value> {
  if (bytesOf(value.v) <= INLINE_LIMIT_BYTES || value.refs !== undefined) return value;
  return { v: null, refs: { '': await put(value.v) } };
}

const isObject = (json: Json): json is JsonObject => typeof json === 'object' && json !== null && !Array.isArray(json);
