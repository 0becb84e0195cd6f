import type { StepType } from '../definition/plan.js';
import type { Json, Value } from '../definition/value.js';
import type { Carry, EngineEvent, StepAnswer, StepError, StepInstance, TokenUsage, Warning } from '../engine/types.js';
import type { Database } from './database.js';
import { instanceKey } from './ids.js';
import { toAppendedEvent, toAppendedEvents } from './log-event.js';
import { hasHidden, shownEvents } from './private-values.js';
import { recordEvents } from './projection.js';
import type { WriteOp } from './stream-writer.js';
import type { StepStatus } from './step-change.js';

type EventData = { readonly [key: string]: Json };

interface StepWrite {
  readonly executionId: string;
  readonly instance: StepInstance;
  readonly stepType: StepType;
}

export interface BeginStep extends StepWrite {
  readonly carry: Carry;
  /** Milliseconds: when the step starts. */
  readonly at: number;
  /** Resolved and redacted; the row keeps it. */
  readonly input: Value;
  /** Data of `step.started`. */
  readonly startedData: EventData;
  /** Unique for each attempt of the activity: the same attempt may call again after a lost answer. */
  readonly holder: string;
  /** Whether the work may be done again when an earlier attempt was cut off after `step.started`. */
  readonly mayRepeat: boolean;
  /** How the step ends when it may not; and the data of its `step.failed`. */
  readonly unknown: { readonly error: StepError; readonly data: EventData };
}

/** `run`: do the work, end it under this fence. `ended`: it has ended, do nothing. `closed`: the execution has, do nothing. */
export type Begun =
  | { readonly kind: 'run'; readonly fence: number }
  | { readonly kind: 'ended'; readonly answer: StepAnswer }
  | { readonly kind: 'closed' };

export interface EndStep extends StepWrite {
  readonly fence: number;
  readonly answer: StepAnswer;
  /** Data of `step.completed`, `step.failed` or `step.cancelled`. */
  readonly data: EventData;
  readonly model?: string;
  readonly turnIds?: readonly string[];
  /** Events that go before the step's end. */
  readonly before?: readonly EngineEvent[];
}

/** `ended`: what now stands in the row, this end or an earlier one. `superseded`: a later attempt has the step; end silently. */
export type Ended = { readonly kind: 'ended'; readonly answer: StepAnswer } | { readonly kind: 'superseded' } | { readonly kind: 'closed' };

/** A step's row as `signalbox_answer` gives it. */
export interface AnswerRow {
  readonly kind: 'ended';
  readonly status: StepStatus;
  readonly at: number;
  readonly output: Value | null;
  readonly error: StepError | null;
  readonly warnings: readonly Warning[] | null;
  readonly usage: TokenUsage | null;
}

/**
 * Checkpoint at a step's start, one transaction: writes what is carried, takes the next fence, and commits `step.started` before
 * the tool is called. May repeat: by its own attempt, and by a later one.
 */
export async function beginStep(db: Database, step: BeginStep): Promise<Begun> {
  const { events } = step.carry;
  const shown = hasHidden(events) ? await shownEvents(db, step.executionId, events) : events;
  return toBegun(await db.writer.write<BegunRow>(step.executionId, step.carry, beginOp(step, shown)));
}

/** What `signalbox_write` answers to a beginning. */
export type BegunRow = AnswerRow | Exclude<Begun, { kind: 'ended' }>;
export const toBegun = (row: BegunRow): Begun => (row.kind === 'ended' ? { kind: 'ended', answer: toAnswer(row) } : row);

/** The beginning of a step as an operation, `events` before its own. Pure. */
export function beginOp(step: Omit<BeginStep, 'carry'>, events: readonly EngineEvent[] = []): WriteOp {
  const { instance, at } = step;
  return {
    op: 'begin',
    ...rowOf(step),
    at: Math.round(at),
    input: step.input,
    holder: step.holder,
    mayRepeat: step.mayRepeat,
    events: toAppendedEvents(events),
    started: toAppendedEvent({ kind: 'step.started', ordinal: '0', at, instance, data: step.startedData }),
    unknownError: step.unknown.error,
    unknown: toAppendedEvent({ kind: 'step.failed', ordinal: '0', at, instance, data: step.unknown.data }),
  };
}

/** Checkpoint at a step's end, one transaction: a compare-and-set on the row. May repeat. */
export function endStep(db: Database, step: EndStep): Promise<Ended> {
  return end(db, step, step.fence);
}

export interface RecoverStep extends StepWrite {
  readonly carry: Carry;
  readonly answer: StepAnswer;
  readonly data: EventData;
}

/** Fences off whoever holds the step and ends it, unless it has ended. May repeat. */
export async function recoverStep(db: Database, step: RecoverStep): Promise<StepAnswer> {
  const { executionId, carry } = step;
  const events = hasHidden(carry.events) ? await shownEvents(db, executionId, carry.events) : carry.events;
  // Both go in one batch; the carried events are written also where the step had ended.
  const [, ended] = await Promise.all([recordEvents(db, executionId, { ...carry, events }), end(db, step, null)]);
  return ended.kind === 'ended' ? ended.answer : { ended: 'cancelled', at: step.answer.at };
}

async function end(db: Database, step: Omit<EndStep, 'fence'>, fence: number | null): Promise<Ended> {
  return toEnded(await db.writer.write<EndedRow>(step.executionId, null, endOp(step, fence)), step.answer);
}

/** What `signalbox_write` answers to an end. */
export type EndedRow = AnswerRow | { readonly kind: 'recorded' } | Exclude<Ended, { kind: 'ended' }>;
export function toEnded(row: EndedRow, answer: StepAnswer): Ended {
  if (row.kind === 'recorded') return { kind: 'ended', answer: { ...answer, at: Math.round(answer.at) } };
  return row.kind === 'ended' ? { kind: 'ended', answer: toAnswer(row) } : row;
}

/** The end of a step as an operation. `fence` null: whoever holds the step is fenced off. Pure. */
export function endOp(step: Omit<EndStep, 'fence'>, fence: number | null): WriteOp {
  const { answer, instance } = step;
  const end = toAppendedEvent({ kind: `step.${answer.ended}`, ordinal: '0', at: answer.at, instance, data: step.data });
  return {
    op: 'end',
    ...rowOf(step),
    fence,
    at: Math.round(answer.at),
    status: answer.ended,
    ...(answer.ended === 'completed' ? { output: answer.output, warnings: answer.warnings } : {}),
    ...(answer.ended === 'failed' ? { error: answer.error } : {}),
    ...(answer.ended === 'cancelled' ? {} : { usage: answer.usage }),
    model: step.model,
    turnIds: step.turnIds,
    events: [...toAppendedEvents(step.before ?? []), end],
  };
}

const rowOf = ({ instance, stepType }: StepWrite) => ({
  key: instanceKey(instance),
  stepId: instance.stepId,
  path: instance.iterationPath,
  attempt: instance.attempt,
  type: stepType,
});

/** What a row that has ended says to the engine. Pure. */
function toAnswer(row: AnswerRow): StepAnswer {
  const usage = row.usage === null ? {} : { usage: row.usage };
  if (row.status === 'completed') {
    return {
      ended: 'completed',
      at: row.at,
      output: row.output ?? { v: null },
      ...(row.warnings === null ? {} : { warnings: row.warnings }),
      ...usage,
    };
  }
  if (row.status === 'failed' && row.error !== null) return { ended: 'failed', at: row.at, error: row.error, ...usage };
  return { ended: 'cancelled', at: row.at };
}
