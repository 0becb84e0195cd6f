/** Reading workflows, their history and their differences. */
import { notFound } from '../errors.js';
import type { Page, PageRequest } from '../store/page.js';
import { getWorkflow as getRow, listVersions, listWorkflows as listRows, type WorkflowRecord } from '../store/workflows.js';
import { authorize } from './authorize.js';
import type { OperationDeps } from './deps.js';
import type { Principal } from './principal.js';
import { toWireVersion, toWireWorkflow, type WireWorkflow } from './wire-workflow.js';

interface ById {
  /** Id or slug. */
  readonly id: string;
}

/** @throws AppError not_found */
export async function ownWorkflow(deps: OperationDeps, principal: Principal, id: string): Promise<WorkflowRecord> {
  const workflow = await getRow(deps.db, principal.userId, id);
  if (workflow === undefined) throw notFound('workflow', id);
  return workflow;
}

/** @throws AppError not_found */
export async function getWorkflow(deps: OperationDeps, principal: Principal, { id }: ById): Promise<{ readonly workflow: WireWorkflow }> {
  authorize(principal, 'read');
  return { workflow: toWireWorkflow(await ownWorkflow(deps, principal, id)) };
}

/** Newest first. */
export async function listWorkflows(
  deps: OperationDeps,
  principal: Principal,
  params: PageRequest & { readonly q?: string; readonly tag?: string; readonly enabled?: boolean },
): Promise<Page<WireWorkflow>> {
  authorize(principal, 'read');
  const page = await listRows(deps.db, { ...params, ownerId: principal.userId });
  return { ...page, items: page.items.map(toWireWorkflow) };
}

/** Every content that it had, newest first. @throws AppError not_found */
export async function workflowHistory(
  deps: OperationDeps,
  principal: Principal,
  { id, ...request }: ById & PageRequest,
): Promise<Page<ReturnType<typeof toWireVersion>> & { readonly currentHash: string }> {
  authorize(principal, 'read');
  const workflow = await ownWorkflow(deps, principal, id);
  const page = await listVersions(deps.db, principal.userId, workflow.id, request);
  return { ...page, currentHash: workflow.hash, items: page.items.map(toWireVersion) };
}
