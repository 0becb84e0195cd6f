import type { JsonObject } from '../definition/value.js';
import { AppError, notFound } from '../errors.js';
import type { TriggerInfo } from '../store/execution-record.js';
import type { IdempotencyKey } from '../store/idempotency.js';
import { getVersion, getWorkflow, type WorkflowRecord } from '../store/workflows.js';
import { actorOf, auditedActor } from './actor.js';
import { admitExecution } from './admit-execution.js';
import { authorize } from './authorize.js';
import { bodyHashOf } from './body-hash.js';
import type { OperationDeps } from './deps.js';
import { earlierStart } from './earlier-start.js';
import { planOf, type Content } from './plan-of.js';
import type { Principal } from './principal.js';
import { checkedVariables, triggerVariables } from './start-variables.js';
import { toWireExecution, type WireExecution } from './wire.js';

export interface RunParams {
  /** The workflow's id or slug. */
  readonly id: string;
  readonly variables?: JsonObject;
  readonly idempotencyKey?: string;
  /** A version (the newest content that carried it) or a hash. */
  readonly version?: string;
  readonly repo?: { readonly url: string; readonly branch?: string; readonly ref?: string };
  /** Mirrors the run into this session. */
  readonly sessionId?: string;
  /** What came with a start by hand: `_payload`. */
  readonly payload?: JsonObject;
}
export interface Started {
  readonly execution: WireExecution;
  readonly duplicate: boolean;
}

/**
 * Starts an execution of a workflow. It is committed as `pending` when this answers; Temporal is told after, so that an answer
 * means: it will run. The same key with the same body gives the same execution, whatever has become of the workflow since.
 * @throws AppError forbidden, not_found, workflow_disabled, validation_failed, idempotency_key_reused, concurrency_limit
 */
export async function runWorkflow(deps: OperationDeps, principal: Principal, params: RunParams): Promise<Started> {
  authorize(principal, 'run');
  const ownerId = principal.userId;
  const workflow = await getWorkflow(deps.db, ownerId, params.id);
  if (workflow === undefined) throw notFound('workflow', params.id);
  const idempotency = keyOf(workflow.id, params);
  const earlier = await earlierStart(deps, ownerId, idempotency);
  if (earlier !== undefined) return { execution: toWireExecution(earlier), duplicate: true };
  if (!workflow.enabled) throw new AppError('workflow_disabled', `Workflow ${workflow.name} is disabled`, { workflowId: workflow.id });
  const content = await contentFor(deps, workflow, params.version);
  const plan = await planOf(deps.db, content);
  const trigger = triggerOf(principal, params);
  const variables = checkedVariables(plan, params.variables ?? {}, triggerVariables(trigger, new Date(), params.payload));
  const { execution, duplicate } = await admitExecution(deps, {
    ownerId,
    workflowId: workflow.id,
    plan,
    data: content.data,
    trigger,
    variables,
    startedBy: actorOf(principal),
    audited: auditedActor(principal),
    ...(params.sessionId === undefined ? {} : { sessionId: params.sessionId }),
    ...(params.repo === undefined ? {} : { repo: params.repo }),
    ...(idempotency === undefined ? {} : { idempotency }),
  });
  return { execution: toWireExecution(execution), duplicate };
}

function keyOf(workflowId: string, { idempotencyKey, variables, version, repo, sessionId }: RunParams): IdempotencyKey | undefined {
  if (idempotencyKey === undefined) return undefined;
  return {
    door: `workflow:${workflowId}`,
    key: idempotencyKey,
    bodyHash: bodyHashOf({ variables: variables ?? {}, version, repo, sessionId }),
  };
}

async function contentFor(deps: OperationDeps, workflow: WorkflowRecord, version: string | undefined): Promise<Content> {
  if (version === undefined) return workflow;
  const found = await getVersion(deps.db, workflow.ownerId, workflow.id, version);
  if (found === undefined) throw notFound('version', version);
  return found;
}

function triggerOf(principal: Principal, { sessionId }: RunParams): TriggerInfo {
  if (principal.kind === 'agent') return { type: 'agent' };
  return { type: sessionId === undefined ? 'manual' : 'chat' };
}
