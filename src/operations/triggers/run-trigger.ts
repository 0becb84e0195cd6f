import type { JsonObject } from '../../definition/value.js';
import { AppError, notFound } from '../../errors.js';
import { newDeliveryId } from '../../store/deliveries.js';
import { getExecution } from '../../store/executions.js';
import { findKey, takeKeyFor, type IdempotencyKey } from '../../store/idempotency.js';
import type { TriggerRecord } from '../../store/triggers.js';
import { actorOf, auditedActor } from '../actor.js';
import { authorize } from '../authorize.js';
import { bodyHashOf } from '../body-hash.js';
import type { OperationDeps } from '../deps.js';
import type { Principal } from '../principal.js';
import { toWireExecution, type WireExecution } from '../wire.js';
import { dispatch, targetOf, type Dispatched } from './dispatch.js';
import { postPrompt } from './post-prompt.js';
import { ownTrigger } from './read-triggers.js';
import { recordDelivery, type Arrival } from './record-delivery.js';
import { scheduleOf } from './wire-trigger.js';
import type { WebhookConfig } from './trigger-input.js';

export interface RunTriggerParams {
  /** The trigger's id or name. */
  readonly id: string;
  /** What was sent, whole: the payload of a manual trigger. */
  readonly body?: JsonObject;
  readonly variables?: JsonObject;
  readonly idempotencyKey?: string;
}
export interface Fired {
  /** Null: a schedule of the orchestrator has none. */
  readonly execution: WireExecution | null;
  readonly duplicate: boolean;
}

/**
 * Fires a trigger now, because somebody asks: also a disabled one, not one of a disabled workflow. The definition is the current one.
 * @throws AppError forbidden, not_found, bad_request (a webhook that feeds events), workflow_disabled, validation_failed, idempotency_key_reused, concurrency_limit
 */
export async function runTrigger(deps: OperationDeps, principal: Principal, params: RunTriggerParams): Promise<Fired> {
  authorize(principal, 'run');
  const trigger = await ownTrigger(deps, principal, params.id);
  requireStarting(trigger);
  const receivedAt = new Date();
  const deliveryId = newDeliveryId();
  const idempotency = keyOf(trigger, params);
  const earlier = idempotency === undefined ? undefined : await earlierRun(deps, trigger, idempotency);
  const payload = trigger.type === 'manual' ? (params.body ?? {}) : {};
  const arrival: Arrival = { trigger, receivedAt, eventType: 'run', deliveryId, payload };
  const dispatched = earlier ?? (await fire(deps, principal, { trigger, receivedAt, deliveryId, payload, params, idempotency }));
  await recordDelivery(deps, arrival, dispatched);
  if (dispatched.error !== undefined) throw dispatched.error;
  const execution =
    dispatched.execution ??
    (dispatched.executionId === null ? undefined : await getExecution(deps.db, principal.userId, dispatched.executionId));
  return { execution: execution === undefined ? null : toWireExecution(execution), duplicate: dispatched.outcome === 'duplicate' };
}

interface Firing {
  readonly trigger: TriggerRecord;
  readonly receivedAt: Date;
  readonly deliveryId: string;
  readonly payload: JsonObject;
  readonly params: RunTriggerParams;
  readonly idempotency: IdempotencyKey | undefined;
}

async function fire(
  deps: OperationDeps,
  principal: Principal,
  { trigger, receivedAt, deliveryId, payload, params, idempotency }: Firing,
): Promise<Dispatched> {
  if (isForAgent(trigger))
    return fireAtAgent(deps, trigger, receivedAt, idempotency ?? { door: `trigger:${trigger.id}`, key: `run:${deliveryId}`, bodyHash: '' });
  const target = await targetOf(deps, trigger);
  if (!('workflow' in target)) return { ...target, executionId: null, error: noTarget(trigger, target.outcome) };
  return dispatch(deps, {
    trigger,
    workflow: target.workflow,
    at: receivedAt,
    payload,
    variables: { ...(trigger.type === 'schedule' ? scheduleOf(trigger).variables : {}), ...params.variables },
    facts: factsOf(trigger, receivedAt),
    deliveryId,
    startedBy: actorOf(principal),
    audited: auditedActor(principal),
    ...(idempotency === undefined ? {} : { idempotency }),
  });
}

/** @throws AppError bad_request for a webhook that only feeds executions which wait */
export function requireStarting({ name, type, config }: TriggerRecord): void {
  if (type === 'webhook' && (config as unknown as WebhookConfig).event !== undefined)
    throw new AppError('bad_request', `The webhook ${name} feeds executions that wait; it starts none`, {});
}

/** Whether the trigger speaks to its owner's agent instead of starting a workflow. */
export const isForAgent = (trigger: TriggerRecord): boolean => trigger.type === 'schedule' && scheduleOf(trigger).target === 'orchestrator';

async function fireAtAgent(deps: OperationDeps, trigger: TriggerRecord, at: Date, idempotency: IdempotencyKey): Promise<Dispatched> {
  const claim = await takeKeyFor(deps.db, trigger.ownerId, idempotency, trigger.id);
  if (claim.kind === 'reused') throw keyReused(idempotency);
  // Also of a repeat: the first one may have died in between, and the same key is the same message.
  await postPrompt(deps, trigger, { key: `${trigger.id}-${idempotency.key}`, at });
  return claim.kind === 'first'
    ? { outcome: 'matched', reason: null, executionId: null }
    : { outcome: 'duplicate', reason: 'run before', executionId: null };
}

function noTarget({ workflowId }: TriggerRecord, outcome: 'workflow_deleted' | 'workflow_disabled'): AppError {
  if (outcome === 'workflow_deleted') return notFound('workflow', workflowId ?? '');
  return new AppError('workflow_disabled', `The workflow ${workflowId ?? ''} is disabled`, { workflowId: workflowId ?? '' });
}

/** What `_trigger` tells of a trigger that is fired by hand. Pure. */
export function factsOf(trigger: TriggerRecord, at: Date): JsonObject {
  if (trigger.type === 'webhook') {
    const { path, method } = trigger.config as unknown as WebhookConfig;
    return { path, method };
  }
  if (trigger.type !== 'schedule') return {};
  const { cron, timezone } = scheduleOf(trigger);
  return { cron, timezone, scheduledAt: at.toISOString() };
}

function keyOf({ id }: TriggerRecord, { idempotencyKey, variables, body }: RunTriggerParams): IdempotencyKey | undefined {
  if (idempotencyKey === undefined) return undefined;
  const { idempotencyKey: _, ...rest } = body ?? {};
  return { door: `trigger:${id}`, key: `run:${idempotencyKey}`, bodyHash: bodyHashOf({ ...rest, variables: variables ?? {} }) };
}

/** Looked at before the checks: a repeat is answered even where the workflow would no longer start. */
async function earlierRun(deps: OperationDeps, { ownerId }: TriggerRecord, key: IdempotencyKey): Promise<Dispatched | undefined> {
  const claim = await findKey(deps.db, ownerId, key);
  if (claim?.kind === 'reused') throw keyReused(key);
  if (claim?.kind !== 'repeat') return undefined;
  const isExecution = claim.resultId.startsWith('exe_');
  if (isExecution && (await getExecution(deps.db, ownerId, claim.resultId)) === undefined) throw notFound('execution', claim.resultId);
  return { outcome: 'duplicate', reason: 'run before', executionId: isExecution ? claim.resultId : null };
}

const keyReused = ({ key }: IdempotencyKey): AppError =>
  new AppError('idempotency_key_reused', 'The idempotency key was used here with another body', { key: key.slice('run:'.length) });
