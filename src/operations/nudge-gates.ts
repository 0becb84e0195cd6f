import { gatesToNudge, nudgeGate } from '../store/gate-nudges.js';
import type { OperationDeps, OperationLog } from './deps.js';

const BATCH = 200;
const PARALLEL = 8;

/** Reminds and escalates what is due, everywhere and at once without harm: the rows arbitrate. @returns whether more may be due */
export async function nudgeGates(deps: Pick<OperationDeps, 'db'> & { readonly log: Pick<OperationLog, 'info'> }): Promise<boolean> {
  const ids = await gatesToNudge(deps.db, BATCH);
  const left = [...ids];
  const lane = async (): Promise<void> => {
    for (let id = left.shift(); id !== undefined; id = left.shift()) {
      const nudged = await nudgeGate(deps.db, id);
      if (nudged === undefined) continue;
      const { gate, reminded, escalatedTo } = nudged;
      deps.log.info({ approvalId: gate.id, executionId: gate.executionId, reminded, escalatedTo }, 'A gate still waits for its people');
    }
  };
  await Promise.all(Array.from({ length: Math.min(PARALLEL, ids.length) }, lane));
  return ids.length > 0;
}
