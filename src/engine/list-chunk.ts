import { type Json, jsonBytes, LARGE_VALUE_BYTES } from '../definition/runtime.js';

const MAX_ITEMS = 500;
/** Room for the braces and the length around the items. */
const AROUND_BYTES = 64;

/**
 * What `evaluate` answers at site `items`: the length of the list and its items from an index on, as many as fit into an inline value. A single
 * item that does not fit comes alone: store it and put the reference in its place. Pure.
 * @returns undefined when `list` is none: the fault loop_over_not_array
 */
export function chunkOf(list: Json, from: number): { readonly length: number; readonly items: readonly Json[] } | undefined {
  if (!Array.isArray(list)) return undefined;
  const all = list as readonly Json[];
  const items: Json[] = [];
  let bytes = AROUND_BYTES;
  for (const item of all.slice(from, from + MAX_ITEMS)) {
    bytes += jsonBytes(item) + 1;
    if (bytes > LARGE_VALUE_BYTES && items.length > 0) break;
    items.push(item);
  }
  return { length: all.length, items };
}
