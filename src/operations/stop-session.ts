import { notFound } from '../errors.js';
import { isEnded } from '../store/execution-record.js';
import { getExecution } from '../store/executions.js';
import { addStop } from '../store/session-commands.js';
import { getTurn } from '../store/turns.js';
import { actorOf, audit } from './actor.js';
import { authorize } from './authorize.js';
import { cancelExecution } from './cancel-execution.js';
import { deliverSoon } from './deliver.js';
import type { OperationDeps } from './deps.js';
import type { Principal } from './principal.js';
import { ownSession } from './sessions.js';

export interface StopParams {
  /** The session's. */
  readonly id: string;
  /** Only if this is what is under way. */
  readonly turnId?: string;
}

const REASON = 'Stopped from the chat';

/**
 * Stops what the session's agent does now: the turn is given up, a held call's gate closes, messages behind it are answered next. A turn of a
 * run's step ends only with the run, so the run is cancelled; and so is the run whose session it is when no turn is named. May repeat.
 * @throws AppError forbidden, not_found
 */
export async function stopSession(
  deps: OperationDeps,
  principal: Principal,
  { id: sessionId, turnId }: StopParams,
): Promise<{ readonly accepted: true }> {
  authorize(principal, 'run');
  const session = await ownSession(deps, principal, sessionId);
  const named = turnId === undefined ? { executionId: session.executionId, messageId: null } : await turnOf(deps, sessionId, turnId);
  if (named.executionId !== null && (await isOpen(deps, named.executionId)))
    await cancelExecution(deps, principal, { id: named.executionId, reason: REASON });
  if (turnId === undefined || named.executionId === null) await stopConversation(deps, principal, sessionId, named.messageId);
  await audit(deps, principal, { action: 'session.stop', targetType: 'session', targetId: sessionId, details: { turnId: turnId ?? null } });
  return { accepted: true };
}

/** @param messageId only the reply to this one; null: whichever is under way */
async function stopConversation(deps: OperationDeps, principal: Principal, sessionId: string, messageId: string | null): Promise<void> {
  const by = actorOf(principal);
  const stopped = await addStop(deps.db, { ownerId: principal.userId, sessionId, messageId, by });
  if (stopped === undefined) throw notFound('session', sessionId);
  deliverSoon(deps, { id: stopped.commandId, targetId: sessionId, kind: 'stop', payload: { ...stopped.stop }, by });
}

/** The run that a turn is of, or the message that it answers. What has ended stops nothing of a run. */
async function turnOf(deps: OperationDeps, sessionId: string, turnId: string) {
  const found = await getTurn(deps.db, turnId);
  if (found === undefined || found.turn.sessionId !== sessionId) throw notFound('turn', turnId);
  return { executionId: found.message.executionId, messageId: found.replyTo };
}

async function isOpen(deps: OperationDeps, executionId: string): Promise<boolean> {
  const execution = await getExecution(deps.db, null, executionId);
  return execution !== undefined && !isEnded(execution.status);
}
