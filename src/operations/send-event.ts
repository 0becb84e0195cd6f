import { NULL_VALUE, type Json } from '../definition/value.js';
import { AppError, notFound } from '../errors.js';
import { addEvent } from '../store/commands.js';
import { getExecution } from '../store/executions.js';
import type { IdempotencyKey } from '../store/idempotency.js';
import { storeIfLarge } from '../store/values.js';
import { actorOf } from './actor.js';
import { authorize } from './authorize.js';
import { bodyHashOf } from './body-hash.js';
import { deliverSoon } from './deliver.js';
import type { OperationDeps } from './deps.js';
import type { Principal } from './principal.js';

export interface SendEventParams {
  /** The execution's. */
  readonly id: string;
  readonly event: string;
  readonly payload?: Json;
  readonly idempotencyKey?: string;
}

/**
 * Gives an execution an event; one that comes early is kept. A payload over 32 KB travels by reference.
 * @throws AppError forbidden, not_found, execution_ended, event_backlog_full, idempotency_key_reused
 */
export async function sendEvent(
  deps: OperationDeps,
  principal: Principal,
  params: SendEventParams,
): Promise<{ readonly accepted: true; readonly duplicate: boolean }> {
  authorize(principal, 'run');
  const { id: executionId, event, payload, idempotencyKey } = params;
  const { duplicate } = await postEvent(deps, {
    ownerId: principal.userId,
    by: actorOf(principal),
    executionId,
    event,
    ...(payload === undefined ? {} : { payload }),
    ...(idempotencyKey === undefined
      ? {}
      : { idempotency: { door: `execution:${executionId}`, key: idempotencyKey, bodyHash: bodyHashOf({ event, payload }) } }),
  });
  return { accepted: true, duplicate };
}

export interface PostedEvent {
  readonly ownerId: string;
  readonly by: Json;
  readonly executionId: string;
  readonly event: string;
  readonly payload?: Json;
  readonly idempotency?: IdempotencyKey;
}

/** The same for whatever speaks for nobody in person, such as a webhook. @throws AppError as sendEvent, but for forbidden */
export async function postEvent(deps: OperationDeps, posted: PostedEvent): Promise<{ readonly duplicate: boolean }> {
  const { ownerId, executionId, event, by, idempotency } = posted;
  // Before the payload is stored: nothing is kept for an execution that is not there.
  if ((await getExecution(deps.db, ownerId, executionId)) === undefined) throw notFound('execution', executionId);
  const payload = posted.payload === undefined ? NULL_VALUE : await storeIfLarge(deps.db, ownerId, posted.payload);
  const result = await addEvent(deps.db, {
    ownerId,
    executionId,
    event,
    payload,
    bytes: Buffer.byteLength(JSON.stringify(payload)),
    by,
    ...(idempotency === undefined ? {} : { idempotency }),
  });
  if (result.kind !== 'accepted') throw refusal(posted, result);
  if (!result.duplicate)
    deliverSoon(deps, { id: result.commandId, targetId: executionId, kind: 'event', payload: { event, payload } as never, by });
  return { duplicate: result.duplicate };
}

type Refused = Exclude<Awaited<ReturnType<typeof addEvent>>, { kind: 'accepted' }>;

function refusal({ executionId, idempotency }: PostedEvent, result: Refused): AppError {
  switch (result.kind) {
    case 'not_found':
      return notFound('execution', executionId);
    case 'ended':
      return new AppError('execution_ended', `Execution ${executionId} has ended as ${result.execution.status}`, {
        executionId,
        executionStatus: result.execution.status,
      });
    case 'key_reused':
      return new AppError('idempotency_key_reused', `The key was used here for another event`, { key: idempotency?.key ?? '' });
    case 'backlog_full': {
      const { waiting, waitingBytes } = result;
      return new AppError('event_backlog_full', `${waiting} events with ${waitingBytes} bytes wait already`, { waiting, waitingBytes });
    }
  }
}
