/** From the rows of an execution to what a rerun of it starts with: everything before the chosen step instance (durability §13). Pure. */
import type { Plan } from '../definition/runtime.js';
import { type RecordedStep, refuse, Refused, type RerunRefusal, type RerunTarget } from './rerun-refusal.js';
import { SeedWalk } from './seed-walk.js';
import type { Seed } from './types.js';

export type { RecordedStep, RerunRefusal, RerunTarget } from './rerun-refusal.js';

/**
 * Seeds for a rerun from a step instance, under the plan that the rerun uses. Before it counts: earlier steps of its block and of those around it,
 * earlier passes, finished sibling branches. All of that needs a recorded result.
 * @returns `refused` with the reason when it cannot start there: 409 rerun_not_possible
 */
export function buildSeeds(
  plan: Plan,
  rows: readonly RecordedStep[],
  target: RerunTarget,
): { readonly seeds: readonly Seed[] } | { readonly refused: RerunRefusal } {
  try {
    const seeds = new SeedWalk(plan, rows).walk(target);
    if (target.isChanged) refuseBehindGates(seeds);
    return { seeds };
  } catch (thrown) {
    if (thrown instanceof Refused) return { refused: thrown.refusal };
    throw thrown;
  }
}

/** Nobody's approval is carried to content that they did not see. */
function refuseBehindGates(seeds: readonly Seed[]): void {
  const gate = seeds.find(({ stepType, how, status }) => stepType === 'approval' && how === 'done' && status !== 'skipped');
  if (gate !== undefined)
    refuse(
      'approval_needed',
      `With other variables or another version the approval ${gate.stepId} has to be given again: rerun from there`,
      gate.stepId,
      gate.iterationPath,
    );
}
