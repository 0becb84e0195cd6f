import { notFound } from '../../errors.js';
import { listDeliveries as listDeliveryRows, type DeliveryRecord } from '../../store/deliveries.js';
import type { Page, PageRequest } from '../../store/page.js';
import {
  findTriggerByName,
  getTrigger as getRow,
  listTriggers as listRows,
  type TriggerFilter,
  type TriggerRecord,
} from '../../store/triggers.js';
import { getWorkflow } from '../../store/workflows.js';
import { authorize } from '../authorize.js';
import type { OperationDeps } from '../deps.js';
import type { Principal } from '../principal.js';
import { requireAnswer, requireSchedule } from './require-schedule.js';
import { readWireTrigger, type WireTrigger } from './wire-trigger.js';

/** A trigger of the principal's by id, or by name in any case. @throws AppError not_found */
export async function ownTrigger(deps: OperationDeps, { userId }: Principal, idOrName: string): Promise<TriggerRecord> {
  const row = (await getRow(deps.db, userId, idOrName)) ?? (await findTriggerByName(deps.db, userId, idOrName));
  if (row === undefined) throw notFound('trigger', idOrName);
  return row;
}

/** @throws AppError forbidden, not_found */
export async function getTrigger(
  deps: OperationDeps,
  principal: Principal,
  { id }: { readonly id: string },
): Promise<{ readonly trigger: WireTrigger }> {
  authorize(principal, 'read');
  return { trigger: await readWireTrigger(deps, await ownTrigger(deps, principal, id)) };
}

/** Newest first. `workflowId` may be a slug; of a workflow that is none there are no triggers. @throws AppError forbidden */
export async function listTriggers(
  deps: OperationDeps,
  principal: Principal,
  filter: Omit<TriggerFilter, 'ownerId'>,
): Promise<Page<WireTrigger>> {
  authorize(principal, 'read');
  const ownerId = principal.userId;
  const { workflowId } = filter;
  const workflow = workflowId === undefined ? undefined : await getWorkflow(deps.db, ownerId, workflowId);
  const page = await listRows(deps.db, { ...filter, ownerId, ...(workflow === undefined ? {} : { workflowId: workflow.id }) });
  return { ...page, items: await Promise.all(page.items.map((row) => readWireTrigger(deps, row))) };
}

/** Newest first. @throws AppError forbidden, not_found */
export async function listDeliveries(
  deps: OperationDeps,
  principal: Principal,
  { id, ...page }: PageRequest & { readonly id: string },
): Promise<Page<DeliveryRecord>> {
  authorize(principal, 'read');
  const { id: triggerId } = await ownTrigger(deps, principal, id);
  return listDeliveryRows(deps.db, principal.userId, triggerId, page);
}

const DAY_MS = 86_400_000;
/** How far ahead is looked, until enough is found. */
const SPANS_MS = [DAY_MS, 40 * DAY_MS, 400 * DAY_MS, 3_650 * DAY_MS];

/** When a schedule fires next, as Temporal reckons it. @throws AppError forbidden, not_found, validation_failed (no schedule), unavailable */
export async function upcoming(
  deps: OperationDeps,
  principal: Principal,
  { id, count }: { readonly id: string; readonly count: number },
): Promise<{ readonly items: readonly string[] }> {
  authorize(principal, 'read');
  const row = await ownTrigger(deps, principal, id);
  requireSchedule(row);
  const now = Date.now();
  let found: readonly string[] = [];
  for (const span of SPANS_MS) {
    const answer = await deps.temporal.schedules.times(row.id, now, now + span);
    found = requireAnswer(answer, row.id);
    if (found.length >= count) break;
  }
  return { items: found.slice(0, count) };
}
