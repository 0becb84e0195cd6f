import type { Json } from '../definition/value.js';
import { notFound } from '../errors.js';
import { readValue } from '../store/values.js';
import { authorize } from './authorize.js';
import type { OperationDeps } from './deps.js';
import type { Principal } from './principal.js';

/** A large value of the caller's, whole. @throws AppError not_found, also for another owner's */
export async function getValue(deps: OperationDeps, principal: Principal, { ref }: { readonly ref: string }): Promise<Json> {
  authorize(principal, 'read');
  const value = await readValue(deps.db, principal.userId, ref);
  if (value === undefined) throw notFound('value', ref);
  return value;
}
