import type { Settled } from '../store/end-execution.js';
import type { ExecutionRecord, TriggerType } from '../store/execution-record.js';
import { addMessage } from '../store/messages.js';
import { getPlan } from '../store/plans.js';
import { getOrchestratorSession } from '../store/sessions.js';
import { firstFailedStep } from '../store/step-list.js';
import type { StepError } from '../engine/types.js';
import type { OperationDeps } from './deps.js';

/** Whoever started these sees their end; of a child its parent tells. */
const WATCHED: ReadonlySet<TriggerType> = new Set(['manual', 'chat', 'subworkflow', 'test', 'rerun']);

/**
 * Tells the owner's orchestrator session, once, that a run which nobody watches has failed, unless its definition says `failureNotify: none`.
 * Behind the answer; its own failure is logged and nothing more.
 */
export function tellFailureSoon(deps: OperationDeps, { execution }: Pick<Settled, 'execution'>): void {
  if (execution.status !== 'failed' || WATCHED.has(execution.trigger.type)) return;
  deps.background.run('tell of a failure', async () => {
    try {
      await tellFailure(deps, execution);
    } catch (error) {
      deps.log.warn(
        { executionId: execution.id, error: error instanceof Error ? error.message : String(error) },
        'A failure could not be told to its owner',
      );
    }
  });
}

async function tellFailure(deps: OperationDeps, execution: ExecutionRecord): Promise<void> {
  const plan = await getPlan(deps.db, execution.hash, execution.planFormat);
  if (plan?.failureNotify === 'none') return;
  const session = await getOrchestratorSession(deps.db, execution.ownerId);
  if (session === undefined) return;
  const failed = await firstFailedStep(deps.db, execution.id);
  await addMessage(deps.db, {
    ownerId: execution.ownerId,
    sessionId: session.id,
    role: 'system',
    author: 'Signalbox',
    parts: [{ type: 'text', text: noticeOf(execution, failed) }],
    dedupKey: `failure:${execution.id}`,
  });
}

/** A few characters that tell one execution from another: the random end of its id, or the time of its tick. Pure. */
export function shortIdOf(id: string): string {
  const tick = /-(\d{4}-\d{2}-\d{2}T\d{2}:\d{2}:\d{2}Z)$/.exec(id)?.[1];
  return tick === undefined ? id.slice(-8) : `${id.slice(-(tick.length + 7), -(tick.length + 1))}-${tick}`;
}

/** Pure. */
export function noticeOf(
  execution: Pick<ExecutionRecord, 'id' | 'workflowName' | 'trigger' | 'error'>,
  failed: { readonly stepId: string; readonly error: StepError | null } | undefined,
): string {
  const { id, workflowName, trigger } = execution;
  const error = failed?.error ?? execution.error;
  const stepId = failed?.stepId ?? error?.stepId ?? null;
  const where = stepId === null ? 'No failing step is recorded' : `Step \`${stepId}\``;
  const why = error === null || error === undefined ? '' : `: ${error.code}: ${error.message.slice(0, 500)}`;
  return [
    `**${workflowName}** failed (${shortIdOf(id)}).`,
    `${where}${why}`,
    `Trigger: ${[trigger.type, trigger.name].filter((part) => part !== undefined).join(' ')}`,
    `[Open the execution](/executions/${encodeURIComponent(id)})`,
  ].join('\n');
}
