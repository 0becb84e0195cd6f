/** The wire shapes of api.md that the service tests read; written from that page, not from the code. */
import type { Json } from '../../src/definition/value.js';

export type Status =
  | 'pending'
  | 'running'
  | 'waiting_approval'
  | 'waiting_event'
  | 'paused'
  | 'cancelling'
  | 'completed'
  | 'failed'
  | 'cancelled';

export interface ErrorShape {
  readonly code: string;
  readonly message: string;
  readonly stepId?: string | null;
  readonly iterationPath?: string | null;
  readonly attempt?: number | null;
  readonly retryable?: boolean;
  readonly details?: { readonly [key: string]: Json } | null;
}

export interface Execution {
  readonly id: string;
  readonly workflowId: string | null;
  readonly workflowName: string;
  readonly version: string;
  readonly hash: string;
  readonly status: Status;
  readonly trigger: { readonly type: string };
  readonly variables: { readonly [name: string]: Json };
  readonly output: Json;
  readonly error: ErrorShape | null;
  readonly progress: { readonly done: number; readonly total: number; readonly current: readonly string[] };
  readonly sessionId: string;
  readonly parent: { readonly executionId: string; readonly stepId: string; readonly iterationPath: string } | null;
  readonly rerunOf: { readonly executionId: string; readonly stepId?: string; readonly iterationPath?: string } | null;
  readonly createdAt: string;
  readonly startedAt: string | null;
  readonly completedAt: string | null;
}

export interface Step {
  readonly stepId: string;
  readonly type: string;
  readonly iterationPath: string;
  readonly attempt: number;
  readonly status: string;
  readonly input: Json;
  readonly output: Json;
  readonly error: ErrorShape | null;
  readonly warnings: readonly { readonly code: string; readonly message: string }[] | null;
  readonly seeded?: boolean;
  readonly startedAt: string | null;
  readonly completedAt: string | null;
}

export interface LoggedEvent {
  readonly seq: number;
  readonly executionId: string;
  readonly kind: string;
  readonly stepId?: string;
  readonly iterationPath?: string;
  readonly attempt?: number;
  readonly at: string;
  readonly data: { readonly [key: string]: Json };
}

export interface Approval {
  readonly id: string;
  readonly executionId: string | null;
  readonly stepId: string;
  readonly iterationPath: string;
  readonly attempt: number;
  readonly prompt: string;
  readonly status: 'pending' | 'approved' | 'denied' | 'expired' | 'cancelled';
  readonly approvers: readonly string[];
  readonly quorum: number;
  readonly votes: readonly {
    readonly by: { readonly id: string; readonly name: string };
    readonly via: string;
    readonly decision: string;
  }[];
  readonly decidedBy: readonly { readonly id: string; readonly name: string }[];
  readonly decidedAt: string | null;
  readonly reason: string | null;
  readonly answer: Json;
  readonly deadline: string | null;
  readonly createdAt: string;
}

export interface Workflow {
  readonly id: string;
  readonly slug: string;
  readonly name: string;
  readonly version: string;
  readonly hash: string;
  readonly enabled: boolean;
}

export interface ProblemDocument {
  readonly code: string;
  readonly status: number;
  readonly detail?: string;
  readonly problems?: readonly { readonly code: string; readonly path: string; readonly stepId?: string; readonly message: string }[];
  readonly [extra: string]: unknown;
}

/** A definition as a test writes it; the service checks it. */
export interface DefinitionJson {
  readonly name: string;
  readonly steps: readonly StepJson[];
  readonly [field: string]: unknown;
}
export interface StepJson {
  readonly id?: string;
  readonly type: string;
  readonly [field: string]: unknown;
}
