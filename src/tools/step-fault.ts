import type { Json } from '../definition/value.js';

export interface FaultDetails {
  readonly [key: string]: Json;
}

/**
 * Why a step's work did not succeed: one of the documented step codes (docs/errors.md). What a tool, the shell or a model
 * turn throws; `activities/step-error.ts` makes the step's error of it.
 */
export class StepFault extends Error {
  readonly retryable: boolean;
  readonly details: FaultDetails | undefined;
  /** The other side's own wish, from `Retry-After`. */
  readonly retryAfterMs: number | undefined;

  constructor(
    readonly code: string,
    message: string,
    options: {
      readonly retryable?: boolean;
      readonly details?: FaultDetails;
      readonly retryAfterMs?: number;
      readonly cause?: unknown;
    } = {},
  ) {
    super(message, options.cause === undefined ? undefined : { cause: options.cause });
    this.name = 'StepFault';
    this.retryable = options.retryable ?? false;
    this.details = options.details;
    this.retryAfterMs = options.retryAfterMs;
  }
}
