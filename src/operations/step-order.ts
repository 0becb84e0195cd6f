import { compareIterationPaths } from '../definition/iteration-path.js';
import type { Plan } from '../definition/plan.js';
import { stepsById } from '../engine/index.js';
import type { StepInstance } from '../engine/types.js';

/**
 * The order in which readers see steps: as in the definition, then by iteration path, then attempt. Rows of steps that the plan does
 * not know come last. Pure.
 */
export function inDefinitionOrder<T extends StepInstance>(plan: Plan | undefined, steps: readonly T[]): T[] {
  const places = new Map([...(plan === undefined ? [] : stepsById(plan).keys())].map((id, index) => [id, index]));
  const place = ({ stepId }: T): number => places.get(stepId) ?? places.size;
  return steps.toSorted((a, b) => place(a) - place(b) || compareIterationPaths(a.iterationPath, b.iterationPath) || a.attempt - b.attempt);
}
