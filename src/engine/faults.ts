/** How a step's own failure travels inside the engine. */
import type { Json } from '../definition/runtime.js';
import type { StepError, StepInstance } from './types.js';

interface Extras {
  readonly retryable?: boolean;
  readonly details?: { readonly [key: string]: Json };
}

export function stepError(code: string, message: string, { retryable = false, details }: Extras = {}): StepError {
  return details === undefined ? { code, message, retryable } : { code, message, retryable, details };
}

/** Fails the step (or pass) on top of the fiber that is running. */
export class StepFault extends Error {
  constructor(readonly error: StepError) {
    super(error.message);
  }
}

/** Stops the fiber that is running: an activity was ordered and its answer will be found when the same code runs again. */
export class Suspended extends Error {}

/** An inner step's error keeps the place where it happened. */
export function locate(error: StepError, { stepId, iterationPath, attempt }: StepInstance): StepError {
  return error.stepId === undefined ? { ...error, stepId, iterationPath, attempt } : error;
}

/** The outer of two failures, which tells of the first: a handler or `finally` that failed in turn. */
export function causedBy(error: StepError, cause: StepError): StepError {
  const { details: _details, ...told } = cause;
  return { ...error, details: { ...error.details, cause: told } };
}

/** `*`, a code, or a prefix such as `http_5*`. */
export function matchesCode(patterns: readonly string[], code: string): boolean {
  return patterns.some((pattern) => pattern === code || (pattern.endsWith('*') && code.startsWith(pattern.slice(0, -1))));
}

export const asJson = (error: StepError): Json => ({ ...error });
