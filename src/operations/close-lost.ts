/** What becomes of an execution whose workflow has ended without a word. */
import type { ExecutionOutcome, StepError } from '../engine/types.js';
import { closeAsTerminated, settleExecution, type Settled } from '../store/end-execution.js';
import { isEnded, type ExecutionRecord } from '../store/execution-record.js';
import { getExecution } from '../store/executions.js';
import type { OperationDeps } from './deps.js';
import { afterSettled } from './report-child.js';

/**
 * Closes the row of an execution whose workflow was terminated, has timed out or is unknown, with its gates and log, and tells its parent; its
 * awaited children are orphans then. One that its own Schedule has terminated to make room for the next is cancelled, as its author asked for:
 * nobody is alarmed.
 */
export async function closeLost(deps: OperationDeps, executionId: string): Promise<void> {
  const execution = await getExecution(deps.db, null, executionId);
  if (execution === undefined || isEnded(execution.status)) return;
  if (await closeReplaced(deps, execution)) return;
  const isOurs = follow(deps, await closeAsTerminated(deps.db, executionId, TERMINATED));
  if (isOurs) deps.log.warn({ executionId }, 'Closed an execution whose workflow is gone');
}

/** Closes it if its Schedule has terminated it for its next run. @returns whether it has */
export async function closeReplaced(deps: OperationDeps, execution: Pick<ExecutionRecord, 'id' | 'trigger'>): Promise<boolean> {
  const { type, id: triggerId } = execution.trigger;
  if (type !== 'schedule' || triggerId === undefined) return false;
  const answer = await deps.temporal.schedules.hasReplaced(triggerId, execution.id);
  if (answer.kind !== 'done' || !answer.value) return false;
  const isOurs = follow(deps, await settleExecution(deps.db, execution.id, null, REPLACED));
  if (isOurs) deps.log.info({ executionId: execution.id }, 'Closed an execution that its schedule has terminated for the next');
  return true;
}

/** @returns whether this closed it: it may have ended, or somebody else may have closed it */
function follow(deps: OperationDeps, settled: Settled | undefined): boolean {
  if (settled?.won !== true) return false;
  afterSettled(deps, settled);
  return true;
}

const TERMINATED: StepError = {
  code: 'execution_terminated',
  message: 'The workflow of this execution was terminated, timed out, or is not known to Temporal any more',
  retryable: false,
};
const REPLACED: ExecutionOutcome = {
  status: 'cancelled',
  output: { v: null },
  error: null,
  reason: 'replaced_by_next_tick',
  requested: false,
};
