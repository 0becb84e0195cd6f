/** Keeps an error's details small: they travel in the engine's state and in Temporal's history. Pure. */
import type { Json } from '../definition/value.js';
import { bytesOf } from './large-values.js';

const LIMIT_BYTES = 16_384;
const PART_BYTES = 10_240;

/** Details within 16 KB: parts above 10 KB become the beginning of their text, then the largest go until it fits. */
export function capDetails(details: { readonly [key: string]: Json }): { readonly [key: string]: Json } {
  if (bytesOf(details) <= LIMIT_BYTES) return details;
  const entries = Object.entries(details).map(([name, part]): [string, Json] => [name, bytesOf(part) > PART_BYTES ? beginningOf(part) : part]);
  const order = entries.toSorted(([, a], [, b]) => bytesOf(b) - bytesOf(a)).map(([name]) => name);
  const kept = new Map(entries);
  for (const name of order) {
    if (bytesOf(Object.fromEntries(kept)) <= LIMIT_BYTES) break;
    kept.set(name, '[left out: too large]');
  }
  return Object.fromEntries(kept);
}

function beginningOf(part: Json): string {
  const text = typeof part === 'string' ? part : JSON.stringify(part);
  return `${text.slice(0, 4_000)}…`;
}
