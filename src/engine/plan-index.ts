/** Finding a step or a block of a plan by name. Built once per plan object and kept beside it, never in the state. */
import type { Block, Plan, PlanStep } from '../definition/runtime.js';

const indexes = new WeakMap<Plan, ReadonlyMap<string, PlanStep>>();

/** Every step of the plan by id. */
export function stepsById(plan: Plan): ReadonlyMap<string, PlanStep> {
  const known = indexes.get(plan);
  if (known !== undefined) return known;
  const built = new Map<string, PlanStep>();
  collect(plan.steps, built);
  indexes.set(plan, built);
  return built;
}

/** @throws Error when the plan has no such step: state and plan do not belong together */
export function stepOf(plan: Plan, stepId: string): PlanStep {
  const step = stepsById(plan).get(stepId);
  if (step === undefined) throw new Error(`The plan ${plan.hash} has no step ${stepId}`);
  return step;
}

/** The steps of block `slot` of step `owner`; '' is the root. An absent `else` or `default` is empty. */
export function blockOf(plan: Plan, owner: string, slot: string): Block {
  if (owner === '') return plan.steps;
  return blocksOf(stepOf(plan, owner)).find(([name]) => name === slot)?.[1] ?? [];
}

/** Every block of a step under the iteration path's word for it; a loop's body is `i`. */
export function blocksOf(step: PlanStep): readonly (readonly [string, Block])[] {
  switch (step.type) {
    case 'conditional':
      return [
        ['then', step.then],
        ['else', step.else ?? []],
      ];
    case 'switch':
      return [...step.cases.map((one, index) => [`c${index}`, one.steps] as const), ['default', step.default ?? []]];
    case 'loop':
      return [['i', step.steps]];
    case 'parallel':
      return step.branches.map((branch, index) => [`b${index}`, branch.steps] as const);
    case 'try':
      return [
        ['try', step.steps],
        ...step.catch.map((one, index) => [`catch${index}`, one.steps] as const),
        ['finally', step.finally ?? []],
      ];
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

export const isContainer = (step: PlanStep): boolean => blocksOf(step).length > 0;

function collect(steps: Block, into: Map<string, PlanStep>): void {
  for (const step of steps) {
    into.set(step.id, step);
    for (const [, block] of blocksOf(step)) collect(block, into);
  }
}
