import type { StartData } from '../engine/types.js';
import { isEnded } from '../store/execution-record.js';
import { loadStart } from '../store/executions.js';
import type { OperationDeps } from './deps.js';

/** `start` null: nothing to do; `outcome` is the workflow's result. */
export interface LoadedStart {
  readonly start: StartData | null;
  readonly outcome?: { readonly outcome: string; readonly executionId: string };
}

/** What the workflow of a committed row starts from: for children, reruns, and starts too large for a history. May repeat. */
export async function loadStartData(deps: Pick<OperationDeps, 'db'>, executionId: string): Promise<LoadedStart> {
  const loaded = await loadStart(deps.db, executionId);
  if (loaded === undefined) return { start: null, outcome: { outcome: 'unknown_execution', executionId } };
  if (isEnded(loaded.execution.status)) return { start: null, outcome: { outcome: loaded.execution.status, executionId } };
  return { start: loaded.start };
}
