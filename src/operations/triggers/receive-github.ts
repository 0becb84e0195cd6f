/** A delivery at `/webhooks/github`: one secret for the deployment, each trigger of the repository for itself. */
import { createHash } from 'node:crypto';
import type { Json, JsonObject } from '../../definition/value.js';
import { AppError } from '../../errors.js';
import type { DeliveryOutcome } from '../../store/deliveries.js';
import { githubTriggers, type TriggerRecord } from '../../store/triggers.js';
import { getUser } from '../../store/users.js';
import type { OperationDeps } from '../deps.js';
import { deliveryKeyOf } from './delivery-key.js';
import { dispatch, earlierOf, targetOf, type Dispatched } from './dispatch.js';
import { actionOf, eventTypeOf, mismatchOf, repoOf, type GithubConfig, type GithubEvent } from './github-match.js';
import { standingFault } from './owner-standing.js';
import { recordDelivery } from './record-delivery.js';
import type { WebhookRequest } from './receive-webhook.js';
import { isSigned } from './webhook-signature.js';

export interface GithubOutcome {
  readonly triggerId: string;
  readonly outcome: DeliveryOutcome;
  readonly reason: string | null;
  readonly executionId: string | null;
}
export interface GithubAnswer {
  readonly deliveryId: string | null;
  /** One for each enabled trigger of the repository. */
  readonly outcomes: readonly GithubOutcome[];
}

/** @throws AppError unauthenticated (also while no secret is set), bad_request, payload_too_large, validation_failed */
export async function receiveGithub(deps: OperationDeps, secret: string | undefined, request: WebhookRequest): Promise<GithubAnswer> {
  const receivedAt = new Date();
  const { headers } = request;
  const raw = await request.readBody();
  if (secret === undefined || !isSigned(raw, headers['x-hub-signature-256'], [secret]))
    throw new AppError(
      'unauthenticated',
      secret === undefined ? 'GITHUB_WEBHOOK_SECRET is not set' : 'X-Hub-Signature-256 is not the HMAC-SHA256 of the body',
      {},
    );
  const payload = parsePayload(raw, headers['content-type'] ?? '');
  request.checkPayload(payload);
  const event: GithubEvent = { name: headers['x-github-event'] ?? '', payload };
  const senders = headers['x-github-delivery']?.trim() ?? '';
  const arrival: GithubArrival = {
    event,
    receivedAt,
    deliveryId: senders === '' ? createHash('sha256').update(raw).digest('hex') : senders,
  };
  const outcomes: GithubOutcome[] = [];
  for (const trigger of await triggersOf(deps, event)) outcomes.push(await evaluate(deps, request, trigger, arrival));
  return { deliveryId: senders === '' ? null : senders, outcomes };
}

interface GithubArrival {
  readonly event: GithubEvent;
  readonly receivedAt: Date;
  readonly deliveryId: string;
}

async function triggersOf(deps: OperationDeps, event: GithubEvent): Promise<TriggerRecord[]> {
  const repo = repoOf(event)?.toLowerCase();
  if (repo === undefined) return [];
  const all = await githubTriggers(deps.db);
  return all.filter((trigger) => (trigger.config as unknown as GithubConfig).repos.some((own) => own.toLowerCase() === repo));
}

/** One that fails does not stop the others. */
async function evaluate(
  deps: OperationDeps,
  request: WebhookRequest,
  trigger: TriggerRecord,
  arrival: GithubArrival,
): Promise<GithubOutcome> {
  const { event, receivedAt, deliveryId } = arrival;
  const dispatched = await dispatchTo(deps, request, trigger, arrival).catch((error: unknown): Dispatched => {
    deps.log.error(
      { triggerId: trigger.id, deliveryId, error: error instanceof Error ? error.message : String(error) },
      'A GitHub trigger failed',
    );
    return { outcome: 'error', reason: error instanceof AppError ? error.message : 'internal error', executionId: null };
  });
  await recordDelivery(deps, { trigger, receivedAt, eventType: eventTypeOf(event), deliveryId, payload: event.payload }, dispatched);
  const { outcome, reason, executionId } = dispatched;
  return { triggerId: trigger.id, outcome, reason, executionId };
}

async function dispatchTo(
  deps: OperationDeps,
  request: WebhookRequest,
  trigger: TriggerRecord,
  { event, receivedAt, deliveryId }: GithubArrival,
): Promise<Dispatched> {
  const mismatch = mismatchOf(trigger.config as unknown as GithubConfig, event);
  if (mismatch !== undefined) return { outcome: 'no_match', reason: mismatch, executionId: null };
  const fault = standingFault(await getUser(deps.db, trigger.ownerId));
  if (fault !== undefined) return { outcome: 'no_match', reason: fault, executionId: null };
  const target = await targetOf(deps, trigger);
  if (!('workflow' in target)) return { ...target, executionId: null };
  const idempotency = deliveryKeyOf(trigger, deliveryId);
  const earlier = await earlierOf(deps, trigger, idempotency);
  if (earlier !== undefined) return earlier;
  if (request.takeCall(trigger.id) > 0) return { outcome: 'error', reason: 'rate limit', executionId: null };
  return dispatch(deps, {
    trigger,
    workflow: target.workflow,
    at: receivedAt,
    payload: event.payload,
    facts: githubFacts(event, deliveryId),
    deliveryId,
    startedBy: { id: trigger.id, name: trigger.name },
    idempotency,
  });
}

/** What `_trigger` tells of a GitHub event. Pure. */
export const githubFacts = (event: GithubEvent, deliveryId: string): JsonObject => ({
  eventType: eventTypeOf(event),
  action: actionOf(event) ?? null,
  deliveryId,
  repo: repoOf(event) ?? null,
});

/** GitHub sends JSON, or a form whose field `payload` holds it. */
function parsePayload(raw: Uint8Array, type: string): JsonObject {
  const text = new TextDecoder().decode(raw);
  const json = /^application\/x-www-form-urlencoded\b/i.test(type) ? (new URLSearchParams(text).get('payload') ?? '') : text;
  let parsed: Json;
  try {
    parsed = JSON.parse(json) as Json;
  } catch (error) {
    throw new AppError('bad_request', 'The payload is not JSON', {}, { cause: error });
  }
  if (typeof parsed !== 'object' || parsed === null || Array.isArray(parsed))
    throw new AppError('bad_request', 'The payload is no JSON object', {});
  return parsed as JsonObject;
}
