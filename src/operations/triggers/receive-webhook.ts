/** A call at `/webhooks/:path`, in the order of reference §7. */
import { createHash } from 'node:crypto';
import type { JsonObject } from '../../definition/value.js';
import { AppError, notFound } from '../../errors.js';
import { newDeliveryId } from '../../store/deliveries.js';
import type { IdempotencyKey } from '../../store/idempotency.js';
import { getExecution } from '../../store/executions.js';
import { findWebhook, secretsOf, type FoundWebhook, type TriggerRecord } from '../../store/triggers.js';
import type { WorkflowRecord } from '../../store/workflows.js';
import type { OperationDeps } from '../deps.js';
import { postEvent } from '../send-event.js';
import { dispatch, earlierOf, toTarget, type Dispatched } from './dispatch.js';
import { standingFault } from './owner-standing.js';
import { recordDelivery, type Arrival, type Evaluation } from './record-delivery.js';
import type { WebhookConfig } from './trigger-input.js';
import { deliveryKeyOf } from './delivery-key.js';
import { deliveryIdOf, payloadOf, type WebhookCall } from './webhook-payload.js';
import { parsePath, readPath } from './variable-mapping.js';
import { isSigned } from './webhook-signature.js';

/** A call as the door has it; the body is read only once it is wanted. */
export interface WebhookRequest extends Omit<WebhookCall, 'raw'> {
  readonly path: string;
  /** @throws AppError payload_too_large, bad_request, unsupported_media_type */
  readBody(): Promise<Uint8Array>;
  /** What of a payload cannot be kept. @throws AppError validation_failed */
  checkPayload(payload: JsonObject): void;
  /** Takes one of the calls that a bucket has left. @returns 0, or after how many ms there will be one */
  takeCall(bucket: string): number;
  /** Puts one back that started nothing. */
  giveCallBack(bucket: string): void;
}
export interface WebhookAnswer {
  readonly executionId: string;
  readonly deliveryId: string;
  readonly deduplicated: boolean;
}

/** Bodies are told apart for a day when the sender gives them no id. */
const BODY_HOURS = 24;

/** A call to be refused, with what its delivery says. */
class Refused extends Error {
  constructor(
    readonly evaluation: Evaluation,
    readonly error: AppError,
  ) {
    super(evaluation.reason ?? '');
  }
}

/**
 * Starts what the call is for; every evaluation of a known path leaves a delivery.
 * @throws AppError not_found, method_not_allowed, unauthenticated, payload_too_large, validation_failed, concurrency_limit, rate_limited
 */
export async function receiveWebhook(deps: OperationDeps, request: WebhookRequest): Promise<WebhookAnswer> {
  const receivedAt = new Date();
  const found = await findWebhook(deps.db, request.path);
  if (found === undefined) throw notFound('webhook', request.path);
  const { trigger, ownerSecrets } = found;
  const senders = deliveryIdOf(request.headers);
  const seen: Seen = {
    trigger,
    receivedAt,
    eventType: request.method,
    deliveryId: senders ?? newDeliveryId(),
    payload: undefined,
    ownerSecrets,
  };
  const dispatched = await evaluate(deps, request, seen, { senders, found }).catch((error: unknown) => refuse(deps, request, seen, error));
  await recordDelivery(deps, seen, dispatched);
  if (dispatched.executionId === null) throw dispatched.error ?? new AppError('internal_error', 'Nothing was started', {});
  return { executionId: dispatched.executionId, deliveryId: seen.deliveryId, deduplicated: dispatched.outcome === 'duplicate' };
}

/** Writes a refusal down, and tells it; a fault of ours as well, which the sender may try again. */
async function refuse(deps: OperationDeps, request: WebhookRequest, seen: Seen, error: unknown): Promise<never> {
  const refused = error instanceof Refused ? error : undefined;
  const evaluation = refused?.evaluation ?? { outcome: 'error' as const, reason: 'internal error', executionId: null };
  // Whoever floods a hook with what it refuses does not fill the table of deliveries.
  if (request.takeCall(`refused ${seen.trigger.id}`) === 0) await recordDelivery(deps, seen, evaluation);
  throw refused?.error ?? error;
}

/** What is known of the call so far: a refusal's delivery says as much. */
type Seen = { -readonly [K in keyof Arrival]: Arrival[K] } & { deliveryId: string };

interface Known {
  readonly senders: string | undefined;
  readonly found: FoundWebhook;
}

async function evaluate(deps: OperationDeps, request: WebhookRequest, seen: Seen, known: Known): Promise<Dispatched> {
  const { trigger } = seen;
  const { senders } = known;
  const workflow = liveTarget(request, known.found);
  const config = trigger.config as unknown as WebhookConfig;
  if (request.method !== config.method)
    throw new Refused(
      noMatch(`the method ${request.method} is not ${config.method}`),
      new AppError('method_not_allowed', `This webhook takes ${config.method}, not ${request.method}`, { allow: [config.method] }),
    );
  const raw = await refusing(() => request.readBody());
  const call: WebhookCall = { ...request, raw };
  seen.payload = await payloadOf(call);
  checkSignature(deps, trigger, call);
  await refusing(async () => request.checkPayload(seen.payload ?? {}));
  const idempotency = keyOf(trigger, senders, call);
  if (config.event !== undefined) return feedEvent(deps, request, seen, config.event, idempotency);
  const start = (): Promise<Dispatched> =>
    dispatch(deps, {
      trigger,
      workflow,
      at: seen.receivedAt,
      payload: seen.payload ?? {},
      facts: { path: config.path, method: config.method, deliveryId: seen.deliveryId },
      deliveryId: seen.deliveryId,
      startedBy: { id: trigger.id, name: trigger.name },
      ...(idempotency === undefined ? {} : { idempotency }),
    });
  return startOnce(deps, request, trigger, idempotency, start);
}

/**
 * A repeat is a repeat whatever else is true of the call. Nearly every call is none, so that it is looked for only where a call would be refused:
 * the transaction of a start tells it by itself.
 */
async function startOnce(
  deps: OperationDeps,
  request: WebhookRequest,
  trigger: TriggerRecord,
  idempotency: IdempotencyKey | undefined,
  start: () => Promise<Dispatched>,
): Promise<Dispatched> {
  const earlier = async (): Promise<Dispatched | undefined> =>
    idempotency === undefined ? undefined : await earlierOf(deps, trigger, idempotency);
  const waitMs = request.takeCall(trigger.id);
  if (waitMs > 0) return (await earlier()) ?? overLimit(waitMs);
  const dispatched = await start();
  const repeated = dispatched.outcome === 'error' ? await earlier() : dispatched.outcome === 'duplicate' ? dispatched : undefined;
  if (repeated !== undefined) request.giveCallBack(trigger.id);
  return repeated ?? dispatched;
}

function overLimit(waitMs: number): never {
  throw new Refused(
    { outcome: 'error', reason: 'rate limit', executionId: null },
    new AppError('rate_limited', 'Too many calls of this webhook', { retryAfterSeconds: Math.ceil(waitMs / 1_000) }),
  );
}

function takeCall(request: WebhookRequest, trigger: TriggerRecord): void {
  const waitMs = request.takeCall(trigger.id);
  if (waitMs > 0) overLimit(waitMs);
}

/** A call for an execution of the workflow that waits: `wait_for_event` takes the payload. */
async function feedEvent(
  deps: OperationDeps,
  request: WebhookRequest,
  { trigger, payload = {} }: Seen,
  { name, executionId: path }: NonNullable<WebhookConfig['event']>,
  idempotency: IdempotencyKey | undefined,
): Promise<Dispatched> {
  const executionId = readPath(payload, parsePath(path) ?? []);
  const execution = typeof executionId === 'string' ? await getExecution(deps.db, trigger.ownerId, executionId) : undefined;
  if (execution === undefined || execution.workflowId !== trigger.workflowId)
    throw new Refused(
      noMatch(`no execution of the workflow at ${path}`),
      notFound('execution', typeof executionId === 'string' ? executionId : ''),
    );
  takeCall(request, trigger);
  const by = { id: trigger.id, name: trigger.name };
  const posted = {
    ownerId: trigger.ownerId,
    by,
    executionId: execution.id,
    event: name,
    payload,
    ...(idempotency === undefined ? {} : { idempotency }),
  };
  const { duplicate } = await refusing(() => postEvent(deps, posted));
  return {
    outcome: duplicate ? 'duplicate' : 'matched',
    reason: duplicate ? 'delivered before' : `event ${name}`,
    executionId: execution.id,
  };
}

const noMatch = (reason: string): Evaluation => ({ outcome: 'no_match', reason, executionId: null });

function liveTarget({ path }: WebhookRequest, { trigger, owner, workflow }: FoundWebhook): WorkflowRecord {
  const fault = trigger.enabled ? standingFault(owner) : 'the trigger is disabled';
  if (fault !== undefined) throw new Refused(noMatch(fault), notFound('webhook', path));
  const target = toTarget(workflow);
  if ('workflow' in target) return target.workflow;
  throw new Refused({ ...target, executionId: null }, notFound('webhook', path));
}

function checkSignature({ encryptionKey }: OperationDeps, trigger: TriggerRecord, { raw, headers }: WebhookCall): void {
  const secrets = secretsOf(encryptionKey, trigger);
  if (secrets.length === 0) return;
  if ([headers['x-webhook-signature'], headers['x-hub-signature-256']].some((header) => isSigned(raw, header, secrets))) return;
  throw new Refused(
    noMatch('invalid signature'),
    new AppError('unauthenticated', 'The signature is missing, or is not the HMAC-SHA256 of the body under this webhook’s secret', {}),
  );
}

/** Faults of the call itself are deliveries, too. */
async function refusing<T>(work: () => Promise<T>): Promise<T> {
  try {
    return await work();
  } catch (error) {
    if (!(error instanceof AppError)) throw error;
    throw new Refused({ outcome: 'error', reason: error.message, executionId: null }, error);
  }
}

/** By what a repeat is told: the sender's id whatever the body, else the body. An empty body says nothing, nor does a GET's, which is not read. Pure. */
function keyOf(trigger: TriggerRecord, senders: string | undefined, { method, raw }: WebhookCall): IdempotencyKey | undefined {
  if (senders !== undefined) return deliveryKeyOf(trigger, senders);
  if (method === 'GET' || raw.length === 0) return undefined;
  return { door: `trigger:${trigger.id}`, key: `body:${createHash('sha256').update(raw).digest('hex')}`, bodyHash: '', hours: BODY_HOURS };
}
