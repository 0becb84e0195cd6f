/** Where a segment stops (durability §6): what lies behind is the host's, which goes on from the very same place. */
import type { PlanStep } from '../../definition/runtime.js';
import type { Run } from '../run.js';
import type { Fiber, StepFrame } from '../state.js';
import { mayBegin } from './light.js';

/** The fiber that the segment runs, whose end belongs to the run; false in the host. */
export const isSegmentsOwn = ({ state }: Run, fiber: Fiber): boolean => state.segment?.fiber === fiber.id;

/** Before the next step of a block, or its end when there is none: the steps are used up, or it is the end of the segment's own fiber. */
export function leavesSegment(run: Run, fiber: Fiber, next: PlanStep | undefined): boolean {
  const { segment } = run.state;
  if (segment === undefined) return false;
  return next === undefined ? isSegmentsOwn(run, fiber) && fiber.frames.length === 1 : segment.stepsLeft <= 0;
}

/** Such a step is the host's. */
export const isBeyondSegment = ({ state }: Run, step: PlanStep): boolean => state.segment !== undefined && !mayBegin(step);

/**
 * The end of a step whose time limit the host keeps: it would not know, when the limit comes, that what it then aborts is not the step's
 * any more.
 */
export const isTimedByHost = ({ state }: Run, { timer }: StepFrame): boolean =>
  state.segment !== undefined && timer !== null && state.timers[timer] === undefined;
