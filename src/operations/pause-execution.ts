import { notFound } from '../errors.js';
import { addCommand } from '../store/commands.js';
import { actorOf, audit } from './actor.js';
import { authorize } from './authorize.js';
import type { Commanded } from './cancel-execution.js';
import { deliverSoon } from './deliver.js';
import type { OperationDeps } from './deps.js';
import type { Principal } from './principal.js';
import { toWireExecution } from './wire.js';

interface Params {
  /** The execution's. */
  readonly id: string;
}

/** Asks an execution to stop at its next step boundary. @throws AppError forbidden, not_found */
export const pauseExecution = (deps: OperationDeps, principal: Principal, params: Params): Promise<Commanded> =>
  command(deps, principal, params, 'pause');

/** Asks a paused execution to go on. @throws AppError forbidden, not_found */
export const resumeExecution = (deps: OperationDeps, principal: Principal, params: Params): Promise<Commanded> =>
  command(deps, principal, params, 'resume');

async function command(
  deps: OperationDeps,
  principal: Principal,
  { id: executionId }: Params,
  kind: 'pause' | 'resume',
): Promise<Commanded> {
  authorize(principal, 'run');
  const by = actorOf(principal);
  const result = await addCommand(deps.db, { ownerId: principal.userId, executionId, kind, by });
  if (result.kind === 'not_found') throw notFound('execution', executionId);
  if (result.kind === 'accepted') {
    deliverSoon(deps, { id: result.commandId, targetId: executionId, kind, payload: null, by });
    await audit(deps, principal, { action: `execution.${kind}`, targetType: 'execution', targetId: executionId });
  }
  return { execution: toWireExecution(result.execution), ignored: result.kind === 'ended' };
}
