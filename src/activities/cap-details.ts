/** Keeps an error's details small: they travel in the engine's state and in Temporal's history. Pure. */
import { jsonBytes } from '../definition/json-size.js';
import type { Json } from '../definition/value.js';

const LIMIT_BYTES = 16_384;
const PART_BYTES = 10_240;

/** Details within 16 KB: parts above 10 KB become the beginning of their text, then the largest go until it fits. */
export function capDetails(details: { readonly [key: string]: Json }): { readonly [key: string]: Json } {
  if (jsonBytes(details) <= LIMIT_BYTES) return details;
  const entries = Object.entries(details).map(([name, part]): [string, Json] => [
    name,
    jsonBytes(part) > PART_BYTES ? beginningOf(part) : part,
  ]);
  const order = entries.toSorted(([, a], [, b]) => jsonBytes(b) - jsonBytes(a)).map(([name]) => name);
  const kept = new Map(entries);
  for (const name of order) {
    if (jsonBytes(Object.fromEntries(kept)) <= LIMIT_BYTES) break;
    kept.set(name, '[left out: too large]');
  }
  return Object.fromEntries(kept);
}

function beginningOf(part: Json): string {
  const text = typeof part === 'string' ? part : JSON.stringify(part);
  return `${text.slice(0, 4_000)}…`;
}
