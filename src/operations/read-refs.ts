import type { Json, Ref, Value } from '../definition/value.js';
import type { Database } from '../store/database.js';
import { readValue } from '../store/values.js';

/** Reads everything that these values refer to, for `replaceRefs`. @throws Error when one is not this owner's or is gone */
export async function readRefs(db: Database, ownerId: string, values: readonly Value[]): Promise<(ref: Ref) => Json> {
  const stored = new Map<string, Json>();
  for (const { ref } of values.flatMap((value) => Object.values(value.refs ?? {}))) {
    const json = await readValue(db, ownerId, ref);
    if (json === undefined) throw new Error(`The value ${ref} is gone`);
    stored.set(ref, json);
  }
  return ({ ref }) => stored.get(ref) ?? null;
}
