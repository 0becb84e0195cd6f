import type { Plan } from '../definition/plan.js';
import type { Json } from '../definition/value.js';
import { ByteCache } from './byte-cache.js';
import type { Database } from './database.js';
import { toJsonText } from './json-text.js';
import { statement } from './statement.js';

const CACHE_BYTES = 64 * 1024 * 1024;

/** A definition as it was written, and what it was compiled to. */
export interface Snapshot {
  readonly hash: string;
  readonly planFormat: number;
  readonly data: Json;
  readonly plan: Plan;
}

const PUT = statement('put_plan', 'INSERT INTO plans (hash, plan_format, data, plan) VALUES ($1, $2, $3, $4) ON CONFLICT DO NOTHING');
const GET = statement('get_plan', 'SELECT plan::text AS text FROM plans WHERE hash = $1 AND plan_format = $2');
const GET_DATA = statement('get_definition', 'SELECT data FROM plans WHERE hash = $1 ORDER BY plan_format DESC LIMIT 1');

const plans = new WeakMap<Database, ByteCache<Plan>>();

/** Keeps a compiled definition under its hash; the same again changes nothing. Before the row that names the hash. */
export async function putPlan(db: Database, { hash, planFormat, data, plan }: Snapshot): Promise<void> {
  const cache = cacheOf(db);
  const key = `${planFormat} ${hash}`;
  if (cache.get(key) !== undefined) return;
  const text = toJsonText(plan);
  await db.rows(PUT, [hash, planFormat, toJsonText(data), text]);
  cache.set(key, plan, text.length);
}

/** A plan by its hash: from this process if it had it, else from its row. Treat it as immutable. */
export async function getPlan(db: Database, hash: string, planFormat = 1): Promise<Plan | undefined> {
  const cache = cacheOf(db);
  const key = `${planFormat} ${hash}`;
  const known = cache.get(key);
  if (known !== undefined) return known;
  const [row] = await db.rows<{ text: string }>(GET, [hash, planFormat]);
  if (row === undefined) return undefined;
  const plan = JSON.parse(row.text) as Plan;
  cache.set(key, plan, row.text.length);
  return plan;
}

/** A definition as it was written, by its hash. */
export async function getDefinition(db: Database, hash: string): Promise<Json | undefined> {
  const [row] = await db.rows<{ data: Json }>(GET_DATA, [hash]);
  return row?.data;
}

function cacheOf(db: Database): ByteCache<Plan> {
  let cache = plans.get(db);
  if (cache === undefined) {
    cache = new ByteCache(CACHE_BYTES);
    plans.set(db, cache);
  }
  return cache;
}
