import { AppError } from '../errors.js';
import type { Json } from '../definition/value.js';
import type { Workflow, WorkflowVersion } from '../generated/prisma/client.js';
import { violatedIndex } from './database-error.js';
import type { Database, Tx } from './database.js';
import { newId } from './ids.js';
import { toJsonText, toNullableJsonText } from './json-text.js';
import { behind, NEWEST_FIRST, parseCursor, toPage, type Page, type PageRequest } from './page.js';
import { camelRow, statement } from './statement.js';

/** A workflow's row. Instants are ISO texts. */
export interface WorkflowRecord {
  readonly id: string;
  readonly ownerId: string;
  readonly slug: string | null;
  readonly name: string;
  readonly description: string | null;
  readonly version: string;
  readonly hash: string;
  /** The definition as it was written, with the ids filled in. */
  readonly data: Json;
  readonly enabled: boolean;
  readonly tags: readonly string[];
  readonly createdAt: string;
  readonly updatedAt: string;
}

export type VersionSource = 'sync' | 'update' | 'proposal_apply' | 'rollback' | 'system';

/** One content that a workflow had. */
export interface VersionRecord {
  readonly workflowId: string;
  readonly hash: string;
  readonly version: string;
  readonly data: Json;
  readonly source: VersionSource;
  readonly notes: string | null;
  readonly createdBy: Json;
  readonly proposalId: string | null;
  readonly createdAt: string;
}

export type WorkflowContent = Pick<WorkflowRecord, 'slug' | 'name' | 'description' | 'version' | 'hash' | 'data' | 'enabled' | 'tags'>;

export interface WorkflowWrite {
  readonly ownerId: string;
  readonly source: VersionSource;
  readonly notes?: string;
  readonly createdBy?: Json;
  readonly proposalId?: string;
}

/** Which row a sync means: by id, else by slug, else by name (the oldest of that name). */
export interface WorkflowMatch {
  readonly id?: string;
  readonly slug?: string;
  readonly name: string;
}

const LOCK = statement('lock_workflows', 'SELECT pg_advisory_xact_lock(7272, hashtext($1))::text');
const ALIVE = 'owner_id = $1 AND deleted_at IS NULL';
const BY_ID = statement('workflow_by_id', `SELECT * FROM workflows WHERE ${ALIVE} AND id = $2`);
const BY_SLUG = statement('workflow_by_slug', `SELECT * FROM workflows WHERE ${ALIVE} AND slug = $2`);
const BY_NAME = statement('workflow_by_name', `SELECT * FROM workflows WHERE ${ALIVE} AND name = $2 ORDER BY created_at, id LIMIT 1`);
const BY_ID_OR_SLUG = statement(
  'get_workflow',
  `SELECT * FROM workflows WHERE ${ALIVE} AND (id = $2 OR slug = $2) ORDER BY id = $2 DESC LIMIT 1`,
);
const INSERT = statement(
  'insert_workflow',
  `INSERT INTO workflows (id, owner_id, slug, name, description, data, hash, version, enabled, tags) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10) RETURNING *`,
);
const UPDATE = statement(
  'update_workflow',
  `UPDATE workflows SET slug = $3, name = $4, description = $5, data = $6, hash = $7, version = $8, enabled = $9, tags = $10, updated_at = clock_timestamp()
   WHERE id = $1 AND owner_id = $2 RETURNING *`,
);
const INSERT_VERSION = statement(
  'insert_version',
  `INSERT INTO workflow_versions (workflow_id, hash, owner_id, version, data, source, notes, created_by, proposal_id, created_at)
   VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, clock_timestamp()) ON CONFLICT (workflow_id, hash) DO NOTHING`,
);
const DELETE = statement(
  'delete_workflow',
  `UPDATE workflows SET deleted_at = now(), slug = NULL, updated_at = now() WHERE ${ALIVE} AND id = $2 RETURNING id`,
);
const GET_VERSION = statement(
  'get_version',
  `SELECT * FROM workflow_versions WHERE owner_id = $1 AND workflow_id = $2 AND (hash = $3 OR hash = 'sha256:' || $3 OR version = $3)
   ORDER BY version <> $3, created_at DESC, hash LIMIT 1`,
);

/**
 * Inserts or updates the workflow that `match` means, with a row of history for a content that it did not have before. One at a time for
 * each owner. `content` is told what stands there now, and may refuse by throwing. @throws AppError slug_taken
 */
export async function saveWorkflow(
  db: Database,
  match: WorkflowMatch,
  write: WorkflowWrite,
  content: (current: WorkflowRecord | undefined) => WorkflowContent,
): Promise<{ readonly workflow: WorkflowRecord; readonly created: boolean }> {
  let slug: string | null = null;
  try {
    return await db.transaction(async (tx) => {
      await tx.rows(LOCK, [write.ownerId]);
      const current = await findMatch(tx, write.ownerId, match);
      const next = content(current);
      slug = next.slug;
      const workflow = await writeRow(tx, write.ownerId, current?.id, next);
      await writeVersion(tx, workflow, write);
      return { workflow, created: current === undefined };
    });
  } catch (error) {
    if (violatedIndex(error) !== 'workflows_owner_id_slug_key') throw error;
    throw new AppError('slug_taken', `Another workflow has the slug ${String(slug)}`, { slug: String(slug) }, { cause: error });
  }
}

async function findMatch(tx: Tx, ownerId: string, { id, slug, name }: WorkflowMatch): Promise<WorkflowRecord | undefined> {
  const [query, value] =
    id !== undefined ? ([BY_ID, id] as const) : slug !== undefined ? ([BY_SLUG, slug] as const) : ([BY_NAME, name] as const);
  const [row] = await tx.rows(query, [ownerId, value]);
  return row === undefined ? undefined : fromRow(row);
}

async function writeRow(tx: Tx, ownerId: string, id: string | undefined, next: WorkflowContent): Promise<WorkflowRecord> {
  const values = [
    id ?? newId('wf'),
    ownerId,
    next.slug,
    next.name,
    next.description,
    toJsonText(next.data),
    next.hash,
    next.version,
    next.enabled,
    [...next.tags],
  ];
  const [row] = await tx.rows(id === undefined ? INSERT : UPDATE, values);
  if (row === undefined) throw new Error(`Workflow ${String(id)} vanished under its lock`);
  return fromRow(row);
}

async function writeVersion(tx: Tx, workflow: WorkflowRecord, write: WorkflowWrite): Promise<void> {
  await tx.rows(INSERT_VERSION, [
    workflow.id,
    workflow.hash,
    workflow.ownerId,
    workflow.version,
    toJsonText(workflow.data),
    write.source,
    write.notes ?? null,
    toNullableJsonText(write.createdBy),
    write.proposalId ?? null,
  ]);
}

/** A workflow of this owner by id or slug; deleted ones are gone. */
export async function getWorkflow(db: Database, ownerId: string, idOrSlug: string): Promise<WorkflowRecord | undefined> {
  const [row] = await db.rows(BY_ID_OR_SLUG, [ownerId, idOrSlug]);
  return row === undefined ? undefined : fromRow(row);
}

export interface WorkflowFilter extends PageRequest {
  readonly ownerId: string;
  /** Part of name or slug, any case. */
  readonly q?: string;
  readonly tag?: string;
  readonly enabled?: boolean;
}

/** Newest first. */
export async function listWorkflows(
  db: Database,
  { ownerId, q, tag, enabled, limit, cursor }: WorkflowFilter,
): Promise<Page<WorkflowRecord>> {
  const where = {
    ownerId,
    deletedAt: null,
    ...(enabled === undefined ? {} : { enabled }),
    ...(tag === undefined ? {} : { tags: { has: tag } }),
    ...(q === undefined
      ? {}
      : { OR: [{ name: { contains: q, mode: 'insensitive' as const } }, { slug: { contains: q, mode: 'insensitive' as const } }] }),
  };
  const rows = await db.with((prisma) =>
    prisma.workflow.findMany({ where: { AND: [where, behind(cursor)] }, orderBy: NEWEST_FIRST, take: limit + 1 }),
  );
  return toPage(rows, limit, toWorkflowRecord);
}

/** Whether there was one to delete. Executions keep their snapshot, and history stays. */
export async function deleteWorkflow(db: Database, ownerId: string, id: string): Promise<boolean> {
  return (await db.rows(DELETE, [ownerId, id])).length > 0;
}

/** The content that a hash (with or without `sha256:`) or version names; of several with one version the newest. */
export async function getVersion(
  db: Database,
  ownerId: string,
  workflowId: string,
  hashOrVersion: string,
): Promise<VersionRecord | undefined> {
  const [row] = await db.rows(GET_VERSION, [ownerId, workflowId, hashOrVersion]);
  return row === undefined ? undefined : toVersionRecord(camelRow<WorkflowVersion>(row));
}

/** A workflow's history, newest first. */
export async function listVersions(db: Database, ownerId: string, workflowId: string, page: PageRequest): Promise<Page<VersionRecord>> {
  const rows = await db.with((prisma) =>
    prisma.workflowVersion.findMany({
      where: { AND: [{ ownerId, workflowId }, behindVersion(page.cursor)] },
      orderBy: [{ createdAt: 'desc' }, { hash: 'desc' }],
      take: page.limit + 1,
    }),
  );
  return toPage(
    rows.map((row) => ({ ...row, id: row.hash })),
    page.limit,
    toVersionRecord,
  );
}

function behindVersion(cursor: string | undefined): object {
  if (cursor === undefined) return {};
  const position = parseCursor(cursor);
  if (position === undefined) return { hash: '' };
  return { OR: [{ createdAt: { lt: position.createdAt } }, { createdAt: position.createdAt, hash: { lt: position.id } }] };
}

const fromRow = (row: object): WorkflowRecord => toWorkflowRecord(camelRow<Workflow>(row));

/** A row as `row_to_json` gives it, for statements that join it. */
export function workflowFromJson(row: object): WorkflowRecord {
  const { createdAt, updatedAt, ...rest } = camelRow<Workflow>(row);
  return toWorkflowRecord({ ...rest, createdAt: new Date(createdAt), updatedAt: new Date(updatedAt) });
}

function toWorkflowRecord(row: Workflow): WorkflowRecord {
  const { id, ownerId, slug, name, description, version, hash, enabled, tags } = row;
  return {
    id,
    ownerId,
    slug,
    name,
    description,
    version,
    hash,
    data: row.data as Json,
    enabled,
    tags,
    createdAt: row.createdAt.toISOString(),
    updatedAt: row.updatedAt.toISOString(),
  };
}

function toVersionRecord(row: WorkflowVersion): VersionRecord {
  const { workflowId, hash, version, notes, proposalId } = row;
  return {
    workflowId,
    hash,
    version,
    data: row.data as Json,
    source: row.source as VersionSource,
    notes,
    createdBy: row.createdBy as Json,
    proposalId,
    createdAt: row.createdAt.toISOString(),
  };
}
