/** From an arrival to an execution: the same for a webhook, a tick, a person’s run and a test. */
import type { Json, JsonObject } from '../../definition/value.js';
import { AppError, hasCode } from '../../errors.js';
import type { AuditedActor } from '../../store/audit.js';
import type { DeliveryOutcome } from '../../store/deliveries.js';
import type { ExecutionRecord, TriggerInfo } from '../../store/execution-record.js';
import { findKey, type IdempotencyKey } from '../../store/idempotency.js';
import type { TriggerRecord } from '../../store/triggers.js';
import { getWorkflow, type WorkflowRecord } from '../../store/workflows.js';
import { admitExecution } from '../admit-execution.js';
import type { OperationDeps } from '../deps.js';
import { planOf } from '../plan-of.js';
import { checkedVariables, triggerVariables } from '../start-variables.js';
import { mapPayload } from './variable-mapping.js';

export interface Dispatch {
  readonly trigger: TriggerRecord;
  readonly workflow: WorkflowRecord;
  readonly at: Date;
  readonly payload: JsonObject;
  /** Beside and over what the mapping takes from the payload. */
  readonly variables?: JsonObject;
  /** What `_trigger` tells of this kind of trigger besides. */
  readonly facts: JsonObject;
  readonly deliveryId?: string;
  readonly scheduledAt?: string;
  readonly isTest?: boolean;
  readonly startedBy: Json;
  /** The person who asks for it, for the audit log. */
  readonly audited?: AuditedActor;
  readonly idempotency?: IdempotencyKey;
  /** Of a run that a Schedule has started already. */
  readonly startedAs?: string;
}
/** `error`: what the caller is told of an outcome that is none of `matched` and `duplicate`. */
export interface Dispatched {
  readonly outcome: DeliveryOutcome;
  readonly reason: string | null;
  readonly executionId: string | null;
  readonly execution?: ExecutionRecord;
  readonly error?: AppError;
}

export type Target =
  | { readonly workflow: WorkflowRecord }
  | { readonly outcome: 'workflow_deleted' | 'workflow_disabled'; readonly reason: string };

/** The workflow of a trigger, or why it starts none. */
export async function targetOf(deps: OperationDeps, { ownerId, workflowId }: TriggerRecord): Promise<Target> {
  return toTarget(workflowId === null ? undefined : await getWorkflow(deps.db, ownerId, workflowId));
}

/** The same of a workflow that was read already. Pure. */
export function toTarget(workflow: WorkflowRecord | undefined): Target {
  if (workflow === undefined) return { outcome: 'workflow_deleted', reason: 'the workflow is deleted' };
  return workflow.enabled ? { workflow } : { outcome: 'workflow_disabled', reason: `the workflow ${workflow.name} is disabled` };
}

/** What a key of a trigger's own stands for already: the execution that came of it. */
export async function earlierOf(deps: OperationDeps, { ownerId }: TriggerRecord, key: IdempotencyKey): Promise<Dispatched | undefined> {
  const claim = await findKey(deps.db, ownerId, key);
  return claim?.kind === 'repeat' ? duplicateOf(claim.resultId) : undefined;
}

const duplicateOf = (executionId: string): Dispatched => ({ outcome: 'duplicate', reason: 'delivered before', executionId });

/**
 * Starts an execution of the workflow as it is now, once for its key. Refusals are outcomes; only what may be tried again (the database is
 * away) and what is our own fault is thrown.
 */
export async function dispatch(deps: OperationDeps, request: Dispatch): Promise<Dispatched> {
  try {
    return await start(deps, request);
  } catch (error) {
    const refused = refusalOf(error);
    if (refused === undefined) throw error;
    return refused;
  }
}

async function start(deps: OperationDeps, request: Dispatch): Promise<Dispatched> {
  const { trigger, workflow, at, payload, variables, facts, startedBy, audited, idempotency, startedAs } = request;
  const info = infoOf(request);
  const plan = await planOf(deps.db, workflow);
  const input = { ...mapPayload(trigger.variableMapping, payload), ...withoutOwn(variables ?? {}) };
  const { execution, duplicate } = await admitExecution(deps, {
    ownerId: trigger.ownerId,
    workflowId: workflow.id,
    plan,
    data: workflow.data,
    trigger: info,
    variables: checkedVariables(plan, input, triggerVariables(info, at, payload, facts)),
    startedBy,
    ...(audited === undefined ? {} : { audited }),
    ...(idempotency === undefined ? {} : { idempotency }),
    ...(startedAs === undefined ? {} : { startedAs }),
  });
  const outcome = duplicate ? duplicateOf(execution.id) : { outcome: 'matched' as const, reason: null, executionId: execution.id };
  return { ...outcome, execution };
}

function infoOf({ trigger, deliveryId, scheduledAt, isTest = false }: Dispatch): TriggerInfo {
  return {
    type: isTest ? 'test' : trigger.type,
    id: trigger.id,
    name: trigger.name,
    ...(deliveryId === undefined ? {} : { deliveryId }),
    ...(scheduledAt === undefined ? {} : { scheduledAt }),
  };
}

/** `_trigger` and `_payload` are set last, and by nobody else. */
const withoutOwn = (variables: JsonObject): JsonObject =>
  Object.fromEntries(Object.entries(variables).filter(([name]) => name !== '_trigger' && name !== '_payload'));

function refusalOf(error: unknown): Dispatched | undefined {
  if (!(error instanceof AppError)) return undefined;
  const told = (outcome: DeliveryOutcome): Dispatched => ({ outcome, reason: error.message, executionId: null, error });
  if (error.code === 'concurrency_limit') return told('concurrency_cap');
  if (error.code === 'validation_failed' || error.code === 'definition_invalid' || error.code === 'idempotency_key_reused')
    return told('error');
  // The key was used, and retention has removed what it started.
  return hasCode(error, 'not_found') && error.data.kind === 'execution' ? duplicateOf(error.data.id) : undefined;
}
