/**
 * What a signal must look like before the engine sees it: raw ones come from anyone who may reach the namespace, and a payload of
 * another shape would fail the workflow's task for ever. Pure.
 */
import type { Json, Ref, Value } from '../definition/value.js';
import type { StepError } from '../engine/types.js';
import type { ChildSignal, EventSignal, PauseSignal, StopSignal } from './messages.js';

type Fields = { readonly [field: string]: unknown };

export const isRecord = (value: unknown): value is Fields => typeof value === 'object' && value !== null && !Array.isArray(value);
const isText = (value: unknown): value is string => typeof value === 'string';

/** Undefined: no event. A `value` that is none counts as left out. */
export function toEventSignal(signal: unknown): EventSignal | undefined {
  if (!isRecord(signal) || !isText(signal['event'])) return undefined;
  const { id, event, payload = null, value } = signal;
  return {
    event,
    payload: payload as Json,
    ...(isText(id) ? { id } : {}),
    ...(isValue(value) ? { value } : {}),
  };
}

export function toPauseSignal(signal: unknown): PauseSignal {
  if (!isRecord(signal)) return {};
  const { id, by } = signal;
  return { ...(isText(id) ? { id } : {}), ...(isText(by) || isPerson(by) ? { by } : {}) };
}

const isPerson = (value: unknown): value is { readonly id: string; readonly name: string } =>
  isRecord(value) && isText(value['id']) && isText(value['name']);

/** Undefined: of another shape. A raw one without bounds stops whatever is under way. */
export function toStopSignal(signal: unknown): StopSignal | undefined {
  if (!isRecord(signal)) return undefined;
  const { id, messageId = null, upTo = Number.MAX_SAFE_INTEGER } = signal;
  if ((messageId !== null && !isText(messageId)) || typeof upTo !== 'number') return undefined;
  return { messageId, upTo, ...(isText(id) ? { id } : {}) };
}

const ENDS: ReadonlySet<unknown> = new Set(['completed', 'failed', 'cancelled']);

/** Undefined: no report of a child's end. */
export function toChildSignal(signal: unknown): ChildSignal | undefined {
  if (!isRecord(signal)) return undefined;
  const { id, executionId, outcome } = signal;
  if (!isText(id) || !isText(executionId) || !isRecord(outcome) || !ENDS.has(outcome['status'])) return undefined;
  const { output, error } = outcome;
  return {
    id,
    executionId,
    outcome: {
      status: outcome['status'] as ChildSignal['outcome']['status'],
      output: isValue(output) ? output : { v: null },
      error: isError(error) ? error : null,
    },
  };
}

function isValue(value: unknown): value is Value {
  if (!isRecord(value) || value['v'] === undefined) return false;
  const { refs } = value;
  return (
    refs === undefined || (isRecord(refs) && Object.entries(refs).every(([at, ref]) => (at === '' || at.startsWith('/')) && isRef(ref)))
  );
}

const isRef = (ref: unknown): ref is Ref =>
  isRecord(ref) && isText(ref['ref']) && isText(ref['sha256']) && isText(ref['preview']) && typeof ref['bytes'] === 'number';

const isError = (error: unknown): error is StepError =>
  isRecord(error) && isText(error['code']) && isText(error['message']) && typeof error['retryable'] === 'boolean';
