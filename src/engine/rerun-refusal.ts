/** What a rerun is asked for, and why it cannot start there. */
import type { Json, Value } from '../definition/runtime.js';
import type { StepError } from './types.js';

/** A step attempt as its row has it. */
export interface RecordedStep {
  readonly stepId: string;
  readonly iterationPath: string;
  readonly attempt: number;
  readonly status: string;
  readonly stepType: string;
  readonly output: Value | null;
  readonly error: StepError | null;
  readonly choice: Json;
}

export interface RerunTarget {
  readonly stepId: string;
  readonly iterationPath: string;
  /** Other variables or another version: then nothing may lie behind a gate. */
  readonly isChanged: boolean;
}

export interface RerunRefusal {
  readonly reason: 'step_unknown' | 'not_recorded' | 'step_changed' | 'approval_needed';
  readonly message: string;
  readonly stepId: string;
  readonly iterationPath: string;
}

/** Ends a walk that cannot go on; never leaves the engine. */
export class Refused extends Error {
  constructor(readonly refusal: RerunRefusal) {
    super(refusal.message);
  }
}

export function refuse(reason: RerunRefusal['reason'], message: string, stepId: string, iterationPath: string): never {
  throw new Refused({ reason, message, stepId, iterationPath });
}
