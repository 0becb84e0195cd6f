import { isRecord } from '../definition/blocks.js';
import type { Problem } from '../definition/index.js';
import { authorize } from './authorize.js';
import { checkDefinition } from './compile-definition.js';
import type { OperationDeps } from './deps.js';
import type { Principal } from './principal.js';
import { slugOf } from './slug.js';

export interface Validation {
  readonly valid: boolean;
  readonly problems: readonly Problem[];
  /** Null where it is not valid. */
  readonly hash: string | null;
}

/** What is wrong, or suspicious, in a document; nothing is saved, no call leaves. @throws AppError forbidden */
export async function validateWorkflow(
  deps: OperationDeps,
  principal: Principal,
  { data }: { readonly data?: unknown },
): Promise<Validation> {
  authorize(principal, 'read');
  const { hash, problems } = await checkDefinition(deps, principal.userId, data, { slug: ownSlug(data) });
  return { valid: hash !== null, problems, hash };
}

/** What a save would call it, so that a workflow may name itself before it is saved the first time. Pure. */
const ownSlug = (data: unknown): string | undefined =>
  isRecord(data) && typeof data['name'] === 'string' ? slugOf(data['name']) : undefined;
