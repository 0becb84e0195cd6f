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
  const executionIds = turnId === undefined ? await runsOf(deps, session) : await runOf(deps, sessionId, turnId);
  for (const id of executionIds) await cancelExecution(deps, principal, { id, reason: REASON });
  const by = actorOf(principal);
  const stopped = await addStop(deps.db, { ownerId: principal.userId, sessionId, turnId: turnId ?? null, by });
  if (stopped === undefined) throw notFound('session', sessionId);
  const { commandId, stop } = stopped;
  deliverSoon(deps, { id: commandId, targetId: sessionId, kind: 'stop', payload: { ...stop }, by });
  await audit(deps, principal, { action: 'session.stop', targetType: 'session', targetId: sessionId, details: { turnId: turnId ?? null } });
  return { accepted: true };
}

const runsOf = async (deps: OperationDeps, session: { readonly executionId: string | null }): Promise<string[]> =>
  session.executionId !== null && (await isOpen(deps, session.executionId)) ? [session.executionId] : [];

async function runOf(deps: OperationDeps, sessionId: string, turnId: string): Promise<string[]> {
  const found = await getTurn(deps.db, turnId);
  if (found === undefined || found.turn.sessionId !== sessionId) throw notFound('turn', turnId);
  const { executionId } = found.message;
  // A turn that has ended keeps no run from going on.
  return executionId !== null && found.turn.status === 'streaming' && (await isOpen(deps, executionId)) ? [executionId] : [];
}

async function isOpen(deps: OperationDeps, executionId: string): Promise<boolean> {
  const execution = await getExecution(deps.db, null, executionId);
  return execution !== undefined && !isEnded(execution.status);
}
