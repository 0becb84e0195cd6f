/** A fiber without frames: its end goes to the container that it worked for, or ends the run. */
import { finish } from './ending.js';
import { handlerOf } from './handlers.js';
import { park } from './pause.js';
import { type At, type Run, wake } from './run.js';
import { type Fiber, ROOT_FIBER, type StepFrame } from './state.js';
import { dropTimer } from './timers.js';
import type { ExecutionOutcome } from './types.js';

/** @returns false: the fiber is gone, or waits to go */
export function endFiber(run: Run, fiber: Fiber): false {
  const isAborted = fiber.end?.ended === 'cancelled' || fiber.unwinds.length > 0;
  if (run.state.paused && !isAborted) return park(run, fiber);
  dropTimer(run, fiber.cleanupTimer);
  fiber.cleanupTimer = null;
  if (fiber.id === ROOT_FIBER) return endRun(run, fiber);
  delete run.state.fibers[fiber.id];
  reportToParent(run, fiber);
  return false;
}

function reportToParent(run: Run, fiber: Fiber): void {
  const parent = fiber.parent === null ? undefined : run.fiber(fiber.parent.fiber);
  if (parent === undefined || fiber.parent === null || fiber.end === null) return;
  const frame = parent.frames[fiber.parent.frame] as StepFrame;
  const at: At = { run, fiber: parent, frame, step: run.stepOf(frame.stepId) };
  frame.high = Math.max(frame.high, fiber.end.high);
  handlerOf(at).childEnded?.(at, fiber.parent.slot, fiber.end);
  wake(run, parent);
}

function endRun(run: Run, fiber: Fiber): false {
  if (Object.keys(run.state.calls).length > 0) {
    fiber.wait = { on: 'call' };
    return false;
  }
  finish(run, outcomeOf(run, fiber));
  return false;
}

function outcomeOf({ state }: Run, { end }: Fiber): ExecutionOutcome {
  if (state.ending !== null) return state.ending.outcome;
  if (end?.ended === 'completed') return { status: 'completed', output: end.output, error: null, reason: null, requested: false };
  if (end?.ended === 'failed') return { status: 'failed', output: { v: null }, error: end.error, reason: null, requested: false };
  throw new Error('The root fiber was taken down without an ending');
}
