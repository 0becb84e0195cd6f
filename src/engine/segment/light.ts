/** Which steps a segment may run (durability §6). Facts of the plan, worked out once per step. */
import type { Block, PlanStep } from '../../definition/runtime.js';
import { blocksOf } from '../plan-index.js';

/** What is known of a step and everything in it. */
interface Weight {
  /** No step of it needs the host. */
  readonly isLight: boolean;
  /** There is a tool in it. */
  readonly hasTool: boolean;
  /** Steps entered when each of its blocks runs once; as many passes of a concurrent loop as may run at once. */
  readonly steps: number;
}

/** At most so many steps in one segment (durability §6); they are reserved of the run's `maxSteps`. */
export const SEGMENT_STEPS = 200;

const weights = new WeakMap<PlanStep, Weight>();

function weightOf(step: PlanStep): Weight {
  const known = weights.get(step);
  if (known !== undefined) return known;
  const inner = blocksOf(step).flatMap(([, block]) => block.map(weightOf));
  const weight: Weight = {
    isLight: isLightItself(step) && inner.every(({ isLight }) => isLight),
    hasTool: step.type === 'tool' || inner.some(({ hasTool }) => hasTool),
    steps: 1 + passesAtOnce(step) * inner.reduce((sum, { steps }) => sum + steps, 0),
  };
  weights.set(step, weight);
  return weight;
}

/** A container's own time limit needs a timer, which is the host's. */
function isLightItself(step: PlanStep): boolean {
  switch (step.type) {
    case 'tool':
      return step.light === true;
    case 'set':
      return true;
    case 'conditional':
    case 'switch':
    case 'try':
    case 'loop':
    case 'parallel':
      return step.timeoutMs === undefined;
    case 'agent_prompt':
    case 'bash':
    case 'notify':
    case 'approval':
    case 'wait':
    case 'wait_for_event':
    case 'subworkflow':
    case 'stop':
      return false;
  }
}

/** Runs its blocks in fibers of their own, which a segment holds up until the last of them rests. */
const isConcurrent = (step: PlanStep): boolean =>
  step.type === 'parallel' || (step.type === 'loop' && step.concurrency > 1 && step.while === undefined);

const passesAtOnce = (step: PlanStep): number => (step.type === 'loop' && isConcurrent(step) ? step.concurrency : 1);

/** All that its author wants at once fits into one segment; else its branches have segments of their own, as many as they are. */
const fitsWhole = (step: PlanStep): boolean => weightOf(step).isLight && weightOf(step).steps <= SEGMENT_STEPS;

/** Whether a segment may begin the step. What lies in it is looked at when it is met, except where branches would wait for each other. */
export const mayBegin = (step: PlanStep): boolean => (isConcurrent(step) ? fitsWhole(step) : isLightItself(step));

/** Whether the host opens a segment for the step rather than begin it itself: there is a call in it, or soon. */
export const isWorthSegment = (step: PlanStep): boolean =>
  step.type === 'tool' ? step.light === true : isConcurrent(step) && fitsWhole(step) && weightOf(step).hasTool;

/** Steps that one pass or branch enters, each counted once. */
export const stepsIn = (block: Block): number => block.reduce((sum, step) => sum + weightOf(step).steps, 0);
