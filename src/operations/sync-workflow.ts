import { isRecord } from '../definition/blocks.js';
import type { Problem } from '../definition/index.js';
import { hasCode, notFound } from '../errors.js';
import { listVersions, saveWorkflow, type WorkflowRecord, type WorkflowWrite } from '../store/workflows.js';
import { actorOf, audit } from './actor.js';
import { authorize } from './authorize.js';
import { compile, type Compiled } from './compile-definition.js';
import type { OperationDeps } from './deps.js';
import { keepPlan } from './plan-of.js';
import type { Principal } from './principal.js';
import { slugCandidates, slugOf } from './slug.js';
import { toWireWorkflow, type WireWorkflow } from './wire-workflow.js';

const LOOKED_BACK = 200;

export interface SyncParams {
  readonly id?: string;
  readonly slug?: string;
  /** Absent: the definition's. */
  readonly name?: string;
  readonly description?: string | null;
  readonly version?: string;
  readonly data?: unknown;
  readonly enabled?: boolean;
  readonly tags?: readonly string[];
}
export interface Synced {
  readonly workflow: WireWorkflow;
  readonly created: boolean;
  readonly warnings: readonly Problem[];
}

/**
 * Saves a workflow whole: the one of this id, else slug, else name; a new one when there is none. What is left out is the default.
 * Name, description and version of the call win over those in the definition and are written into it.
 * @throws AppError forbidden, definition_invalid, not_found (an id that is not there), slug_taken
 */
export async function syncWorkflow(deps: OperationDeps, principal: Principal, params: SyncParams): Promise<Synced> {
  authorize(principal, 'write');
  const compiled = await compile(deps, principal.userId, withHead(params.data, params), {
    id: params.id,
    slug: params.slug ?? slugOf(params.name ?? nameIn(params.data)),
  });
  const { name } = compiled.plan;
  await keepPlan(deps.db, compiled);
  // Without a slug of the caller's, one is made from the name; where another workflow has it, the next one is tried.
  for (const slug of params.slug === undefined ? slugCandidates(name) : [params.slug]) {
    const saved = await save(deps, principal, params, compiled, slug).catch((error: unknown) => {
      if (params.slug === undefined && hasCode(error, 'slug_taken')) return undefined;
      throw error;
    });
    if (saved === undefined) continue;
    await audit(deps, principal, {
      action: saved.created ? 'workflow.created' : 'workflow.updated',
      targetType: 'workflow',
      targetId: saved.workflow.id,
      details: { hash: saved.workflow.hash },
    });
    return {
      workflow: toWireWorkflow(saved.workflow),
      created: saved.created,
      warnings: [...compiled.warnings, ...(await versionWarnings(deps, saved.before, compiled))],
    };
  }
  throw new Error(`No slug was free for ${name}`);
}

const nameIn = (data: unknown): string => (isRecord(data) && typeof data['name'] === 'string' ? data['name'] : '');

async function save(deps: OperationDeps, principal: Principal, params: SyncParams, compiled: Compiled, slug: string | null) {
  const { id, enabled = true, tags = [] } = params;
  const match = {
    name: compiled.plan.name,
    ...(id === undefined ? {} : { id }),
    ...(params.slug === undefined ? {} : { slug: params.slug }),
  };
  const write: WorkflowWrite = { ownerId: principal.userId, source: 'sync', createdBy: actorOf(principal) };
  let before: WorkflowRecord | undefined;
  const saved = await saveWorkflow(deps.db, match, write, (current) => {
    if (id !== undefined && current === undefined) throw notFound('workflow', id);
    before = current;
    return { ...contentOf(compiled), slug, enabled, tags };
  });
  return { ...saved, before };
}

/** The columns that are written in the definition itself. Pure. */
export const contentOf = ({ plan, data, hash }: Compiled) => ({
  name: plan.name,
  description: plan.description ?? null,
  version: plan.version,
  hash,
  data,
});

/** The document with what the call says of it; null takes a field away. What is no object stays what it is, for the validator to say. Pure. */
export function withHead(
  data: unknown,
  head: {
    readonly name?: string | undefined;
    readonly description?: string | null | undefined;
    readonly version?: string | null | undefined;
  },
): unknown {
  if (!isRecord(data)) return data;
  const document: { [field: string]: unknown } = { ...data };
  for (const field of ['name', 'description', 'version'] as const) {
    const value = head[field];
    if (value === null) delete document[field];
    else if (value !== undefined) document[field] = value;
  }
  return document;
}

/** Says so where a version had been used for another content. */
export async function versionWarnings(
  deps: OperationDeps,
  before: WorkflowRecord | undefined,
  { plan, hash }: Compiled,
): Promise<Problem[]> {
  if (before === undefined || before.hash === hash) return [];
  const { items } = await listVersions(deps.db, before.ownerId, before.id, { limit: LOOKED_BACK });
  if (!items.some((item) => item.version === plan.version && item.hash !== hash)) return [];
  return [
    {
      code: 'version_reused',
      severity: 'warning',
      path: '/version',
      message: `Version ${plan.version} was saved before with other content`,
      suggestion: 'Raise the version',
    },
  ];
}
