import type { JsonObject } from '../definition/value.js';
import { actorOf } from './actor.js';
import { admitExecution } from './admit-execution.js';
import { authorize } from './authorize.js';
import { compile } from './compile-definition.js';
import type { OperationDeps } from './deps.js';
import type { Principal } from './principal.js';
import { checkedVariables, triggerVariables } from './start-variables.js';
import { toWireExecution, type WireExecution } from './wire.js';

export interface TestRunParams {
  /** A definition that need not be saved. */
  readonly data?: unknown;
  readonly variables?: JsonObject;
}

/**
 * Runs a definition for real, as an execution of trigger type `test` of no workflow; lists leave it out.
 * @throws AppError forbidden, definition_invalid, validation_failed, concurrency_limit
 */
export async function testRunLive(deps: OperationDeps, principal: Principal, params: TestRunParams): Promise<{ readonly execution: WireExecution }> {
  authorize(principal, 'run');
  const ownerId = principal.userId;
  const { plan, data } = await compile(deps, ownerId, params.data);
  const trigger = { type: 'test' as const };
  const variables = checkedVariables(plan, params.variables ?? {}, triggerVariables(trigger, new Date()));
  const { execution } = await admitExecution(deps, { ownerId, workflowId: null, plan, data, trigger, variables, startedBy: actorOf(principal) });
  return { execution: toWireExecution(execution) };
}
