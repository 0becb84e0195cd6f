/** How a failure leaves an activity. One function makes the step's error of whatever was thrown, one the Temporal failure of it. */
import { ApplicationFailure, ApplicationFailureCategory } from '@temporalio/common';
import { ExpressionError } from '../definition/expression/faults.js';
import type { Json } from '../definition/value.js';
import type { StepAnswer, StepError, StepInstance } from '../engine/types.js';
import { AppError, hasCode } from '../errors.js';
import { StepFault } from '../tools/step-fault.js';
import { capDetails } from './cap-details.js';
import type { Redactor } from './redaction.js';

/** The step's error, with its place. What is no fault of ours to name is `internal_error`. Pure. */
export function toStepError(error: unknown, instance: StepInstance): StepError {
  const place = { stepId: instance.stepId, iterationPath: instance.iterationPath, attempt: instance.attempt };
  if (error instanceof StepFault) {
    const { code, message, retryable, details, retryAfterMs } = error;
    return {
      code,
      message,
      ...place,
      retryable,
      ...(details === undefined ? {} : { details }),
      ...(retryAfterMs === undefined ? {} : { retryAfterMs }),
    };
  }
  if (error instanceof ExpressionError)
    return { code: error.code, message: error.message, ...place, retryable: false, details: error.details };
  if (error instanceof AppError)
    return {
      code: error.code,
      message: error.message,
      ...place,
      retryable: false,
      details: error.data as { readonly [key: string]: Json },
    };
  return { code: 'internal_error', message: error instanceof Error ? error.message : String(error), ...place, retryable: false };
}

/** A failed step as Temporal sees it: type = our code, not retried (a new attempt is the engine's), and no alarm for operators. */
export function failedStep(answer: Extract<StepAnswer, { ended: 'failed' }>): ApplicationFailure {
  return ApplicationFailure.create({
    message: answer.error.message.slice(0, 2_000),
    type: answer.error.code,
    nonRetryable: true,
    details: [answer],
    category: ApplicationFailureCategory.BENIGN,
  });
}

/** Answers with the step's end, as the contract says: failed ones are thrown. */
export function answered(answer: StepAnswer): StepAnswer {
  if (answer.ended === 'failed') throw failedStep(answer);
  return answer;
}

/** PostgreSQL or Temporal cannot be reached: nobody's fault, and no end of a step. */
export const isPlatformFault = (error: unknown): boolean => hasCode(error, 'unavailable');

/** Has Temporal try the activity again, without a count and at most 10 s apart (the caller's retry policy). */
export function tryAgain(type: string, message: string, cause?: unknown): ApplicationFailure {
  return ApplicationFailure.create({
    message,
    type,
    nonRetryable: false,
    category: ApplicationFailureCategory.BENIGN,
    ...(cause instanceof Error ? { cause } : {}),
  });
}

/** For activities that record nothing of a step: platform faults are retried, the rest fails for good with its code. */
export function toActivityFailure(error: unknown, instance: StepInstance, nowMs: number): unknown {
  if (error instanceof ApplicationFailure) return error;
  if (isPlatformFault(error)) return tryAgain('unavailable', (error as Error).message, error);
  return failedStep({ ended: 'failed', at: nowMs, error: toStepError(error, instance) });
}

/** Secrets out of what a step's error tells, and its details cut to size: it goes into rows, the log and Temporal's history. Pure. */
export function redactedError(error: StepError, redactor: Redactor): StepError {
  const { details, ...rest } = error;
  const safe = { ...rest, message: redactor.text(error.message) };
  return details === undefined ? safe : { ...safe, details: capDetails(redactor.json(details) as { readonly [key: string]: Json }) };
}

/** Runs what may see secrets, for activities that record nothing of a step: what it says of a fault is without them. */
export async function redactingFaults<T>(redactor: Redactor, instance: StepInstance, nowMs: number, work: () => Promise<T>): Promise<T> {
  try {
    return await work();
  } catch (error) {
    if (error instanceof ApplicationFailure || isPlatformFault(error)) throw error;
    throw failedStep({ ended: 'failed', at: nowMs, error: redactedError(toStepError(error, instance), redactor) });
  }
}
