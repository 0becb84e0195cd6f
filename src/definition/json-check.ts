/** Whether something unknown is a JSON document that the rest of the folder may walk by recursion. Pure. */
import type { Json } from './value.js';

export const MAX_JSON_DEPTH = 256;
const MAX_NODES = 600_000;

export type JsonFault =
  | { readonly kind: 'malformed'; readonly path: readonly (string | number)[]; readonly message: string }
  | { readonly kind: 'too_large'; readonly message: string };

/** A place still to be looked at, with the way back to the root: no recursion, as the document may be as deep as it likes. */
interface Place {
  readonly value: unknown;
  readonly key: string | number;
  readonly outer: Place | undefined;
  readonly depth: number;
}

/** The first reason why this is no (acceptable) JSON document; a cycle shows as too deep. */
export function findJsonFault(document: unknown): JsonFault | undefined {
  const places: Place[] = [{ value: document, key: '', outer: undefined, depth: 0 }];
  let nodes = 0;
  for (let place = places.pop(); place !== undefined; place = places.pop()) {
    nodes += 1;
    if (nodes > MAX_NODES) return { kind: 'too_large', message: `The document has more than ${MAX_NODES} values` };
    const message = faultOfOne(place);
    if (message !== undefined) return { kind: 'malformed', path: pathOf(place), message };
    addParts(place, places);
  }
  return undefined;
}

function faultOfOne({ value, key, depth }: Place): string | undefined {
  if (depth > MAX_JSON_DEPTH) return `The document is nested deeper than ${MAX_JSON_DEPTH} levels`;
  if (key === '__proto__') return '__proto__ may not be a key';
  if (value === null || typeof value === 'string' || typeof value === 'boolean') return undefined;
  if (typeof value === 'number') return Number.isFinite(value) ? undefined : 'A number has to be finite';
  if (typeof value !== 'object') return `${typeof value} is not JSON`;
  // Own enumerable properties are what JSON.parse makes; a class instance would lose its meaning.
  const prototype: unknown = Object.getPrototypeOf(value);
  const isPlain = Array.isArray(value) || prototype === null || Object.getPrototypeOf(prototype) === null;
  return isPlain ? undefined : 'Only plain objects and lists are JSON';
}

function addParts(place: Place, places: Place[]): void {
  const { value, depth } = place;
  if (Array.isArray(value)) {
    for (let index = value.length - 1; index >= 0; index -= 1)
      places.push({ value: value[index], key: index, outer: place, depth: depth + 1 });
  } else if (typeof value === 'object' && value !== null) {
    for (const key of Object.keys(value).toReversed())
      places.push({ value: (value as { [key: string]: unknown })[key], key, outer: place, depth: depth + 1 });
  }
}

function pathOf(place: Place): (string | number)[] {
  const path: (string | number)[] = [];
  for (let at: Place | undefined = place; at?.outer !== undefined; at = at.outer) path.unshift(at.key);
  return path;
}

/** Whether two values are equal whatever the order of keys; values nested deeper than a document may be are not. */
export function isSameJson(left: Json | undefined, right: Json | undefined, depth = 0): boolean {
  if (left === right) return true;
  if (typeof left !== 'object' || typeof right !== 'object' || left === null || right === null || depth > MAX_JSON_DEPTH) return false;
  if (Array.isArray(left) || Array.isArray(right)) {
    return (
      Array.isArray(left) &&
      Array.isArray(right) &&
      left.length === right.length &&
      left.every((item: Json, index) => isSameJson(item, right[index] as Json, depth + 1))
    );
  }
  const [a, b] = [left, right] as unknown as [{ readonly [key: string]: Json }, { readonly [key: string]: Json }];
  const keys = Object.keys(a);
  return keys.length === Object.keys(b).length && keys.every((key) => Object.hasOwn(b, key) && isSameJson(a[key], b[key], depth + 1));
}

/** JSON text with sorted keys and no white space: the same for every order of keys. For documents without json faults. */
export function canonicalJson(json: Json): string {
  if (Array.isArray(json)) return `[${(json as readonly Json[]).map(canonicalJson).join(',')}]`;
  if (typeof json !== 'object' || json === null) return JSON.stringify(json);
  const object = json as { readonly [key: string]: Json };
  return `{${Object.keys(object)
    .toSorted()
    .map((key) => `${JSON.stringify(key)}:${canonicalJson(object[key] as Json)}`)
    .join(',')}}`;
}
