import type { EngineEvent, EventKind, StepInstance } from '../engine/types.js';
import type { Json } from '../definition/value.js';
import { instanceKey, keyOf } from './ids.js';
import { toStepChange, type StepChange } from './step-change.js';

/** An event for `append`: what a reader sees, and the ordinal that tells repeats of one kind at one step apart. */
export interface LogEvent {
  readonly kind: EventKind | SessionEventKind;
  /** The engine's counter, or the id of the vote, message or command; '0' for what happens once. */
  readonly ordinal: string;
  /** Milliseconds. */
  readonly at: number;
  readonly instance: StepInstance | null;
  readonly data: { readonly [key: string]: Json };
}
export type SessionEventKind = 'message.created' | 'message.updated' | 'turn.started' | 'turn.finished';

/** An event as `signalbox_append` takes it. */
export interface AppendedEvent {
  readonly key: string;
  readonly kind: string;
  /** Only in a session's stream: the execution that the event is about. */
  readonly executionId?: string;
  readonly stepId?: string;
  readonly path?: string;
  readonly attempt?: number;
  readonly at: number;
  readonly data: Json;
  readonly step?: StepChange;
  readonly log?: false;
}

/** Kinds of which an execution has one, whoever writes it first. */
const ONCE: ReadonlySet<string> = new Set([
  'execution.started',
  'execution.cancelling',
  'execution.completed',
  'execution.failed',
  'execution.cancelled',
]);
/** Written by whoever settles the execution's row, and by nobody else. */
const TERMINAL: ReadonlySet<string> = new Set(['execution.completed', 'execution.failed', 'execution.cancelled']);

/** The event under its key: execution (by the stream), step instance, kind, ordinal. Pure. */
export function toAppendedEvent(event: LogEvent): AppendedEvent {
  const ordinal = ONCE.has(event.kind) ? '' : event.ordinal;
  const { instance } = event;
  const place = instance === null ? {} : { stepId: instance.stepId, path: instance.iterationPath, attempt: instance.attempt };
  return {
    key: keyOf(event.kind, ordinal, instance === null ? '' : instanceKey(instance)),
    kind: event.kind,
    ...place,
    at: Math.round(event.at),
    data: BY_SIGNAL.has(event.kind) ? { ...event.data, by: personOf(event.data['by']) } : event.data,
  };
}

/** Kinds that tell who asked, in the words of a signal. */
const BY_SIGNAL: ReadonlySet<string> = new Set(['execution.paused', 'execution.resumed']);

/** Who asked, as every event tells it: a raw signal names a person by one text, or nobody, and is then the operator's. */
function personOf(by: Json | undefined): Json {
  if (by === null || by === undefined) return { id: 'operator', name: 'Operator' };
  return typeof by === 'string' ? { id: by, name: by } : by;
}

/** The engine's events with what they say of step rows. Its ends of the execution are left out: the row is settled first. Pure. */
export function toAppendedEvents(events: readonly EngineEvent[]): AppendedEvent[] {
  return events
    .filter((event) => !TERMINAL.has(event.kind))
    .map((event) => {
      const step = toStepChange(event);
      const appended = toAppendedEvent(event);
      if (step === undefined) return appended;
      return event.record?.seeded === true ? { ...appended, step, log: false } : { ...appended, step };
    });
}
