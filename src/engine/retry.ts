import type { RetryPlan } from '../definition/runtime.js';
import { matchesCode } from './faults.js';
import type { StepError } from './types.js';

/** How long to wait before the next attempt, in ms; undefined: there is none. A server's own wish is the least. Pure. */
export function retryDelay(retry: RetryPlan | undefined, error: StepError, attempts: number): number | undefined {
  if (retry === undefined || attempts >= retry.maxAttempts) return undefined;
  const isWanted = retry.on === undefined ? error.retryable : matchesCode(retry.on, error.code);
  if (!isWanted) return undefined;
  const delay = Math.min(retry.initialIntervalMs * retry.backoff ** (attempts - 1), retry.maxIntervalMs);
  return Math.max(Math.round(delay), error.retryAfterMs ?? 0);
}
