import { AppError, notFound } from '../errors.js';
import type { ExecutionRecord } from '../store/execution-record.js';
import { getExecution } from '../store/executions.js';
import { findKey, type IdempotencyKey } from '../store/idempotency.js';
import type { OperationDeps } from './deps.js';

/**
 * What a caller's key has started before. Looked at before the checks: a repeat is answered also where nothing would start any more.
 * @throws AppError idempotency_key_reused, not_found (retention has removed it)
 */
export async function earlierStart(
  deps: OperationDeps,
  ownerId: string,
  key: IdempotencyKey | undefined,
): Promise<ExecutionRecord | undefined> {
  if (key === undefined) return undefined;
  const claim = await findKey(deps.db, ownerId, key);
  if (claim?.kind === 'reused')
    throw new AppError('idempotency_key_reused', 'The idempotency key was used here with another body', { key: key.key });
  if (claim?.kind !== 'repeat') return undefined;
  const execution = await getExecution(deps.db, ownerId, claim.resultId);
  if (execution === undefined) throw notFound('execution', claim.resultId);
  return execution;
}
