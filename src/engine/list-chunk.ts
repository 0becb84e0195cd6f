import { type Json, LARGE_VALUE_BYTES, listValue, NULL_VALUE, objectValue, partAt, type Value, valueBytes } from '../definition/runtime.js';

const MAX_ITEMS = 500;
/** Room for the braces and the length around the items. */
const AROUND_BYTES = 64;

/**
 * The length of a list and its items from an index on, as many as fit into an inline value. A single item that does not fit comes alone:
 * store it and put the reference in its place. Pure.
 * @returns undefined when `list` is none: the fault loop_over_not_array
 */
export function chunkOf(list: Value, from: number): { readonly length: number; readonly items: readonly Value[] } | undefined {
  if (!Array.isArray(list.v)) return undefined;
  const { length } = list.v as readonly Json[];
  const items: Value[] = [];
  let bytes = AROUND_BYTES;
  for (let index = from; index < Math.min(length, from + MAX_ITEMS); index += 1) {
    const item = itemAt(list, index);
    bytes += valueBytes(item) + 1;
    if (bytes > LARGE_VALUE_BYTES && items.length > 0) break;
    items.push(item);
  }
  return { length, items };
}

/** An item of a list; what it stands upon goes with it. Pure. */
export function itemAt(list: Value, index: number): Value {
  const part = partAt(list, [index]);
  return part.at === 'value' ? part.value : NULL_VALUE;
}

/** What `evaluate` answers at site `items`. Pure. */
export const chunkAnswer = (length: number, items: readonly Value[]): Value =>
  objectValue([
    ['length', { v: length }],
    ['items', listValue(items)],
  ]);
