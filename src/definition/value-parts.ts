/** Values taken apart and put together. Pure; may run in the workflow. */
import { type Segment, escapeToken, parsePointer } from './pointer.js';
import type { Json, JsonObject, Ref, Value } from './value.js';

type Refs = { [pointer: string]: Ref };

/** What stands at a path of a value: a value, nothing, or something inside a stored value (`rest` is the way inside it). */
export type Part =
  | { readonly at: 'value'; readonly value: Value }
  | { readonly at: 'missing' }
  | { readonly at: 'ref'; readonly ref: Ref; readonly rest: readonly Segment[] };

const MISSING: Part = { at: 'missing' };

/** Whether any place of the value stands for a stored one. */
export function containsRefs(value: Value): boolean {
  if (value.refs === undefined) return false;
  for (const _ in value.refs) return true;
  return false;
}

/** The reference that a value is as a whole, if it is one. */
export const wholeRefOf = (value: Value): Ref | undefined => value.refs?.[''];

/** The part of a value at a path. Own properties only; a list also has `length`. */
export function partAt(value: Value, segments: readonly Segment[]): Part {
  let v: Json | undefined = value.v;
  let refs = containsRefs(value) ? value.refs : undefined;
  for (let index = 0; index < segments.length; index += 1) {
    const whole = refs?.[''];
    if (whole !== undefined) return { at: 'ref', ref: whole, rest: segments.slice(index) };
    const segment = segments[index] as Segment;
    v = ownProperty(v, segment);
    if (v === undefined) return MISSING;
    if (refs !== undefined) refs = refsBelow(refs, segment);
  }
  return { at: 'value', value: refs === undefined ? { v } : { v, refs } };
}

function refsBelow(refs: { readonly [pointer: string]: Ref }, segment: Segment): Refs | undefined {
  const prefix = `/${escapeToken(segment)}`;
  let below: Refs | undefined;
  for (const pointer in refs) {
    if (pointer !== prefix && !pointer.startsWith(`${prefix}/`)) continue;
    below ??= {};
    below[pointer.slice(prefix.length)] = refs[pointer] as Ref;
  }
  return below;
}

const INDEX = /^(?:0|[1-9]\d*)$/;

/** An own property of a JSON value: list elements by index (also `"0"`), `length` of lists and texts. Else undefined. */
export function ownProperty(of: Json | undefined, segment: Segment): Json | undefined {
  if (of === null || of === undefined) return undefined;
  if (typeof of === 'string' || Array.isArray(of)) {
    if (segment === 'length') return of.length;
    const index = typeof segment === 'number' ? segment : INDEX.test(segment) ? Number(segment) : -1;
    return (of as readonly Json[])[index];
  }
  if (typeof of !== 'object') return undefined;
  return Object.hasOwn(of, segment) ? (of as JsonObject)[segment] : undefined;
}

/** Sets an own property, `__proto__` included: plain assignment would change the object's prototype. */
export function setOwn(target: { [key: string]: Json }, key: string, value: Json): void {
  if (key === '__proto__') Object.defineProperty(target, key, { value, enumerable: true, configurable: true, writable: true });
  else target[key] = value;
}

function addRefs(target: Refs, segment: Segment, value: Value): void {
  const prefix = `/${escapeToken(segment)}`;
  for (const pointer in value.refs) target[prefix + pointer] = value.refs[pointer] as Ref;
}

/** A list of values as one value. */
export function listValue(items: readonly Value[]): Value {
  const refs: Refs = {};
  items.forEach((item, index) => addRefs(refs, index, item));
  return withRefs(
    items.map((item) => item.v),
    refs,
  );
}

/** An object of values as one value; a later entry of the same key wins. */
export function objectValue(entries: Iterable<readonly [string, Value]>): Value {
  const v: { [key: string]: Json } = {};
  let refs: Refs = {};
  for (const [key, value] of entries) {
    if (Object.hasOwn(v, key)) refs = refsBesides(refs, key);
    setOwn(v, key, value.v);
    addRefs(refs, key, value);
  }
  return withRefs(v, refs);
}

function refsBesides(refs: Refs, key: string): Refs {
  const prefix = `/${escapeToken(key)}`;
  return Object.fromEntries(Object.entries(refs).filter(([pointer]) => pointer !== prefix && !pointer.startsWith(`${prefix}/`)));
}

/** A value of JSON and references; `refs` is left out when there are none. */
export function withRefs(v: Json, refs: { readonly [pointer: string]: Ref }): Value {
  const value: Value = { v, refs };
  return containsRefs(value) ? value : { v };
}

/** The value with something put in the place of each reference. What lies beside them is shared, not copied. */
export function replaceRefs(value: Value, by: (ref: Ref) => Json): Json {
  let v = value.v;
  const owned = new Set<Json>();
  for (const pointer in value.refs) v = putAt(v, parsePointer(pointer), by(value.refs[pointer] as Ref), owned);
  return v;
}

/** JSON for readers (API, events): references placed inline as `{ ref, bytes, sha256, preview }`. */
export function toDisplay(value: Value): Json {
  if (value.refs === undefined) return value.v;
  return replaceRefs(value, ({ ref, bytes, sha256, preview }) => ({ ref, bytes, sha256, preview }));
}

/** Copies each container on the way once: `owned` holds those already copied. */
function putAt(root: Json, path: readonly string[], replacement: Json, owned: Set<Json>): Json {
  if (path.length === 0) return replacement;
  const top = ownedCopy(root, owned);
  let at = top as { [key: string]: Json };
  for (const key of path.slice(0, -1)) {
    const next = ownedCopy(ownProperty(at, key) ?? null, owned);
    setOwn(at, key, next);
    at = next as { [key: string]: Json };
  }
  setOwn(at, path[path.length - 1] as string, replacement);
  return top;
}

function ownedCopy(json: Json, owned: Set<Json>): Json {
  if (owned.has(json)) return json;
  const copy: Json = Array.isArray(json) ? (json as readonly Json[]).slice() : { ...(json as JsonObject) };
  owned.add(copy);
  return copy;
}
