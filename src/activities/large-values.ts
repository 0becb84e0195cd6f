import { jsonBytes, LARGE_VALUE_BYTES } from '../definition/json-size.js';
import { escapeToken } from '../definition/pointer.js';
import type { Json, JsonObject, Ref, Value } from '../definition/value.js';
import { objectValue } from '../definition/value-parts.js';

/** Of an input, parts above this are replaced first, so that what is left can be read. */
const PART_LIMIT_BYTES = 8_192;

/** Stores a value of the owner by content; may repeat. */
export type PutValue = (json: Json) => Promise<Ref>;

/** The value inline, or whole by reference when it is large (durability §5): its JSON above the limit. */
export async function toInlineOrRef(json: Json, put: PutValue, limitBytes = LARGE_VALUE_BYTES): Promise<Value> {
  if (jsonBytes(json) <= limitBytes) return { v: json };
  return { v: null, refs: { '': await put(json) } };
}

/** A step's input for its record: large top-level parts by reference, their names still there. */
export async function toRecordedInput(input: Value, put: PutValue): Promise<Value> {
  if (jsonBytes(input.v) <= LARGE_VALUE_BYTES) return input;
  if (input.refs?.[''] !== undefined || !isObject(input.v)) return await withinLimit(input, put);
  const entries = await Promise.all(
    Object.entries(input.v).map(async ([name, part]) => [name, await partOf(input, name, part, put)] as const),
  );
  return await withinLimit(objectValue(entries), put);
}

async function partOf(input: Value, name: string, part: Json, put: PutValue): Promise<Value> {
  const prefix = `/${escapeToken(name)}`;
  const refs = Object.fromEntries(
    Object.entries(input.refs ?? {})
      .filter(([at]) => at === prefix || at.startsWith(`${prefix}/`))
      .map(([at, ref]) => [at.slice(prefix.length), ref]),
  );
  // What holds references of its own cannot be stored as plain JSON; it stays, and only its neighbours go.
  if (Object.keys(refs).length > 0) return { v: part, refs };
  return jsonBytes(part) > PART_LIMIT_BYTES ? { v: null, refs: { '': await put(part) } } : { v: part };
}

async function withinLimit(value: Value, put: PutValue): Promise<Value> {
  if (jsonBytes(value.v) <= LARGE_VALUE_BYTES || value.refs !== undefined) return value;
  return { v: null, refs: { '': await put(value.v) } };
}

const isObject = (json: Json): json is JsonObject => typeof json === 'object' && json !== null && !Array.isArray(json);
