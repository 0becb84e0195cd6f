/** One step instance from entry to its end: `when`, attempts, recording, publication, retry, propagation. */
import { NULL_VALUE, type PlanStep, type Value } from '../definition/runtime.js';
import { applyNext } from './apply-next.js';
import { failBlock } from './block-life.js';
import { afterEnding, beginEnding } from './ending.js';
import { conditionAt } from './expression.js';
import { asJson, locate, stepError } from './faults.js';
import { handlerOf } from './handlers.js';
import { park } from './pause.js';
import { isContainer } from './plan-index.js';
import { publish } from './publish.js';
import { retryDelay } from './retry.js';
import { type At, instanceId, instanceOf, type Run } from './run.js';
import { assignSeeded, endOfSeed } from './seeded-entry.js';
import { isBeyondSegment, isTimedByHost } from './segment/bounds.js';
import { openSegment } from './segment/open.js';
import type { BlockFrame, Fiber, StepEnd, StepFrame } from './state.js';
import { tellCancelled, tellCompleted, tellFailed, tellSeeded, tellStarted, tellStep } from './tell.js';
import { armTimer, dropTimer } from './timers.js';
import type { StepError } from './types.js';

/** @returns whether the fiber goes on */
export function goOnStep(run: Run, fiber: Fiber, frame: StepFrame): boolean {
  const at: At = { run, fiber, frame, step: run.stepOf(frame.stepId) };
  switch (frame.phase) {
    case 'enter':
      return enter(at);
    case 'begin':
      return begin(at);
    case 'run':
      return run.state.paused ? park(run, fiber) : goOnRunning(at);
    case 'delay':
      // Woken by something else meanwhile: the delay goes on.
      fiber.wait = { on: 'retry' };
      return false;
    case 'ended':
      return isTimedByHost(run, frame) ? park(run, fiber) : settle(at);
  }
}

/** What a segment had begun and left goes on in the next one. */
function goOnRunning(at: At): boolean {
  const handler = handlerOf(at);
  if (handler.mayGoOnInSegment?.(at) === true && openSegment(at)) return false;
  return applyNext(at, handler.proceed(at));
}

function enter(at: At): boolean {
  const { frame, step } = at;
  if (frame.seed !== undefined) return enterSeeded(at);
  if (step.when !== undefined && !conditionAt(at, { stepId: step.id, field: 'when' }, step.when)) {
    tellStep(at, 'step.skipped');
    return leave(at, undefined);
  }
  delete frame.answers;
  frame.phase = 'begin';
  return true;
}

function enterSeeded(at: At): boolean {
  const { frame, step } = at;
  if (frame.seed?.status === 'skipped') {
    tellSeeded(at, 'skipped', NULL_VALUE, null);
    return leave(at, undefined);
  }
  frame.phase = isContainer(step) ? 'begin' : 'ended';
  return true;
}

function begin(at: At): boolean {
  const { run, fiber, frame, step } = at;
  if (run.state.paused || isBeyondSegment(run, step)) return park(run, fiber);
  if (openSegment(at)) return false;
  if (step.timeoutMs !== undefined && frame.timer === null && frame.seed?.how !== 'done' && keepsTimeHere(step))
    armTimeout(at, step.timeoutMs);
  const next = handlerOf(at).begin(at);
  delete frame.answers;
  frame.phase = 'run';
  return applyNext(at, next);
}

/** Steps that are one activity keep their time limit in it. */
function keepsTimeHere(step: PlanStep): boolean {
  return (
    isContainer(step) || step.type === 'wait' || step.type === 'approval' || step.type === 'wait_for_event' || step.type === 'subworkflow'
  );
}

function armTimeout({ run, fiber, frame }: At, timeoutMs: number): void {
  const instance = instanceOf(frame);
  const timer = { fiber: fiber.id, frame: fiber.frames.length - 1, purpose: 'timeout', at: run.state.nowMs + timeoutMs, instance } as const;
  frame.timer = armTimer(run, timer, `${instanceId(instance)}:timeout`);
}

/** Records how the attempt ended, and goes on with what follows from it. */
function settle(at: At): boolean {
  const { run, fiber, frame } = at;
  const end = endOf(frame);
  tellEnd(at, end);
  switch (end.ended) {
    case 'completed':
      publish(at, end.output);
      assignSeeded(at);
      return leave(at, end.output);
    case 'failed':
      return settleFailure(at, locate(end.error, instanceOf(frame)));
    case 'cancelled':
      return settleFailure(at, locate(stepError('internal_error', 'The step was cancelled from outside the run'), instanceOf(frame)));
    case 'passed_over':
      return leave(at, undefined);
    case 'finishes':
      if (run.state.paused) return park(run, fiber);
      beginEnding(run, end.outcome);
      return afterEnding(fiber);
  }
}

function endOf(frame: StepFrame): StepEnd {
  if (frame.seed?.how === 'done') return endOfSeed(frame.seed);
  if (frame.end === null) throw new Error(`Step ${frame.stepId} has ended without an end`);
  return frame.end;
}

/** Tells the end once. What an activity has recorded is not told again. */
export function tellEnd(at: At, end: StepEnd): void {
  const { run, frame } = at;
  if (frame.told) return;
  frame.told = true;
  dropTimer(run, frame.timer);
  frame.timer = null;
  if (frame.seed?.how === 'done') return tellSeeded(at, frame.seed.status, frame.seed.output, frame.seed.error);
  if (end.recorded) return;
  if (!frame.started && end.ended !== 'cancelled' && end.ended !== 'passed_over') tellStarted(at);
  switch (end.ended) {
    case 'completed':
      return tellCompleted(at, end.output);
    case 'failed':
      return tellFailed(at, locate(end.error, instanceOf(frame)));
    case 'cancelled':
      if (frame.started) tellCancelled(at);
      return;
    case 'passed_over':
      return tellCancelled(at, end.reason);
    case 'finishes':
      return end.error === null ? tellCompleted(at, end.output) : tellFailed(at, locate(end.error, instanceOf(frame)));
  }
}

function settleFailure(at: At, error: StepError): boolean {
  const { run, fiber, frame, step } = at;
  const delayMs = frame.seed?.how === 'done' ? undefined : retryDelay(step.retry, error, frame.attempt - frame.first + 1);
  if (delayMs !== undefined) return delayRetry(at, error, delayMs);
  if (step.onError === 'continue') return leave(at, NULL_VALUE);
  leave(at, NULL_VALUE);
  return failBlock(run, fiber, error);
}

function delayRetry(at: At, error: StepError, delayMs: number): boolean {
  const { run, fiber, frame } = at;
  tellStep(at, 'step.retrying', { attempt: frame.attempt, delayMs, error: asJson(error) });
  const instance = instanceOf(frame);
  const timer = { fiber: fiber.id, frame: fiber.frames.length - 1, purpose: 'retry', at: run.state.nowMs + delayMs, instance } as const;
  if (delayMs === 0) {
    nextAttempt(frame);
    return true;
  }
  frame.phase = 'delay';
  frame.timer = armTimer(run, timer, `${instanceId(instance)}:retry`);
  fiber.wait = { on: 'retry' };
  // It is the host that waits: the segment ends.
  if (run.state.segment !== undefined) run.state.paused = true;
  return false;
}

/** A new attempt under the same key. Its children's instances are new: their attempts go on above the highest so far. */
export function nextAttempt(frame: StepFrame): void {
  frame.attempt += 1;
  frame.childBase = Math.max(frame.childBase, frame.high);
  Object.assign(frame, { phase: 'begin', started: false, data: null, end: null, told: false, timer: null });
  delete frame.input;
  delete frame.answers;
  delete frame.warnings;
  delete frame.recovering;
  delete frame.seed;
}

/** Takes the step off the stack; `last` is what a container may publish as the output of its last step. */
export function leave({ run, fiber, frame }: At, last: Value | undefined): true {
  fiber.frames.pop();
  const block = fiber.frames.at(-1) as BlockFrame;
  block.high = Math.max(block.high, frame.attempt, frame.high);
  block.index += 1;
  if (block.owner === '' && fiber.unwinds.length === 0) run.state.done = block.index;
  if (last !== undefined) block.last = last;
  return true;
}
