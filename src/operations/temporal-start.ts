/** From a committed row to a Temporal workflow. Every path that starts goes through here: the caller's, the reconciler's. */
import type { ExecutionInput, StartData } from '../engine/types.js';
import type { ExecutionRecord } from '../store/execution-record.js';
import type { OperationDeps } from './deps.js';
import type { SendOutcome } from './temporal-gateway.js';

/** Above this the history carries the id alone, and the first activity loads the rest. */
const INLINE_BYTES = 64 * 1024;

/** What the workflow is started with: the data themselves while they are small. Pure. */
export function toExecutionInput(executionId: string, start: StartData | undefined): ExecutionInput {
  if (start !== undefined && Buffer.byteLength(JSON.stringify(start)) <= INLINE_BYTES) return { kind: 'start', start };
  return { kind: 'load', executionId };
}

/** Starts the workflow of a row, once however often it is called. */
export function startInTemporal(deps: OperationDeps, execution: ExecutionRecord, input: ExecutionInput): Promise<SendOutcome> {
  return deps.temporal.startExecution({
    executionId: execution.id,
    summary: execution.workflowName,
    input,
    attributes: { workflow: execution.workflowName, owner: execution.ownerId, status: 'running', trigger: execution.trigger.type },
  });
}

/** Starts it behind the caller's answer. A start that fails is the reconciler's: the row stays `pending`. */
export function startSoon(deps: OperationDeps, execution: ExecutionRecord, start: StartData | undefined): void {
  deps.background.run('start', async () => {
    const outcome = await startInTemporal(deps, execution, toExecutionInput(execution.id, start));
    if (outcome.kind !== 'unavailable') return;
    deps.log.warn({ executionId: execution.id, error: outcome.error.message }, 'Temporal did not take the start; it will be repeated');
  });
}
