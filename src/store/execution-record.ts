import type { Json, Value } from '../definition/value.js';
import type { ExecutionOutcome, ExecutionStatus, Progress, StepError, TokenUsage } from '../engine/types.js';
import type { Execution } from '../generated/prisma/client.js';
import { camelRow } from './statement.js';

export type TriggerType = 'manual' | 'webhook' | 'schedule' | 'github' | 'agent' | 'chat' | 'subworkflow' | 'rerun' | 'test';

/** What started an execution. */
export interface TriggerInfo {
  readonly type: TriggerType;
  readonly id?: string;
  readonly name?: string;
  readonly deliveryId?: string;
  /** ISO instant of the tick. */
  readonly scheduledAt?: string;
}

export interface ParentLink {
  readonly executionId: string;
  readonly stepId: string;
  readonly iterationPath: string;
  readonly attempt: number;
  readonly awaited: boolean;
}
export interface RerunLink {
  readonly executionId: string;
  readonly stepId: string | null;
  readonly iterationPath: string | null;
}

/** An execution's row. Instants are ISO texts. Without its seeds, which `loadSeeds` reads. */
export interface ExecutionRecord {
  readonly id: string;
  readonly ownerId: string;
  readonly workflowId: string | null;
  readonly workflowName: string;
  readonly version: string;
  readonly hash: string;
  readonly planFormat: number;
  readonly engineVersion: number;
  readonly status: ExecutionStatus;
  readonly counter: number;
  readonly trigger: TriggerInfo;
  readonly variables: { readonly [name: string]: Value };
  readonly output: Value | null;
  readonly error: StepError | null;
  readonly reason: string | null;
  readonly progress: Progress;
  /** Complete once it has ended; meanwhile `usageOf` (steps-list) adds up. */
  readonly usage: TokenUsage;
  readonly sessionId: string;
  readonly parent: ParentLink | null;
  readonly rerunOf: RerunLink | null;
  readonly depth: number;
  readonly repo: Json;
  readonly startedBy: Json;
  readonly firstExecutionRunId: string | null;
  readonly cancelRequestedAt: string | null;
  readonly createdAt: string;
  readonly startedAt: string | null;
  readonly completedAt: string | null;
  readonly updatedAt: string;
}

/** Columns of the record; seeds, which may be large, are read by themselves. */
export const EXECUTION_COLUMNS = `
  id, owner_id, workflow_id, workflow_name, version, hash, plan_format, engine_version, status, counter, trigger_type, trigger,
  variables, output, error, reason, progress, usage, session_id, parent_execution_id, parent_step_id, parent_iteration_path,
  parent_attempt, parent_awaited, parent_key, rerun_of, rerun_step_id, rerun_iteration_path, depth, repo, started_by,
  first_execution_run_id, halt, cancel_requested_at, created_at, started_at, completed_at, updated_at`;

export const ENDED_STATUSES = ['completed', 'failed', 'cancelled'] as const;
const ENDED: ReadonlySet<string> = new Set(ENDED_STATUSES);

/** Whether a status is an end: nothing follows it. */
export const isEnded = (status: string): boolean => ENDED.has(status);

export const NO_USAGE: TokenUsage = { inputTokens: 0, outputTokens: 0, cacheReadTokens: 0, models: [] };

export const iso = (date: Date | null): string | null => date?.toISOString() ?? null;

/** The row as Prisma, or `camelRow`, gives it. */
export function toExecutionRecord(row: Omit<Execution, 'seeds'>): ExecutionRecord {
  return {
    id: row.id,
    ownerId: row.ownerId,
    workflowId: row.workflowId,
    workflowName: row.workflowName,
    version: row.version,
    hash: row.hash,
    planFormat: row.planFormat,
    engineVersion: row.engineVersion,
    status: row.status as ExecutionStatus,
    counter: row.counter,
    trigger: row.trigger as unknown as TriggerInfo,
    variables: row.variables as unknown as ExecutionRecord['variables'],
    output: row.output as unknown as Value | null,
    error: row.error as unknown as StepError | null,
    reason: row.reason,
    progress: row.progress as unknown as Progress,
    usage: row.usage as unknown as TokenUsage,
    sessionId: row.sessionId,
    parent: toParent(row),
    rerunOf: row.rerunOf === null ? null : { executionId: row.rerunOf, stepId: row.rerunStepId, iterationPath: row.rerunIterationPath },
    depth: row.depth,
    repo: row.repo as Json,
    startedBy: row.startedBy as Json,
    firstExecutionRunId: row.firstExecutionRunId,
    cancelRequestedAt: iso(row.cancelRequestedAt),
    createdAt: row.createdAt.toISOString(),
    startedAt: iso(row.startedAt),
    completedAt: iso(row.completedAt),
    updatedAt: row.updatedAt.toISOString(),
  };
}

/** The row as `pg` gives it. */
export const executionFromRow = (row: object): ExecutionRecord => toExecutionRecord(camelRow<Execution>(row));

function toParent(row: Omit<Execution, 'seeds'>): ParentLink | null {
  if (row.parentExecutionId === null) return null;
  return {
    executionId: row.parentExecutionId,
    stepId: row.parentStepId ?? '',
    iterationPath: row.parentIterationPath ?? '',
    attempt: row.parentAttempt ?? 1,
    awaited: row.parentAwaited,
  };
}

/** How an execution that has ended did so. `requested`: a request from outside cancelled it. */
export function toOutcome(execution: ExecutionRecord): ExecutionOutcome {
  return {
    status: execution.status as ExecutionOutcome['status'],
    output: execution.output ?? { v: null },
    error: execution.error,
    reason: execution.reason,
    requested: execution.status === 'cancelled' && execution.cancelRequestedAt !== null,
  };
}
