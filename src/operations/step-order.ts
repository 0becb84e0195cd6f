/** The order in which readers see steps: as in the definition, then by iteration path, then attempt. Pure. */
import type { Block, Plan, PlanStep } from '../definition/plan.js';
import type { StepInstance } from '../engine/types.js';

/** The blocks inside a step, in author order. */
function blocksOf(step: PlanStep): readonly Block[] {
  switch (step.type) {
    case 'conditional':
      return [step.then, step.else ?? []];
    case 'switch':
      return [...step.cases.map((each) => each.steps), step.default ?? []];
    case 'loop':
      return [step.steps];
    case 'parallel':
      return step.branches.map((branch) => branch.steps);
    case 'try':
      return [step.steps, ...step.catch.map((handler) => handler.steps), step.finally ?? []];
    case 'agent_prompt':
    case 'tool':
    case 'bash':
    case 'notify':
    case 'approval':
    case 'set':
    case 'wait':
    case 'wait_for_event':
    case 'subworkflow':
    case 'stop':
      return [];
  }
}

/** Every step of a plan with its place in document order. */
export function stepPlaces(plan: Plan): ReadonlyMap<string, { readonly index: number; readonly name: string | null }> {
  const places = new Map<string, { index: number; name: string | null }>();
  const visit = (block: Block): void => {
    for (const step of block) {
      places.set(step.id, { index: places.size, name: step.name ?? null });
      blocksOf(step).forEach(visit);
    }
  };
  visit(plan.steps);
  return places;
}

/** Rows of steps that the plan does not know come last. */
export function inDefinitionOrder<T extends StepInstance>(places: ReadonlyMap<string, { readonly index: number }>, steps: readonly T[]): T[] {
  const place = ({ stepId }: T): number => places.get(stepId)?.index ?? places.size;
  return steps.toSorted((a, b) => place(a) - place(b) || comparePaths(a.iterationPath, b.iterationPath) || a.attempt - b.attempt);
}

/** Segment by segment; numbers as numbers, so that pass 10 comes behind pass 9. Pure. */
export function comparePaths(a: string, b: string): number {
  const left = partsOf(a);
  const right = partsOf(b);
  for (let index = 0; index < Math.min(left.length, right.length); index += 1) {
    const order = compareParts(left[index] ?? '', right[index] ?? '');
    if (order !== 0) return order;
  }
  return left.length - right.length;
}

const partsOf = (path: string): (string | number)[] => path.split(/(\d+)/).map((part) => (/^\d+$/.test(part) ? Number(part) : part));

function compareParts(a: string | number, b: string | number): number {
  if (typeof a === 'number' && typeof b === 'number') return a - b;
  const [left, right] = [String(a), String(b)];
  return left < right ? -1 : left > right ? 1 : 0;
}
