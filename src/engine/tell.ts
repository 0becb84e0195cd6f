/** Events as the engine tells them. Terminal events, `execution.started` and `.cancelling` are written with the row, not here. */
import { type Json, objectValue, toDisplay, type Value } from '../definition/runtime.js';
import { modelOf } from './agent/agent-loop.js';
import { foreignExchange } from './agent/threads.js';
import { asJson } from './faults.js';
import { type At, instanceOf, type Run } from './run.js';
import type { StepFrame } from './state.js';
import type { EngineEvent, EventKind, StepError, Warning } from './types.js';

type Data = { readonly [key: string]: Json };
type Record_ = NonNullable<EngineEvent['record']>;

/** An event of the execution as a whole. */
export function tellExecution(run: Run, kind: EventKind, data: Data = {}): void {
  run.events.push({ kind, ordinal: run.nextId(), at: run.state.nowMs, instance: null, data });
}

export function tellStep(at: Pick<At, 'run' | 'frame' | 'step'>, kind: EventKind, data: Data = {}, record?: Record_): void {
  const { run, frame, step } = at;
  const event: EngineEvent = {
    kind,
    ordinal: run.nextId(),
    at: run.state.nowMs,
    instance: instanceOf(frame),
    stepType: step.type,
    data,
  };
  run.events.push(record === undefined ? event : { ...event, record });
}

/** A seeded instance gets its row, marked; the store appends no event for it. */
export function tellSeeded(at: At, status: 'completed' | 'failed' | 'skipped', output: Value, error: StepError | null): void {
  const kind = `step.${status}` as const;
  tellStep(
    at,
    kind,
    {},
    { ...(status === 'completed' ? { output } : {}), ...(error === null ? {} : { error }), ...choiceOf(at), seeded: true },
  );
}

/** A container that is only walked again for a rerun has begun elsewhere. */
export function tellStarted(at: At): void {
  if (at.frame.seed?.how === 'done') return;
  at.frame.started = true;
  const input = inputOf(at.frame);
  if (input === undefined) tellStep(at, 'step.started', { input: null }, { ...choiceOf(at) });
  else tellStep(at, 'step.started', { input: toDisplay(input) }, { input, ...choiceOf(at) });
}

export function tellCompleted(at: At, output: Value): void {
  const warnings = warningsOf(at.frame);
  const data = {
    ...inputData(at.frame),
    output: toDisplay(output),
    ...(warnings.length > 0 ? { warnings: warnings as unknown as Json } : {}),
  };
  tellStep(at, 'step.completed', data, {
    ...inputRecord(at.frame),
    output,
    ...(warnings.length > 0 ? { warnings } : {}),
    ...choiceOf(at),
    ...agentRecord(at.frame),
  });
}

export function tellFailed(at: At, error: StepError): void {
  tellStep(
    at,
    'step.failed',
    { ...inputData(at.frame), error: asJson(error) },
    {
      ...inputRecord(at.frame),
      error,
      ...choiceOf(at),
      ...agentRecord(at.frame),
    },
  );
}

export function tellCancelled(at: At, reason?: string): void {
  tellStep(at, 'step.cancelled', reason === undefined ? {} : { reason }, { ...choiceOf(at), ...agentRecord(at.frame) });
}

/** A loop's list is kept once, in its data. */
function inputOf({ input, data }: StepFrame): Value | undefined {
  return data?.type === 'loop' && data.list !== null ? objectValue([['over', data.list]]) : input;
}

function inputData(frame: StepFrame): Data {
  const input = inputOf(frame);
  return input === undefined ? {} : { input: toDisplay(input) };
}

function inputRecord(frame: StepFrame): Record_ {
  const input = inputOf(frame);
  return input === undefined ? {} : { input };
}

const warningsOf = (frame: StepFrame): readonly Warning[] => frame.warnings ?? [];

/** What a rerun must know to walk the same way: branch, case, list and passes. */
function choiceOf({ run, frame }: Pick<At, 'run' | 'frame'>): { choice?: Json } {
  const { data, seed } = frame;
  switch (data?.type) {
    case 'branching':
      return { choice: { slot: data.slot } };
    case 'loop':
      return { choice: { list: data.list as unknown as Json, count: data.count, passes: data.next } };
    case 'parallel':
      return { choice: { branches: data.branches.map(({ status }) => status) } };
    case 'try':
      return { choice: { handler: data.handler } };
    case 'agent':
      return { choice: { thread: data.thread, entry: foreignExchange(run.state.execution.id, instanceOf(frame)) } };
    case 'gate':
    case 'wait':
    case 'event':
    case 'child':
      return {};
    case undefined:
      return seed?.stepType === 'agent_prompt' ? { choice: seed.choice } : {};
  }
}

/** What an agent's turns have cost, whichever way the step ended. */
function agentRecord({ data }: StepFrame): Record_ {
  if (data?.type !== 'agent' || data.agent.call === 0) return {};
  const { usage, turnIds } = data.agent;
  return { usage, turnIds, model: modelOf(data.agent) };
}
