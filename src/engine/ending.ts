/** The end of the run: first take everything down (with clean-up), then `finish`, the last command. */
import type { Run } from './run.js';
import { unpark } from './pause.js';
import { type Fiber, ROOT_FIBER } from './state.js';
import type { ExecutionOutcome } from './types.js';
import { abortFiber, activeUnwind, CLEANUP_MS } from './unwind.js';

/** A clean-up at the end of a run may enter this many steps. */
const CLEANUP_STEPS = 200;

/** Takes the whole run down; `outcome` is how it then ends. A cancel that comes later turns it into cancelled, nothing else does. */
export function beginEnding(run: Run, outcome: ExecutionOutcome): void {
  const { state } = run;
  if (state.finished) return;
  if (state.ending !== null) {
    if (outcome.requested) state.ending.outcome = outcome;
    return;
  }
  const deadline = state.nowMs + CLEANUP_MS;
  state.ending = { outcome, deadline, steps: 0 };
  unpark(run);
  const root = run.fiber(ROOT_FIBER);
  if (root !== undefined) abortFiber(run, root, { deadline, hard: false });
}

/** What a fiber does that has just ended the run: unwinds at once, or waits until its parent takes it down. */
export function afterEnding(fiber: Fiber): boolean {
  if (activeUnwind(fiber) !== undefined) return true;
  fiber.wait = { on: 'ending' };
  return false;
}

/** Counts a step of the clean-up. @returns false when it had too many: all of it is aborted */
export function countCleanupStep(run: Run): boolean {
  const { ending } = run.state;
  if (ending === null) return true;
  ending.steps += 1;
  if (ending.steps <= CLEANUP_STEPS) return true;
  for (const fiber of Object.values(run.state.fibers)) abortFiber(run, fiber, { deadline: run.state.nowMs, hard: true });
  return false;
}

/** Nothing of the run is left: the last command. */
export function finish(run: Run, outcome: ExecutionOutcome): void {
  const { state } = run;
  for (const id of Object.keys(state.timers)) run.order({ kind: 'cancel_timer', id });
  Object.assign(state, {
    finished: true,
    status: outcome.status,
    fibers: {},
    ready: [],
    parked: [],
    deferred: [],
    timers: {},
    gates: {},
    children: {},
    seeds: {},
    inbox: [],
  });
  run.order({ kind: 'finish', outcome });
}
