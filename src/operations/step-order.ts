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

/**
 * The order in which they run, one branch after the other: as in the definition, a container before what is in it, each pass as a whole.
 * Steps that the plan does not know come last. Pure.
 */
export function inRunningOrder<T>(plan: Plan | undefined, items: readonly T[], stepOf: (item: T) => StepInstance): T[] {
  const places = new Map([...(plan === undefined ? [] : stepsById(plan).keys())].map((id, index) => [id, index]));
  const placeOf = (id: string): number => places.get(id) ?? places.size;
  return items.toSorted((a, b) => compareRunning(stepOf(a), stepOf(b), placeOf));
}

function compareRunning(a: StepInstance, b: StepInstance, placeOf: (id: string) => number): number {
  const [left, right] = [wayTo(a), wayTo(b)];
  const depth = left.findIndex((segment, index) => segment !== right[index]);
  if (depth < 0) return left.length - right.length || a.attempt - b.attempt;
  const [mine, other] = [left[depth] ?? '', right[depth]];
  if (other === undefined) return 1;
  const [id, otherId] = [idOf(mine), idOf(other)];
  return placeOf(id) - placeOf(otherId) || compareIterationPaths(mine, other);
}

/** `loopA:i0`, `step`. */
const wayTo = ({ iterationPath, stepId }: StepInstance): string[] => [...(iterationPath === '' ? [] : iterationPath.split('/')), stepId];

const idOf = (segment: string): string => segment.split(':')[0] ?? segment;
