/** What follows the end of an execution's row, whoever closed it: its parent is told, and nobody is left running for it. */
import { listAwaitedOrphans } from './orphans.js';
import { beginCancel, type ChildReport, type Settled } from '../store/end-execution.js';
import { SYSTEM } from './actor.js';
import { deliverSoon } from './deliver.js';
import type { OperationDeps } from './deps.js';
import { tellFailureSoon } from './failure-notice.js';

/**
 * Signals a child's end to its parent's workflow, and tells of a failure that nobody watches. To be called by whoever settles an execution: the workflow's last activity, a cancel,
 * the reconciler, which repeats it until the parent has taken it (durability §11).
 */
export function afterSettled(deps: OperationDeps, settled: Pick<Settled, 'childReport' | 'execution'>): void {
  tellFailureSoon(deps, settled);
  if (settled.childReport !== null) deliverSoon(deps, toDeliverable(settled.childReport));
}

const toDeliverable = (report: ChildReport) =>
  ({
    id: report.commandId,
    targetId: report.parentId,
    kind: 'child',
    payload: { executionId: report.executionId, outcome: report.outcome } as never,
    by: null,
  }) as const;

/** Cancels awaited children whose parent has ended without waiting for them: its workflow was terminated. May repeat. */
export async function cancelOrphans(deps: OperationDeps): Promise<number> {
  const orphans = await listAwaitedOrphans(deps.db);
  for (const id of orphans) {
    const result = await beginCancel(deps.db, id, { ownerId: null, by: SYSTEM, reason: 'parent_terminated' });
    if (result.kind === 'cancelled') afterSettled(deps, result);
    if (result.kind === 'cancelled' || result.kind === 'cancelling')
      deliverSoon(deps, { id: result.commandId, targetId: id, kind: 'cancel', payload: null, by: SYSTEM });
  }
  return orphans.length;
}
