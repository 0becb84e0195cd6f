import type { Problem } from '../definition/index.js';
import { notFound } from '../errors.js';
import { getWorkflow, saveWorkflow, type WorkflowRecord } from '../store/workflows.js';
import { actorOf, audit } from './actor.js';
import { authorize } from './authorize.js';
import { compile } from './compile-definition.js';
import type { OperationDeps } from './deps.js';
import { keepPlan } from './plan-of.js';
import type { Principal } from './principal.js';
import { contentOf, versionWarnings, withHead } from './sync-workflow.js';
import { toWireWorkflow, type WireWorkflow } from './wire-workflow.js';

/** Null clears: no slug, no description, version 1.0.0, enabled, no tags. */
export interface UpdateParams {
  /** Id or slug. */
  readonly id: string;
  readonly slug?: string | null;
  readonly name?: string;
  readonly description?: string | null;
  readonly version?: string | null;
  readonly data?: unknown;
  readonly enabled?: boolean | null;
  readonly tags?: readonly string[] | null;
}

/**
 * Changes what is sent, and validates the whole. @throws AppError forbidden, not_found, definition_invalid, slug_taken
 */
export async function updateWorkflow(
  deps: OperationDeps,
  principal: Principal,
  params: UpdateParams,
): Promise<{ readonly workflow: WireWorkflow; readonly warnings: readonly Problem[] }> {
  authorize(principal, 'write');
  const ownerId = principal.userId;
  const before = await getWorkflow(deps.db, ownerId, params.id);
  if (before === undefined) throw notFound('workflow', params.id);
  const slug = params.slug === undefined ? before.slug : params.slug;
  const compiled = await compile(deps, ownerId, documentOf(before, params), { id: before.id, slug });
  await keepPlan(deps.db, compiled);
  const { workflow } = await saveWorkflow(
    deps.db,
    { id: before.id, name: before.name },
    { ownerId, source: 'update', createdBy: actorOf(principal) },
    (current) => {
      if (current === undefined) throw notFound('workflow', params.id);
      return {
        ...contentOf(compiled),
        slug: params.slug === undefined ? current.slug : params.slug,
        enabled: params.enabled === undefined ? current.enabled : (params.enabled ?? true),
        tags: params.tags === undefined ? current.tags : (params.tags ?? []),
      };
    },
  );
  await audit(deps, principal, {
    action: 'workflow.updated',
    targetType: 'workflow',
    targetId: workflow.id,
    details: { hash: workflow.hash },
  });
  return { workflow: toWireWorkflow(workflow), warnings: [...compiled.warnings, ...(await versionWarnings(deps, before, compiled))] };
}

/** A new document without a name keeps the workflow's: a name is what it is known by. */
function documentOf(before: WorkflowRecord, { data, name, description, version }: UpdateParams): unknown {
  if (data === undefined) return withHead(before.data, { name, description, version });
  const named = typeof data === 'object' && data !== null && Object.hasOwn(data, 'name');
  return withHead(data, { name: name ?? (named ? undefined : before.name), description, version });
}
