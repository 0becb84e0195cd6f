/** Secrets: written, named, never read back. */
import { notFound } from '../errors.js';
import { deleteSecret as deleteRow, listSecrets as listNames, putSecret as putRow, type SecretName } from '../store/secrets.js';
import { audit } from './actor.js';
import { authorize } from './authorize.js';
import type { OperationDeps } from './deps.js';
import type { Principal } from './principal.js';

/** @throws AppError forbidden */
export async function listSecrets(deps: OperationDeps, principal: Principal): Promise<{ readonly items: SecretName[] }> {
  authorize(principal, 'read');
  return { items: await listNames(deps.db, principal.userId) };
}

/** @throws AppError forbidden */
export async function putSecret(
  deps: OperationDeps,
  principal: Principal,
  { name, value }: { readonly name: string; readonly value: string },
): Promise<void> {
  authorize(principal, 'write');
  await putRow(deps.db, deps.encryptionKey, principal.userId, name, value);
  await audit(deps, principal, { action: 'secret.written', targetType: 'secret', targetId: name });
}

/** @throws AppError forbidden, not_found */
export async function deleteSecret(deps: OperationDeps, principal: Principal, { name }: { readonly name: string }): Promise<void> {
  authorize(principal, 'write');
  if (!(await deleteRow(deps.db, principal.userId, name))) throw notFound('secret', name);
  await audit(deps, principal, { action: 'secret.deleted', targetType: 'secret', targetId: name });
}
