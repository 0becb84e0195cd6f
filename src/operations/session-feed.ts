/** What a session shows: its messages and the steps of its executions, in time order (reference §4). */
import type { Plan } from '../definition/plan.js';
import { stepsById } from '../engine/index.js';
import { getExecution } from '../store/executions.js';
import { readFeed, type FeedRow } from '../store/feed.js';
import type { Page, PageRequest } from '../store/page.js';
import { getPlan } from '../store/plans.js';
import { authorize } from './authorize.js';
import { shownSteps } from '../store/private-values.js';
import type { OperationDeps } from './deps.js';
import type { Principal } from './principal.js';
import { ownSession } from './sessions.js';
import { inRunningOrder } from './step-order.js';
import { toWireStep, type WireStep } from './wire.js';
import { toWireMessage, type WireMessage } from './wire-session.js';

export type WireFeedItem =
  | { readonly kind: 'message'; readonly message: WireMessage }
  | { readonly kind: 'step'; readonly executionId: string; readonly step: WireStep };

/** A page of the feed, the oldest first. @throws AppError not_found */
export async function readSessionFeed(
  deps: OperationDeps,
  principal: Principal,
  { id, ...page }: PageRequest & { readonly id: string },
): Promise<Page<WireFeedItem>> {
  authorize(principal, 'read');
  await ownSession(deps, principal, id);
  const rows = await readFeed(deps.db, principal.userId, id, page);
  const plans = await plansOf(deps, rows.items);
  const shown = await shownRows(deps, sortTies(rows.items, plans));
  return { ...rows, items: shown.map((row) => toItem(row, plans)) };
}

async function shownRows({ db }: OperationDeps, rows: readonly FeedRow[]): Promise<readonly FeedRow[]> {
  const steps = rows.flatMap((row) => (row.kind === 'step' ? [row.step] : []));
  const shown = [...(await shownSteps(db, steps))];
  return rows.map((row) => (row.kind === 'step' ? { ...row, step: shown.shift() ?? row.step } : row));
}

type Plans = ReadonlyMap<string, Plan | undefined>;

/** By execution. */
async function plansOf(deps: OperationDeps, rows: readonly FeedRow[]): Promise<Plans> {
  const plans = new Map<string, Plan | undefined>();
  for (const row of rows) {
    if (row.kind !== 'step' || plans.has(row.step.executionId)) continue;
    const execution = await getExecution(deps.db, null, row.step.executionId);
    plans.set(row.step.executionId, execution && (await getPlan(deps.db, execution.hash, execution.planFormat)));
  }
  return plans;
}

/** Steps of one execution that began at one instant, in the order in which they run. */
function sortTies(rows: readonly FeedRow[], plans: Plans): FeedRow[] {
  const sorted: FeedRow[] = [];
  for (let from = 0; from < rows.length; ) {
    const first = rows[from] as FeedRow;
    let to = from + 1;
    while (to < rows.length && isTied(first, rows[to] as FeedRow)) to += 1;
    const tied = rows.slice(from, to).flatMap((row) => (row.kind === 'step' ? [row] : []));
    if (first.kind === 'message') sorted.push(first);
    else sorted.push(...inRunningOrder(plans.get(first.step.executionId), tied, ({ step }) => step));
    from = to;
  }
  return sorted;
}

const isTied = (a: FeedRow, b: FeedRow): boolean =>
  a.kind === 'step' && b.kind === 'step' && a.at === b.at && a.step.executionId === b.step.executionId;

function toItem(row: FeedRow, plans: Plans): WireFeedItem {
  if (row.kind === 'message') return { kind: 'message', message: toWireMessage(row.message) };
  const { executionId, stepId } = row.step;
  const plan = plans.get(executionId);
  const name = plan === undefined ? null : (stepsById(plan).get(stepId)?.name ?? null);
  return { kind: 'step', executionId, step: toWireStep(row.step, name) };
}
