import { diffDefinitions, type DefinitionDiff } from '../definition/index.js';
import type { JsonObject } from '../definition/value.js';
import { notFound } from '../errors.js';
import { getVersion } from '../store/workflows.js';
import { authorize } from './authorize.js';
import type { OperationDeps } from './deps.js';
import type { Principal } from './principal.js';
import { ownWorkflow } from './read-workflows.js';

/** What differs between two contents of a workflow, by their hashes. @throws AppError not_found */
export async function diffWorkflow(
  deps: OperationDeps,
  principal: Principal,
  { id, from, to }: { readonly id: string; readonly from: string; readonly to: string },
): Promise<DefinitionDiff> {
  authorize(principal, 'read');
  const workflow = await ownWorkflow(deps, principal, id);
  const content = async (hash: string): Promise<JsonObject> => {
    const version = await getVersion(deps.db, principal.userId, workflow.id, hash);
    if (version === undefined) throw notFound('version', hash);
    return version.data as JsonObject;
  };
  return diffDefinitions(await content(from), await content(to));
}
