/** Reading executions. Everybody sees their own, an admin too. */
import type { Json } from '../definition/value.js';
import { stepsById } from '../engine/index.js';
import type { ExecutionStatus } from '../engine/types.js';
import { notFound } from '../errors.js';
import { readEvents, streamState } from '../store/event-log.js';
import { isEnded, type ExecutionRecord, type TriggerType } from '../store/execution-record.js';
import {
  currentUsage,
  getExecution as getRow,
  listChildren as listChildRows,
  listExecutions as listRows,
  listReruns,
} from '../store/executions.js';
import type { Page, PageRequest } from '../store/page.js';
import { getDefinition, getPlan } from '../store/plans.js';
import { listSteps as listStepRows } from '../store/step-list.js';
import { getWorkflow } from '../store/workflows.js';
import { authorize } from './authorize.js';
import { shownExecutions, shownSteps } from '../store/private-values.js';
import type { OperationDeps } from './deps.js';
import type { Principal } from './principal.js';
import { inDefinitionOrder } from './step-order.js';
import { toWireEvent, toWireExecution, toWireStep, type WireEvent, type WireExecution, type WireStep } from './wire.js';

interface ById {
  /** The execution's. */
  readonly id: string;
}
export interface ListExecutionsParams extends PageRequest {
  readonly workflowId?: string;
  readonly status?: ExecutionStatus;
  readonly triggerType?: TriggerType;
  readonly since?: string;
  readonly until?: string;
  readonly q?: string;
  readonly includeTest?: boolean;
}

/** The row of one of the caller's executions. @throws AppError not_found */
export async function ownExecution(deps: OperationDeps, principal: Principal, id: string): Promise<ExecutionRecord> {
  const row = await getRow(deps.db, principal.userId, id);
  if (row === undefined) throw notFound('execution', id);
  return row;
}

/** @throws AppError not_found */
export async function getExecution(
  deps: OperationDeps,
  principal: Principal,
  { id }: ById,
): Promise<{ readonly execution: WireExecution & { readonly reruns: readonly string[] } }> {
  authorize(principal, 'read');
  const row = await ownExecution(deps, principal, id);
  const usage = isEnded(row.status) ? row.usage : await currentUsage(deps.db, id);
  const reruns = await listReruns(deps.db, principal.userId, id);
  const [shown = row] = await shownExecutions(deps.db, [row]);
  return { execution: { ...toWireExecution({ ...shown, usage }), reruns: reruns.map((rerun) => rerun.id) } };
}

/** Newest first; live tests only where asked for. A workflow may be named by its slug. */
export async function listExecutions(
  deps: OperationDeps,
  principal: Principal,
  params: ListExecutionsParams,
): Promise<Page<WireExecution>> {
  authorize(principal, 'read');
  const { workflowId, ...rest } = params;
  const workflow = workflowId === undefined ? undefined : await getWorkflow(deps.db, principal.userId, workflowId);
  // A deleted workflow is no longer found, but its executions are.
  const named = workflowId === undefined ? {} : { workflowId: workflow?.id ?? workflowId };
  return await wirePage(deps, await listRows(deps.db, { ownerId: principal.userId, ...rest, ...named }));
}

/** @throws AppError not_found */
export async function listWorkflowExecutions(
  deps: OperationDeps,
  principal: Principal,
  { id, ...page }: ById & PageRequest,
): Promise<Page<WireExecution>> {
  authorize(principal, 'read');
  const workflow = await getWorkflow(deps.db, principal.userId, id);
  if (workflow === undefined) throw notFound('workflow', id);
  return await wirePage(deps, await listRows(deps.db, { ownerId: principal.userId, workflowId: workflow.id, ...page }));
}

/** The snapshot, whatever has become of the workflow. @throws AppError not_found */
export async function getExecutionDefinition(
  deps: OperationDeps,
  principal: Principal,
  { id }: ById,
): Promise<{ readonly data: Json; readonly hash: string; readonly version: string }> {
  authorize(principal, 'read');
  const { hash, version } = await ownExecution(deps, principal, id);
  const data = await getDefinition(deps.db, hash);
  if (data === undefined) throw notFound('definition', hash);
  return { data, hash, version };
}

/** In definition order, then by iteration path, then attempt. @throws AppError not_found */
export async function listSteps(deps: OperationDeps, principal: Principal, { id }: ById): Promise<{ readonly items: readonly WireStep[] }> {
  authorize(principal, 'read');
  const { hash, planFormat } = await ownExecution(deps, principal, id);
  const plan = await getPlan(deps.db, hash, planFormat);
  const rows = await shownSteps(deps.db, inDefinitionOrder(plan, await listStepRows(deps.db, principal.userId, id)));
  const steps = plan === undefined ? undefined : stepsById(plan);
  return { items: rows.map((row) => toWireStep(row, steps?.get(row.stepId)?.name ?? null)) };
}

/** Oldest first, behind `after`. The cursor is the last seq. @throws AppError not_found */
export async function listEvents(
  deps: OperationDeps,
  principal: Principal,
  { id, after = 0, limit }: ById & { readonly after?: number; readonly limit: number },
): Promise<Page<WireEvent>> {
  authorize(principal, 'read');
  await ownExecution(deps, principal, id);
  const events = await readEvents(deps.db, id, after, limit);
  const last = events.at(-1)?.seq ?? after;
  const { lastSeq } = (await streamState(deps.db, id)) ?? { lastSeq: last };
  return { items: events.map(toWireEvent), cursor: String(last), hasMore: events.length === limit && lastSeq > last };
}

/** Subworkflows that it started, newest first. @throws AppError not_found */
export async function listChildren(
  deps: OperationDeps,
  principal: Principal,
  { id, ...page }: ById & PageRequest,
): Promise<Page<WireExecution>> {
  authorize(principal, 'read');
  await ownExecution(deps, principal, id);
  return await wirePage(deps, await listChildRows(deps.db, principal.userId, id, page));
}

async function wirePage({ db }: OperationDeps, page: Page<ExecutionRecord>): Promise<Page<WireExecution>> {
  return { ...page, items: (await shownExecutions(db, page.items)).map(toWireExecution) };
}
