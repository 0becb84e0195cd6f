import { notFound } from '../errors.js';
import { deleteWorkflow as deleteRow, getWorkflow } from '../store/workflows.js';
import { audit } from './actor.js';
import { authorize } from './authorize.js';
import type { OperationDeps } from './deps.js';
import type { Principal } from './principal.js';
import { deleteTriggersOfWorkflow } from './triggers/delete-trigger.js';

/** Deletes a workflow by id or slug, its triggers and their schedules first; its executions go on and keep their snapshot. @throws AppError forbidden, not_found */
export async function deleteWorkflow(
  deps: OperationDeps,
  principal: Principal,
  { id }: { readonly id: string },
): Promise<{ readonly workflowId: string; readonly triggersDeleted: number }> {
  authorize(principal, 'write');
  const workflow = await getWorkflow(deps.db, principal.userId, id);
  if (workflow === undefined) throw notFound('workflow', id);
  const triggersDeleted = await deleteTriggersOfWorkflow(deps, principal.userId, workflow.id);
  if (!(await deleteRow(deps.db, principal.userId, workflow.id))) throw notFound('workflow', id);
  await audit(deps, principal, {
    action: 'workflow.deleted',
    targetType: 'workflow',
    targetId: workflow.id,
    details: { name: workflow.name, hash: workflow.hash, triggersDeleted },
  });
  return { workflowId: workflow.id, triggersDeleted };
}
