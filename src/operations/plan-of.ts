import { compileDefinition } from '../definition/index.js';
import type { Plan } from '../definition/plan.js';
import type { Json } from '../definition/value.js';
import { AppError } from '../errors.js';
import type { Database } from '../store/database.js';
import { getPlan, putPlan } from '../store/plans.js';
import type { Compiled } from './compile-definition.js';

/** A content that was saved once: its ids are filled in. */
export interface Content {
  readonly hash: string;
  readonly data: Json;
}

/** Keeps the plan of what is about to be saved, so that no start has to compile. */
export const keepPlan = (db: Database, { plan, data, hash }: Compiled): Promise<void> =>
  putPlan(db, { hash, planFormat: plan.planFormat, data, plan });

/**
 * The plan of a saved content. It was checked when it was saved: tools and subworkflows that have gone since are the steps' to miss.
 * @throws AppError definition_invalid when the language has changed so that it is none any more
 */
export async function planOf(db: Database, { hash, data }: Content): Promise<Plan> {
  const known = await getPlan(db, hash);
  if (known !== undefined) return known;
  const { plan, problems } = compileDefinition(data);
  if (plan === null) throw new AppError('definition_invalid', `The definition ${hash} is not valid any more`, { problems });
  return plan;
}
