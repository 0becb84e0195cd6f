/** The one way into the executions table: row, first event, session, key and limits in one transaction; Temporal after it. */
import type { Plan } from '../definition/plan.js';
import type { Json, JsonObject } from '../definition/value.js';
import { historyPlan } from '../engine/history-plan.js';
import { ENGINE_VERSION, type Seed, type StartData } from '../engine/types.js';
import { AppError, notFound } from '../errors.js';
import type { ExecutionRecord, ParentLink, RerunLink, TriggerInfo } from '../store/execution-record.js';
import type { AuditedActor } from '../store/audit.js';
import type { IdempotencyKey } from '../store/idempotency.js';
import { putPlan } from '../store/plans.js';
import { startExecution as insertExecution, type StartResult } from '../store/start-execution.js';
import type { OperationDeps } from './deps.js';
import { storedVariables } from './start-variables.js';
import { startSoon } from './temporal-start.js';

export interface Admission {
  readonly ownerId: string;
  /** Null: a live test of what is not saved. */
  readonly workflowId: string | null;
  readonly plan: Plan;
  readonly data: Json;
  readonly trigger: TriggerInfo;
  /** Checked, defaults and the trigger's own included. */
  readonly variables: JsonObject;
  /** They are kept out of the run's history. */
  readonly isPrivate?: boolean;
  readonly startedBy: Json;
  /** Whoever asked for it, for the audit log. */
  readonly audited?: AuditedActor;
  readonly sessionId?: string;
  readonly parent?: ParentLink;
  readonly rerunOf?: RerunLink;
  readonly seeds?: readonly Seed[];
  readonly depth?: number;
  readonly repo?: Json;
  readonly idempotency?: IdempotencyKey;
  /** The id of a run that Temporal has started already: a Schedule's. */
  readonly startedAs?: string;
}

/** `duplicate`: the key, or the parent's step instance, had started it before. */
export interface Admitted {
  readonly execution: ExecutionRecord;
  readonly duplicate: boolean;
}

/**
 * Writes the row and has Temporal start it behind the answer (a child is started by its parent's workflow).
 * @throws AppError concurrency_limit, idempotency_key_reused, execution_ended (the parent), not_found (the session)
 */
export async function admitExecution(deps: OperationDeps, admission: Admission): Promise<Admitted> {
  const { ownerId, plan, data, parent } = admission;
  await putPlan(deps.db, { hash: plan.hash, planFormat: plan.planFormat, data, plan });
  const variables = await storedVariables(deps, ownerId, admission.variables, { isPrivate: admission.isPrivate === true });
  const { workflowId, trigger, startedBy, audited, sessionId, rerunOf, seeds, depth, repo, idempotency, startedAs } = admission;
  const result = await insertExecution(deps.db, {
    ...(startedAs === undefined ? {} : { id: startedAs }),
    ownerId,
    workflowId,
    workflowName: plan.name,
    version: plan.version,
    hash: plan.hash,
    planFormat: plan.planFormat,
    engineVersion: ENGINE_VERSION,
    trigger,
    variables,
    total: plan.steps.length,
    startedBy,
    ...(audited === undefined ? {} : { audited }),
    ...(sessionId === undefined ? {} : { sessionId }),
    ...(parent === undefined ? {} : { parent }),
    ...(rerunOf === undefined ? {} : { rerunOf }),
    ...(seeds === undefined ? {} : { seeds }),
    ...(depth === undefined ? {} : { depth }),
    ...(repo === undefined ? {} : { repo }),
    ...(idempotency === undefined ? {} : { idempotency }),
    ...(parent === undefined ? { limits: { perUser: deps.limits.activePerUser, global: deps.limits.active } } : {}),
  });
  if (result.kind !== 'started' && result.kind !== 'duplicate') throw refusal(admission, result);
  const { execution } = result;
  if (result.kind === 'started' && parent === undefined && startedAs === undefined)
    startSoon(deps, execution, seeds === undefined ? startData(execution, plan) : undefined);
  return { execution, duplicate: result.kind === 'duplicate' };
}

function startData(execution: ExecutionRecord, plan: Plan): StartData {
  const { id, ownerId, workflowId, workflowName, version, hash, sessionId, trigger, depth, engineVersion, variables } = execution;
  const meta = { id, ownerId, workflowId, workflowName, version, hash, sessionId, triggerType: trigger.type, depth, parent: null };
  return { engineVersion, plan: historyPlan(plan), execution: meta, variables };
}

const RETRY_AFTER_SECONDS = 5;

function refusal(admission: Admission, result: Exclude<StartResult, { kind: 'started' | 'duplicate' }>): AppError {
  switch (result.kind) {
    case 'limit': {
      const { reason, activeUser, activeGlobal } = result;
      const whose = reason === 'per_user_limit_exceeded' ? `${activeUser} of your executions` : `${activeGlobal} executions`;
      return new AppError('concurrency_limit', `${whose} are active: no more may start now`, {
        reason,
        activeUser,
        activeGlobal,
        retryAfterSeconds: RETRY_AFTER_SECONDS,
      });
    }
    case 'key_reused':
      return new AppError('idempotency_key_reused', 'The idempotency key was used here with another body', {
        key: admission.idempotency?.key ?? '',
      });
    case 'duplicate_deleted':
      return notFound('execution', result.executionId);
    case 'parent_ended':
      return new AppError('execution_ended', 'The parent is being cancelled or has ended', {
        executionId: admission.parent?.executionId ?? '',
        executionStatus: 'cancelled',
      });
    case 'session_unknown':
      return notFound('session', admission.sessionId ?? '');
  }
}
