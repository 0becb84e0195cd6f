import type { StepType } from '../definition/plan.js';
import type { Json, Value } from '../definition/value.js';
import type { Carry, EngineEvent, StepAnswer, StepError, StepInstance, TokenUsage, Warning } from '../engine/types.js';
import type { Database } from './database.js';
import { instanceKey } from './ids.js';
import { toAppendedEvent, toAppendedEvents } from './log-event.js';
import { recordEvents } from './projection.js';
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
interface AnswerRow {
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
  const { instance, at } = step;
  const begun = await db.writer.write<AnswerRow | Exclude<Begun, { kind: 'ended' }>>(step.executionId, step.carry, {
    op: 'begin',
    ...rowOf(step),
    at: Math.round(at),
    input: step.input,
    holder: step.holder,
    mayRepeat: step.mayRepeat,
    events: toAppendedEvents(step.carry.events),
    started: toAppendedEvent({ kind: 'step.started', ordinal: '0', at, instance, data: step.startedData }),
    unknownError: step.unknown.error,
    unknown: toAppendedEvent({ kind: 'step.failed', ordinal: '0', at, instance, data: step.unknown.data }),
  });
  return begun.kind === 'ended' ? { kind: 'ended', answer: toAnswer(begun) } : begun;
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
  // Both go in one batch; the carried events are written also where the step had ended.
  const [, ended] = await Promise.all([recordEvents(db, step.executionId, step.carry), end(db, step, null)]);
  return ended.kind === 'ended' ? ended.answer : { ended: 'cancelled', at: step.answer.at };
}

async function end(db: Database, step: Omit<EndStep, 'fence'>, fence: number | null): Promise<Ended> {
  const { answer, instance } = step;
  const end = toAppendedEvent({ kind: `step.${answer.ended}`, ordinal: '0', at: answer.at, instance, data: step.data });
  const at = Math.round(answer.at);
  const ended = await db.writer.write<AnswerRow | { kind: 'recorded' } | Exclude<Ended, { kind: 'ended' }>>(step.executionId, null, {
    op: 'end',
    ...rowOf(step),
    fence,
    at,
    status: answer.ended,
    ...(answer.ended === 'completed' ? { output: answer.output, warnings: answer.warnings } : {}),
    ...(answer.ended === 'failed' ? { error: answer.error } : {}),
    ...(answer.ended === 'cancelled' ? {} : { usage: answer.usage }),
    model: step.model,
    turnIds: step.turnIds,
    events: [...toAppendedEvents(step.before ?? []), end],
  });
  if (ended.kind === 'recorded') return { kind: 'ended', answer: { ...answer, at } };
  return ended.kind === 'ended' ? { kind: 'ended', answer: toAnswer(ended) } : ended;
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
