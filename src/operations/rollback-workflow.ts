import { notFound } from '../errors.js';
import { getVersion, getWorkflow, saveWorkflow } from '../store/workflows.js';
import { actorOf, audit } from './actor.js';
import { authorize } from './authorize.js';
import { compile } from './compile-definition.js';
import type { OperationDeps } from './deps.js';
import { keepPlan } from './plan-of.js';
import type { Principal } from './principal.js';
import { contentOf, withHead } from './sync-workflow.js';
import { toWireWorkflow, type WireWorkflow } from './wire-workflow.js';

export interface RollbackParams {
  /** Id or slug. */
  readonly id: string;
  /** With or without `sha256:`. */
  readonly targetHash: string;
  readonly version?: string;
  readonly notes?: string;
}

/**
 * Makes an earlier content the current one, under a new version (the current one's patch raised unless told).
 * @throws AppError forbidden, not_found (workflow or version), definition_invalid (it must pass today's validator)
 */
export async function rollbackWorkflow(
  deps: OperationDeps,
  principal: Principal,
  params: RollbackParams,
): Promise<{ readonly workflow: WireWorkflow; readonly unchanged?: true }> {
  authorize(principal, 'write');
  const ownerId = principal.userId;
  const current = await getWorkflow(deps.db, ownerId, params.id);
  if (current === undefined) throw notFound('workflow', params.id);
  const hash = params.targetHash.startsWith('sha256:') ? params.targetHash : `sha256:${params.targetHash}`;
  if (hash === current.hash) return { workflow: toWireWorkflow(current), unchanged: true };
  const target = await getVersion(deps.db, ownerId, current.id, hash);
  if (target === undefined) throw notFound('version', params.targetHash);
  const version = params.version ?? raisedPatch(current.version);
  const compiled = await compile(deps, ownerId, withHead(target.data, { version }), current);
  await keepPlan(deps.db, compiled);
  const notes = [`Rollback to ${hash}`, ...(params.notes === undefined ? [] : [params.notes])].join('. ');
  const { workflow } = await saveWorkflow(
    deps.db,
    { id: current.id, name: current.name },
    { ownerId, source: 'rollback', notes, createdBy: actorOf(principal) },
    (now) => {
      if (now === undefined) throw notFound('workflow', params.id);
      return { ...contentOf(compiled), slug: now.slug, enabled: now.enabled, tags: now.tags };
    },
  );
  await audit(deps, principal, {
    action: 'workflow.rolled_back',
    targetType: 'workflow',
    targetId: workflow.id,
    details: { from: current.hash, to: hash },
  });
  return { workflow: toWireWorkflow(workflow) };
}

/** `1.2.3` → `1.2.4`; a pre-release becomes its release. Pure. */
export function raisedPatch(version: string): string {
  const match = /^(\d+)\.(\d+)\.(\d+)(-[^+]+)?/.exec(version);
  if (match === null) return '1.0.1';
  const [, major, minor, patch, preRelease] = match;
  return `${major}.${minor}.${preRelease === undefined ? Number(patch) + 1 : patch}`;
}
