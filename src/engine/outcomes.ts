/** How a step instance, a gate and a failure look once they have come out: what the engine and its agent loop share. Plain JSON, types only. */
import type { Json, Value } from '../definition/value.js';

/** With the execution id, the identity of one attempt of one step (design §3.1). Attempts count from 1. */
export interface StepInstance {
  readonly stepId: string;
  readonly iterationPath: string;
  readonly attempt: number;
}

/** A failure as every reader sees it (design §4). `cause` only under details. `retryAfterMs` is a server's own wish. */
export interface StepError {
  readonly code: string;
  readonly message: string;
  readonly stepId?: string;
  readonly iterationPath?: string;
  readonly attempt?: number;
  readonly retryable: boolean;
  readonly details?: { readonly [key: string]: Json };
  readonly retryAfterMs?: number;
}

export interface Warning {
  readonly code: string;
  readonly message: string;
}

export interface TokenUsage {
  readonly inputTokens: number;
  readonly outputTokens: number;
  readonly cacheReadTokens: number;
  readonly models: readonly string[];
  /** Calls that were cut off are in it, reckoned from what had arrived. */
  readonly estimated?: true;
}

/** How a step's row says that the instance ended. `at` is when, in ms. */
export type StepAnswer =
  | {
      readonly ended: 'completed';
      readonly at: number;
      readonly output: Value;
      readonly warnings?: readonly Warning[];
      readonly usage?: TokenUsage;
    }
  | { readonly ended: 'failed'; readonly at: number; readonly error: StepError; readonly usage?: TokenUsage }
  /** `closed`: the execution's row had ended, so nothing was done or written. The host ends the workflow; the engine is not told. */
  | { readonly ended: 'cancelled'; readonly at: number; readonly closed?: true };

export type GateStatus = 'pending' | 'approved' | 'denied' | 'expired' | 'cancelled';
/** What the engine needs of a gate's row; once settled it never changes. */
export interface GateOutcome {
  readonly approvalId: string;
  readonly status: GateStatus;
  /** Ids or names of those who decided, in order; empty for a deadline. */
  readonly decidedBy: readonly Json[];
  /** ISO instant, null while pending. */
  readonly decidedAt: string | null;
  readonly reason: string | null;
  readonly answer: Value;
  /** The execution's row had ended, and the gate with it. As for a step, the host ends the workflow. */
  readonly closed?: true;
}
