import type { Common } from './contract.js';
import type { ScopeSlice, StepInstance } from '../engine/types.js';
import type { StepType } from '../definition/plan.js';

/** What every activity of a step is called with. */
export interface StepCallInput extends Common {
  readonly instance: StepInstance;
  readonly stepType: StepType;
  readonly scope: ScopeSlice;
  readonly nowMs: number;
  readonly timeoutMs: number | null;
}
