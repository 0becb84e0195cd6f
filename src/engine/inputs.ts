/** What each kind of input does to the state before fibers run. Late, repeated and unknown ones change nothing. */
import { applyNext } from './apply-next.js';
import { beginEnding } from './ending.js';
import { addWarnings, topFrame } from './expression.js';
import { stepError } from './faults.js';
import { handlerOf } from './handlers.js';
import { unpark } from './pause.js';
import { type At, type Run, wake } from './run.js';
import { type ChildEnd, type Fiber, ROOT_FIBER } from './state.js';
import { takeSegment } from './segment/graft.js';
import type { Next } from './step-handler.js';
import { takeStored } from './store-values.js';
import { tellExecution } from './tell.js';
import { armMaxDuration, fireDeferred, fireTimer } from './timer-fired.js';
import type { ActivityResult, GateOutcome, Input } from './types.js';
import { activeUnwind } from './unwind.js';

type Of<K extends Input['kind']> = Extract<Input, { kind: K }>;

export function handleInput(run: Run, input: Input): void {
  switch (input.kind) {
    case 'start':
      return start(run);
    case 'answered':
      return answered(run, input);
    case 'timer':
      return fireTimer(run, input.id);
    case 'gate':
      return gate(run, input.gate);
    case 'event':
      return event(run, input);
    case 'child_started':
      return childStarted(run, input.id);
    case 'child_ended':
      return childEnded(run, input.executionId, input.outcome);
    case 'cancel':
      return cancel(run, input);
    case 'pause':
      return pause(run, input);
    case 'resume':
      return resume(run, input);
    case 'halt':
      run.state.paused = true;
      return;
    case 'continue':
      return;
  }
}

/** A run that may last at most this long has its timer from the start; others arm it when they come to rest. */
const SHORT_RUN_MS = 15 * 60_000;

function start(run: Run): void {
  const { state } = run;
  if (state.isStarted) return;
  state.isStarted = true;
  state.startedAt = state.nowMs;
  if (run.plan.constraints.maxDurationMs <= SHORT_RUN_MS) armMaxDuration(run);
  const root = run.fiber(ROOT_FIBER);
  if (root !== undefined) wake(run, root);
}

function answered(run: Run, { id, result }: Pick<Of<'answered'>, 'id' | 'result'>): void {
  const call = Object.hasOwn(run.state.calls, id) ? run.state.calls[id] : undefined;
  if (call === undefined || call.name === 'start_child') return;
  delete run.state.calls[id];
  if (call.name === 'store') return takeStored(run, id, result);
  const fiber = run.fiber(call.fiber);
  const { part } = call;
  if (fiber !== undefined && part !== undefined) return deliver(run, fiber, (at) => handlerOf(at).answered?.(at, result, part));
  if (fiber === undefined || fiber.call?.id !== id) return;
  fiber.call = null;
  if (call.segment !== undefined) {
    for (const late of takeSegment(run, fiber, call.segment, result)) answered(run, late);
    return;
  }
  if (call.site !== undefined) return takeEvaluation(run, fiber, call.site, result);
  deliver(run, fiber, (at) => handlerOf(at).answered?.(at, result));
}

/** Hands something to the step on top of a fiber and lets the fiber go on when that changes what it does. */
function deliver(run: Run, fiber: Fiber, hand: (at: At) => Next | undefined): void {
  const frame = fiber.frames.at(-1);
  if (frame?.k !== 'step' || frame.phase === 'ended') return;
  const at: At = { run, fiber, frame, step: run.stepOf(frame.stepId) };
  const next = hand(at);
  if (next === undefined) return;
  if (applyNext(at, next) || activeUnwind(fiber) !== undefined) wake(run, fiber);
}

function takeEvaluation(run: Run, fiber: Fiber, site: string, result: ActivityResult): void {
  const top = topFrame(fiber);
  const answers = (top.answers ??= {});
  answers[site] = evaluationAnswer(result);
  if (result.of === 'value' && result.warnings !== undefined && top.k === 'step') {
    addWarnings(top, result.warnings);
  }
  wake(run, fiber);
}

function evaluationAnswer(result: ActivityResult) {
  if (result.of === 'value') return { value: result.value };
  if (result.of === 'fault') return { error: result.error };
  if (result.of === 'step' && result.answer.ended === 'failed') return { error: result.answer.error };
  return { error: stepError('internal_error', 'An expression could not be evaluated: its activity gave no answer', { retryable: true }) };
}

function gate(run: Run, outcome: GateOutcome): void {
  const owner = Object.hasOwn(run.state.gates, outcome.approvalId) ? run.state.gates[outcome.approvalId] : undefined;
  const fiber = owner === undefined ? undefined : run.fiber(owner);
  if (fiber === undefined || outcome.status === 'pending') return;
  deliver(run, fiber, (at) => handlerOf(at).gate?.(at, outcome));
}

/** How many ids of handled events and commands are remembered against repeats. */
const REMEMBERED_IDS = 1_000;

/** Remembers the id. @returns whether it was handled before */
function isRepeat({ state }: Run, id: string): boolean {
  if (state.handledEvents.includes(id)) return true;
  state.handledEvents = [...state.handledEvents, id].slice(-REMEMBERED_IDS);
  return false;
}

function event(run: Run, { id, event: name, payload }: Of<'event'>): void {
  const { state } = run;
  if (isRepeat(run, id)) return;
  state.inbox.push({ seq: run.nextSerial(), event: name, payload, at: state.nowMs });
  for (const fiber of Object.values(state.fibers)) {
    if (fiber.wait?.on === 'event' && fiber.wait.event === name) wake(run, fiber);
  }
}

function childStarted(run: Run, id: string): void {
  const call = Object.hasOwn(run.state.calls, id) ? run.state.calls[id] : undefined;
  if (call?.name !== 'start_child') return;
  delete run.state.calls[id];
  const fiber = run.fiber(call.fiber);
  if (fiber === undefined || fiber.call?.id !== id) return;
  fiber.call = null;
  deliver(run, fiber, (at) => handlerOf(at).childStarted?.(at));
}

/** An end may come before the engine knows the child, or knows that it has started. */
function childEnded(run: Run, executionId: string, end: ChildEnd): void {
  const { state } = run;
  const owner = Object.hasOwn(state.children, executionId) ? state.children[executionId] : undefined;
  const fiber = owner === undefined ? undefined : run.fiber(owner);
  if (fiber !== undefined && fiber.call === null) return deliver(run, fiber, (at) => handlerOf(at).childExecutionEnded?.(at, end));
  const isExpected = fiber !== undefined || Object.values(state.calls).some(({ name }) => name === 'prepare_child');
  if (isExpected) state.earlyEnds[executionId] = end;
}

function cancel(run: Run, { reason }: Of<'cancel'>): void {
  beginEnding(run, { status: 'cancelled', output: { v: null }, error: null, reason: reason ?? 'cancel_requested', requested: true });
  fireDeferred(run);
}

function pause(run: Run, { id, by }: Of<'pause'>): void {
  const { state } = run;
  if (id !== undefined && isRepeat(run, id)) return;
  if (state.paused || state.ending !== null) return;
  state.paused = true;
  tellExecution(run, 'execution.paused', { by });
}

function resume(run: Run, { id, by }: Of<'resume'>): void {
  if (id !== undefined && isRepeat(run, id)) return;
  if (!run.state.paused) return;
  tellExecution(run, 'execution.resumed', { by });
  unpark(run);
  fireDeferred(run);
}
