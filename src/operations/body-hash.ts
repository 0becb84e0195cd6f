import { createHash } from 'node:crypto';
import { canonicalJson } from '../definition/index.js';
import type { Json } from '../definition/value.js';

/** What an idempotency key was used for: equal for bodies that differ only in the order of keys. Absent fields count as absent. Pure. */
export function bodyHashOf(body: { readonly [field: string]: Json | undefined }): string {
  const given = Object.fromEntries(Object.entries(body).filter((entry): entry is [string, Json] => entry[1] !== undefined));
  return createHash('sha256').update(canonicalJson(given)).digest('hex');
}
