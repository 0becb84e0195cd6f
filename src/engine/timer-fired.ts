/** What a timer that fired does. Its record in the state says whose it was; without one it was cancelled, and nothing happens. */
import { agentLimitMs, agentTimeoutError } from './agent/agent-errors.js';
import { applyNext } from './apply-next.js';
import { beginEnding } from './ending.js';
import { handlerOf } from './handlers.js';
import { stepError } from './faults.js';
import { type Run, wake } from './run.js';
import { type Fiber, ROOT_FIBER, type StepFrame, type Timer } from './state.js';
import { nextAttempt } from './step-life.js';
import { armTimer, dropTimer } from './timers.js';
import { cleanupIsOver, CLEANUP_MS, insertUnwind } from './unwind.js';

export function fireTimer(run: Run, id: string): void {
  const { state } = run;
  const timer = Object.hasOwn(state.timers, id) ? state.timers[id] : undefined;
  if (timer === undefined || state.deferred.includes(id)) return;
  // Clocks run on while paused; what a limit does to its step starts at resume.
  if (timer.purpose === 'timeout' && state.paused) {
    state.deferred.push(id);
    return;
  }
  delete state.timers[id];
  if (timer.purpose === 'max_duration') return maxDurationIsOver(run);
  const fiber = run.fiber(timer.fiber);
  if (fiber !== undefined) fireFor(run, fiber, timer, id);
}

/** A step's limit that has ended what was in flight for it already: what follows starts now, also while paused. */
export function enforceLimit(run: Run, id: string): void {
  const timer = run.state.timers[id];
  if (timer === undefined) return;
  dropTimer(run, id);
  const fiber = run.fiber(timer.fiber);
  if (fiber !== undefined) timeOut(run, fiber, timer, id);
}

/** Limits that passed while the run was paused. */
export function fireDeferred(run: Run): void {
  const { deferred } = run.state;
  run.state.deferred = [];
  for (const id of deferred) fireTimer(run, id);
}

function fireFor(run: Run, fiber: Fiber, timer: Timer, id: string): void {
  switch (timer.purpose) {
    case 'cleanup':
      return cleanupIsOver(run, fiber);
    case 'retry':
      return retry(run, fiber, timer, id);
    case 'timeout':
      return timeOut(run, fiber, timer, id);
    case 'wait':
    case 'gate':
    case 'event':
      return waitIsOver(run, fiber, timer, id);
    case 'max_duration':
      return;
  }
}

function stepFrameAt(fiber: Fiber, index: number) {
  const frame = fiber.frames[index];
  return frame?.k === 'step' ? frame : undefined;
}

function retry(run: Run, fiber: Fiber, timer: Timer, id: string): void {
  const frame = stepFrameAt(fiber, timer.frame);
  if (frame?.timer !== id || frame.phase !== 'delay') return;
  nextAttempt(frame);
  wake(run, fiber);
}

function timeOut(run: Run, fiber: Fiber, timer: Timer, id: string): void {
  const frame = stepFrameAt(fiber, timer.frame);
  if (frame?.timer !== id || frame.end !== null) return;
  frame.timer = null;
  const step = run.stepOf(frame.stepId);
  const error =
    step.type === 'agent_prompt'
      ? agentTimeoutError(agentLimitMs(step))
      : stepError('step_timeout', `Step ${frame.stepId} took longer than its time limit`, { retryable: true });
  insertUnwind(run, fiber, { depth: timer.frame, error, deadline: run.state.nowMs + CLEANUP_MS, hard: false });
}

function waitIsOver(run: Run, fiber: Fiber, timer: Timer, id: string): void {
  const frame = stepFrameAt(fiber, timer.frame);
  if (frame === undefined || frame !== fiber.frames.at(-1) || frame.end !== null || !isOf(timer, frame)) return;
  const at = { run, fiber, frame, step: run.stepOf(frame.stepId) };
  const next = handlerOf(at).timer?.(at, timer.purpose, id);
  if (next !== undefined && applyNext(at, next)) wake(run, fiber);
}

/** Another step may stand where the timer's stood. */
function isOf({ instance }: Timer, { stepId, path, attempt }: StepFrame): boolean {
  return instance?.stepId === stepId && instance.iterationPath === path && instance.attempt === attempt;
}

const MAX_DURATION_TIMER = 'max_duration';

export function armMaxDuration(run: Run): void {
  const { state } = run;
  if (!state.isStarted || state.timers[MAX_DURATION_TIMER] !== undefined || state.ending !== null) return;
  const at = state.startedAt + run.plan.constraints.maxDurationMs;
  armTimer(run, { fiber: ROOT_FIBER, frame: -1, purpose: 'max_duration', at, instance: null }, MAX_DURATION_TIMER);
}

/** Whether a retry's delay, which counts as running, reaches beyond the run's own limit: a server's Retry-After may be years. */
export function outlasts({ state, plan }: Run): boolean {
  const end = state.startedAt + plan.constraints.maxDurationMs;
  return Object.values(state.timers).some(({ purpose, at }) => purpose === 'retry' && at > end);
}

/** Looked at with every input, as a busy run has no timer for it. */
export function checkMaxDuration(run: Run): void {
  const { state } = run;
  if (!state.isStarted || state.ending !== null) return;
  if (state.nowMs - state.startedAt >= run.plan.constraints.maxDurationMs) maxDurationIsOver(run);
}

function maxDurationIsOver(run: Run): void {
  const { maxDurationMs } = run.plan.constraints;
  const error = stepError('max_duration_exceeded', `The run lasted longer than ${maxDurationMs} ms`, { details: { maxDurationMs } });
  beginEnding(run, { status: 'failed', output: { v: null }, error, reason: null, requested: false });
  fireDeferred(run);
}
