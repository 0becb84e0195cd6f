import { notFound } from '../../errors.js';
import { deleteTrigger as deleteRow, deleteTriggersOf } from '../../store/triggers.js';
import { audit } from '../actor.js';
import { authorize } from '../authorize.js';
import type { OperationDeps } from '../deps.js';
import type { Principal } from '../principal.js';
import { removeSchedules } from './keep-schedule.js';
import { ownTrigger } from './read-triggers.js';

/** Deletes a trigger with its deliveries and its Temporal Schedule; what it has started goes on. @throws AppError forbidden, not_found */
export async function deleteTrigger(
  deps: OperationDeps,
  principal: Principal,
  { id }: { readonly id: string },
): Promise<{ readonly triggerId: string }> {
  authorize(principal, 'write');
  const trigger = await ownTrigger(deps, principal, id);
  // The row first: from here on a tick finds no trigger, and a schedule that Temporal keeps is a stray.
  const deleted = await deleteRow(deps.db, principal.userId, trigger.id);
  if (deleted === undefined) throw notFound('trigger', id);
  await removeSchedules(deps, [deleted]);
  await audit(deps, principal, {
    action: 'trigger.deleted',
    targetType: 'trigger',
    targetId: trigger.id,
    details: { name: trigger.name, type: trigger.type },
  });
  return { triggerId: trigger.id };
}

/** The triggers of a workflow that is about to go, with their schedules. @returns how many */
export async function deleteTriggersOfWorkflow(deps: OperationDeps, ownerId: string, workflowId: string): Promise<number> {
  const deleted = await deleteTriggersOf(deps.db, ownerId, workflowId);
  await removeSchedules(deps, deleted);
  return deleted.length;
}
