/**
 * Approvals that a rerun would carry on without showing: within seeded subworkflows, and of tool calls that seeded agent steps held
 * (those of approval steps are the seeds' own). Nobody's approval is carried to content that they did not see (durability §13).
 */
import type { Seed } from '../engine/types.js';
import type { ExecutionRecord } from '../store/execution-record.js';
import { getExecution } from '../store/executions.js';
import { listGates } from '../store/gate-list.js';
import type { GateRecord } from '../store/gate-record.js';
import type { OperationDeps } from './deps.js';

export interface CarriedApproval {
  readonly approvalId: string;
  /** The step of the rerun execution itself to start from. */
  readonly stepId: string;
  readonly iterationPath: string;
}

interface Place {
  readonly stepId: string;
  readonly iterationPath: string;
}

const PAGE = 200;
const GENERATIONS = 100;

/** The first approval, in the order of the seeds, that lies inside them. A rerun of a rerun took its results from executions before. */
export async function findCarriedApproval(
  deps: OperationDeps,
  source: ExecutionRecord,
  seeds: readonly Seed[],
): Promise<CarriedApproval | undefined> {
  const done = new Map(seeds.filter(({ how }) => how === 'done').map((seed, index) => [keyOf(seed), index]));
  let first: { readonly order: number; readonly carried: CarriedApproval } | undefined;
  let execution: ExecutionRecord | undefined = source;
  for (let generation = 0; execution !== undefined && generation < GENERATIONS; generation += 1) {
    for (const gate of await approvedGates(deps, execution)) {
      const place = await placeIn(deps, execution.id, gate);
      const order = place === undefined ? undefined : done.get(keyOf(place));
      if (place !== undefined && order !== undefined && order < (first?.order ?? Number.POSITIVE_INFINITY))
        first = { order, carried: { approvalId: gate.id, ...place } };
    }
    execution = execution.rerunOf === null ? undefined : await getExecution(deps.db, source.ownerId, execution.rerunOf.executionId);
  }
  return first?.carried;
}

const keyOf = ({ stepId, iterationPath }: Place): string => `${iterationPath}|${stepId}`;

/** Of the execution and its subworkflows, at any depth. */
async function approvedGates(deps: OperationDeps, { id, ownerId }: ExecutionRecord): Promise<GateRecord[]> {
  const gates: GateRecord[] = [];
  const viewer = { userId: ownerId, email: '', groups: [], isAdmin: true };
  for (let cursor: string | null | undefined; cursor !== null; ) {
    const page: Awaited<ReturnType<typeof listGates>> = await listGates(deps.db, {
      viewer,
      executionId: id,
      status: 'approved',
      limit: PAGE,
      ...(cursor === undefined ? {} : { cursor }),
    });
    gates.push(...page.items);
    cursor = page.cursor;
  }
  return gates;
}

/** The gate's step in that execution: its own, or the subworkflow step that it lies in. */
async function placeIn(deps: OperationDeps, executionId: string, gate: GateRecord): Promise<Place | undefined> {
  if (gate.executionId === executionId)
    return gate.stepId === null ? undefined : { stepId: gate.stepId, iterationPath: gate.iterationPath ?? '' };
  let below = gate.executionId === null ? undefined : await getExecution(deps.db, gate.ownerId, gate.executionId);
  while (below?.parent && below.parent.executionId !== executionId)
    below = await getExecution(deps.db, gate.ownerId, below.parent.executionId);
  return below?.parent ? { stepId: below.parent.stepId, iterationPath: below.parent.iterationPath } : undefined;
}
