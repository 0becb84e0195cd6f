import type { Json, Value } from '../definition/value.js';
import type { EngineEvent, StepError, TokenUsage, Warning } from '../engine/types.js';
import { instanceKey } from './ids.js';

export type StepStatus = 'pending' | 'running' | 'waiting_approval' | 'waiting_event' | 'completed' | 'failed' | 'cancelled' | 'skipped';

/** What an event says of its step's row; a row that has ended takes none. */
export interface StepChange {
  readonly key: string;
  readonly type: string;
  readonly status: StepStatus;
  readonly input?: Value;
  readonly output?: Value;
  readonly error?: StepError;
  readonly choice?: Json;
  readonly warnings?: readonly Warning[];
  readonly usage?: TokenUsage;
  readonly model?: string;
  readonly turnIds?: readonly string[];
  readonly seeded?: true;
}

/** The projection of an engine event on its step's row, if it has one. Pure. */
export function toStepChange(event: EngineEvent): StepChange | undefined {
  const status = statusOf(event);
  if (status === undefined || event.instance === null) return undefined;
  const { input, output, error, choice, warnings, usage, model, turnIds, seeded } = event.record ?? {};
  return {
    key: instanceKey(event.instance),
    type: event.stepType ?? 'unknown',
    status,
    ...(input === undefined ? {} : { input }),
    ...(output === undefined ? {} : { output }),
    ...(error === undefined ? {} : { error }),
    ...(choice === undefined ? {} : { choice }),
    ...(warnings === undefined || warnings.length === 0 ? {} : { warnings }),
    ...(usage === undefined ? {} : { usage }),
    ...(model === undefined ? {} : { model }),
    ...(turnIds === undefined ? {} : { turnIds }),
    ...(seeded === undefined ? {} : { seeded }),
  };
}

function statusOf(event: EngineEvent): StepStatus | undefined {
  if (event.kind === 'step.started') return 'running';
  if (event.kind === 'step.waiting') return event.stepType === 'approval' ? 'waiting_approval' : 'waiting_event';
  if (event.kind === 'step.completed') return 'completed';
  if (event.kind === 'step.failed') return 'failed';
  if (event.kind === 'step.skipped') return 'skipped';
  if (event.kind === 'step.cancelled') return 'cancelled';
  return undefined;
}
