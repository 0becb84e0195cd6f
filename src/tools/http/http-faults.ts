/** The faults of an HTTP call in the documented codes. Pure. */
import type { Json } from '../../definition/value.js';
import { StepFault } from '../step-fault.js';
import { retryAfterMs } from './headers.js';

const MAX_BODY_IN_DETAILS = 8_192;

/** Statuses that a later attempt may do better with: 408, 425, 429 and 5xx. */
export const isRetryableStatus = (status: number): boolean => status === 408 || status === 425 || status === 429 || status >= 500;

export interface RefusedAnswer {
  readonly status: number;
  readonly headers: { readonly [name: string]: string };
  readonly body: Json;
}

/** `http_<status>` with details `{ status, headers, body }`, the body cut at 8 KB. `redact` runs before the cut, which may split a secret. */
export function statusFault(answer: RefusedAnswer, redact: (text: string) => string, origin: string): StepFault {
  const wait = retryAfterMs(answer.headers['retry-after'], Date.now());
  return new StepFault(`http_${answer.status}`, `${origin} answered ${answer.status}`, {
    retryable: isRetryableStatus(answer.status),
    details: { status: answer.status, headers: answer.headers, body: capped(answer.body, redact) },
    ...(wait === undefined ? {} : { retryAfterMs: wait }),
  });
}

function capped(body: Json, redact: (text: string) => string): Json {
  const text = typeof body === 'string' ? body : JSON.stringify(body);
  if (text.length <= MAX_BODY_IN_DETAILS) return body;
  return `${redact(text).slice(0, MAX_BODY_IN_DETAILS)}…`;
}

/** What went wrong below HTTP. A StepFault passes through. */
export function connectionFault(
  error: unknown,
  call: { readonly origin: string; readonly timedOut: boolean; readonly timeoutMs: number },
): unknown {
  if (call.timedOut) {
    return new StepFault('http_timeout', `${call.origin} did not answer within ${call.timeoutMs} ms`, {
      retryable: true,
      details: { timeoutMs: call.timeoutMs },
    });
  }
  if (error instanceof StepFault) return error;
  const { code, message } = error as { code?: string; message?: string };
  if (code === 'UND_ERR_CONNECT_TIMEOUT')
    return new StepFault('http_timeout', `${call.origin} accepts no connection in time`, { retryable: true, cause: error });
  if (code === 'UND_ERR_INVALID_ARG' || code === 'ERR_INVALID_ARG_TYPE')
    return new StepFault('tool_failed', `The request cannot be written: ${message ?? ''}`, { cause: error });
  const cause = code ?? message ?? 'unknown';
  return new StepFault('http_unreachable', `${call.origin} could not be reached: ${cause}`, {
    retryable: true,
    details: { cause },
    cause: error,
  });
}
