/** What the tools of one's agents may do: set by people alone. */
import type { Json } from '../definition/value.js';
import { AppError } from '../errors.js';
import { getToolPolicies, putToolPolicies, type OwnPolicies } from '../store/tool-policies.js';
import { audit } from './actor.js';
import { authorize } from './authorize.js';
import type { OperationDeps } from './deps.js';
import type { Principal } from './principal.js';

/** @throws AppError forbidden */
export async function getPolicies(deps: OperationDeps, principal: Principal): Promise<{ readonly policies: OwnPolicies }> {
  authorize(principal, 'read');
  return { policies: await getToolPolicies(deps.db, principal.userId) };
}

/** In place of all that was set. An agent's key would free itself by it: refused. @throws AppError forbidden */
export async function putPolicies(
  deps: OperationDeps,
  principal: Principal,
  { policies }: { readonly policies: OwnPolicies },
): Promise<{ readonly policies: OwnPolicies }> {
  authorize(principal, 'write');
  if (principal.kind === 'agent') {
    await audit(deps, principal, { action: 'policies.refused', targetType: 'policies', targetId: null });
    throw new AppError('forbidden', 'Only a person says what the tools of agents may do', {});
  }
  await putToolPolicies(deps.db, principal.userId, policies);
  await audit(deps, principal, {
    action: 'policies.written',
    targetType: 'policies',
    targetId: null,
    details: { policies: policies as Json },
  });
  return { policies };
}
