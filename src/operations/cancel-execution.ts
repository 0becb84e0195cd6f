import { notFound } from '../errors.js';
import { beginCancel, type CancelRequest, type CancelResult } from '../store/end-execution.js';
import { actorOf, audit } from './actor.js';
import { authorize } from './authorize.js';
import { deliverSoon } from './deliver.js';
import type { OperationDeps } from './deps.js';
import type { Principal } from './principal.js';
import { afterSettled } from './report-child.js';
import { toWireExecution, type WireExecution } from './wire.js';

/** `ignored`: it had ended before. */
export interface Commanded {
  readonly execution: WireExecution;
  readonly ignored: boolean;
}

/**
 * Asks an execution to cancel: its row and gates first, Temporal after. A pending one ends at once; any other leads to `cancelled`
 * and nothing else. May repeat. @throws AppError forbidden, not_found
 */
export async function cancelExecution(
  deps: OperationDeps,
  principal: Principal,
  params: { readonly id: string; readonly reason?: string },
): Promise<Commanded> {
  authorize(principal, 'run');
  const { id: executionId, reason } = params;
  const result = await requestCancel(deps, executionId, { ownerId: principal.userId, by: actorOf(principal), reason: reason ?? null });
  if (result.kind === 'not_found') throw notFound('execution', executionId);
  if (result.kind === 'cancelled' || result.kind === 'cancelling')
    await audit(deps, principal, {
      action: 'execution.cancel',
      targetType: 'execution',
      targetId: executionId,
      details: { reason: reason ?? null },
    });
  return { execution: toWireExecution(result.execution), ignored: result.kind === 'ended' };
}

/** The same for the system itself: a parent that passes its cancel down. `ownerId` null: whoever's. */
export async function requestCancel(deps: OperationDeps, executionId: string, request: CancelRequest): Promise<CancelResult> {
  const result = await beginCancel(deps.db, executionId, request);
  if (result.kind === 'cancelled') afterSettled(deps, result);
  // Also where it had not begun: a start that is under way would find its row ended, but need not get that far.
  if (result.kind === 'cancelled' || result.kind === 'cancelling')
    deliverSoon(deps, { id: result.commandId, targetId: executionId, kind: 'cancel', payload: null, by: request.by });
  return result;
}
