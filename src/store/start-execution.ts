import { toDisplay } from '../definition/value-parts.js';
import type { Json, Value } from '../definition/value.js';
import type { Seed } from '../engine/types.js';
import type { AuditedActor } from './audit.js';
import { violatedIndex } from './database-error.js';
import type { Database, Tx } from './database.js';
import { appendIn } from './event-log.js';
import {
  EXECUTION_COLUMNS,
  isEnded,
  NO_USAGE,
  executionFromRow,
  type ExecutionRecord,
  type ParentLink,
  type RerunLink,
  type TriggerInfo,
} from './execution-record.js';
import { newId, instanceKey, keyOf } from './ids.js';
import { takeKey, type IdempotencyKey } from './idempotency.js';
import { toJsonText, toNullableJsonText } from './json-text.js';
import { toAppendedEvent } from './log-event.js';
import { shownExecutions } from './private-values.js';
import { statement } from './statement.js';

/** Everything that an execution starts from. */
export interface NewExecution {
  /** Given for scheduled runs only. */
  readonly id?: string;
  readonly ownerId: string;
  readonly workflowId: string | null;
  readonly workflowName: string;
  readonly version: string;
  readonly hash: string;
  readonly planFormat: number;
  readonly engineVersion: number;
  readonly trigger: TriggerInfo;
  /** After defaults. Values are stored before. */
  readonly variables: { readonly [name: string]: Value };
  /** Number of top-level steps. */
  readonly total: number;
  /** A session of the owner that is to show the run; else it gets one of its own. */
  readonly sessionId?: string;
  readonly parent?: ParentLink;
  readonly rerunOf?: RerunLink;
  readonly depth?: number;
  readonly seeds?: readonly Seed[];
  readonly repo?: Json;
  readonly startedBy?: Json;
  /** Whoever asked for it, for the audit log; absent where a webhook, a tick or a parent starts it. */
  readonly audited?: AuditedActor;
  readonly idempotency?: IdempotencyKey;
  /** Most active ones at once, 0 is no limit; absent (subworkflows): neither checked nor counted. */
  readonly limits?: { readonly perUser: number; readonly global: number };
}

/** `duplicate_deleted`: the key was used, and retention has removed what it started. `parent_ended`: the parent is being cancelled or has ended. `session_unknown`: no such session of this owner. */
export type StartResult =
  | { readonly kind: 'started'; readonly execution: ExecutionRecord }
  | { readonly kind: 'duplicate'; readonly execution: ExecutionRecord }
  | { readonly kind: 'duplicate_deleted'; readonly executionId: string }
  | { readonly kind: 'key_reused' }
  | LimitReached
  | { readonly kind: 'parent_ended' }
  | { readonly kind: 'session_unknown' };

export interface LimitReached {
  readonly kind: 'limit';
  readonly reason: 'per_user_limit_exceeded' | 'global_limit_exceeded';
  readonly activeUser: number;
  readonly activeGlobal: number;
}

const ACTIVE_BESIDE = statement(
  'active_beside',
  'SELECT active_user AS "activeUser", active_global AS "activeGlobal" FROM signalbox_active_beside($1, $2, $3)',
);
const LOCK_PARENT = statement('lock_parent', 'SELECT status FROM executions WHERE id = $1 FOR NO KEY UPDATE');
const BY_ID = statement('execution_by_id', `SELECT ${EXECUTION_COLUMNS} FROM executions WHERE id = $1`);
const BY_PARENT = statement('execution_by_parent', `SELECT ${EXECUTION_COLUMNS} FROM executions WHERE parent_key = $1`);
const OWN_SESSION = statement('own_session', 'SELECT id FROM sessions WHERE id = $1 AND owner_id = $2');
const INSERT = statement(
  'insert_execution',
  `WITH stream AS (INSERT INTO streams (id, owner_id, kind, session_id) VALUES ($1, $2, 'execution', $13)),
     session_stream AS (INSERT INTO streams (id, owner_id, kind) SELECT $13, $2, 'session' WHERE $28::boolean),
     session AS (INSERT INTO sessions (id, owner_id, kind, title, execution_id) SELECT $13, $2, 'execution', $4, $1 WHERE $28::boolean),
     audited AS (INSERT INTO audit_log (id, owner_id, actor, action, target_type, target_id, details, request_id)
       SELECT $29, $2, $30::json, 'execution.start', 'execution', $1, json_build_object('workflowId', $3::text, 'trigger', $10::json), $31
       WHERE $30::json IS NOT NULL)
   INSERT INTO executions (id, owner_id, workflow_id, workflow_name, version, hash, plan_format, engine_version, status, trigger_type, trigger, variables,
     session_id, progress, usage, parent_execution_id, parent_step_id, parent_iteration_path, parent_attempt, parent_awaited, parent_key,
     rerun_of, rerun_step_id, rerun_iteration_path, depth, seeds, repo, started_by)
   VALUES ($1, $2, $3, $4, $5, $6, $7, $8, 'pending', $9, $10, $11, $13, $12, $14, $15, $16, $17, $18, $19, $20, $21, $22, $23, $24, $25, $26, $27)
   RETURNING ${EXECUTION_COLUMNS}`,
);

/** Whichever of the two rows of an execution's id was met first. */
const TAKEN_IDS = new Set(['executions_pkey', 'streams_pkey']);

class Refusal extends Error {
  constructor(readonly result: StartResult) {
    super(result.kind);
  }
}

/**
 * Admits and inserts an execution with its log and session in one transaction: of many at once with one key one is inserted, and
 * no limit is passed. Starting it in Temporal comes after. A child is idempotent by its parent's step instance.
 */
export async function startExecution(db: Database, start: NewExecution): Promise<StartResult> {
  try {
    return await db.transaction((tx) => admit(tx, start));
  } catch (error) {
    if (error instanceof Refusal) return error.result;
    // Another start of the same scheduled run has just inserted it.
    if (start.id !== undefined && TAKEN_IDS.has(violatedIndex(error) ?? '')) return startExecution(db, start);
    throw error;
  }
}

async function admit(tx: Tx, start: NewExecution): Promise<StartResult> {
  const id = start.id ?? newId('exe');
  const earlier = (await findByKey(tx, start, id)) ?? (await findByParent(tx, start)) ?? (await findById(tx, start));
  if (earlier !== undefined) return { kind: 'duplicate', execution: earlier };
  const execution = await insert(tx, start, id);
  // Last: all starts pass through the locks of the limits one by one, and each holds them until it is committed.
  if (start.limits !== undefined) await checkLimits(tx, execution, start.limits);
  return { kind: 'started', execution };
}

async function findByKey(tx: Tx, { ownerId, idempotency }: NewExecution, id: string): Promise<ExecutionRecord | undefined> {
  if (idempotency === undefined) return undefined;
  const claim = await takeKey(tx, ownerId, idempotency, id);
  if (claim.kind === 'first') return undefined;
  if (claim.kind === 'reused') throw new Refusal({ kind: 'key_reused' });
  const [row] = await tx.rows(BY_ID, [claim.resultId]);
  if (row === undefined) throw new Refusal({ kind: 'duplicate_deleted', executionId: claim.resultId });
  return executionFromRow(row);
}

/** The parent's row lock also keeps two attempts of one step from inserting two children. */
async function findByParent(tx: Tx, { parent }: NewExecution): Promise<ExecutionRecord | undefined> {
  if (parent === undefined) return undefined;
  const [above] = await tx.rows<{ status: string }>(LOCK_PARENT, [parent.executionId]);
  const [row] = await tx.rows(BY_PARENT, [parentKey(parent)]);
  if (row !== undefined) return executionFromRow(row);
  if (above === undefined || above.status === 'cancelling' || isEnded(above.status)) throw new Refusal({ kind: 'parent_ended' });
  return undefined;
}

/** The child that a parent's step instance has, if it was inserted before. */
export async function getChildOf(db: Database, parent: ParentLink): Promise<ExecutionRecord | undefined> {
  const [row] = await db.rows(BY_PARENT, [parentKey(parent)]);
  return row === undefined ? undefined : executionFromRow(row);
}

async function findById(tx: Tx, { id }: NewExecution): Promise<ExecutionRecord | undefined> {
  if (id === undefined) return undefined;
  const [row] = await tx.rows(BY_ID, [id]);
  return row === undefined ? undefined : executionFromRow(row);
}

/** Throws a refusal, which takes the row back, when the owner or the deployment has as many active ones beside it as they may. */
async function checkLimits(
  tx: Tx,
  { id, ownerId }: ExecutionRecord,
  limits: { readonly perUser: number; readonly global: number },
): Promise<void> {
  if (limits.perUser === 0 && limits.global === 0) return;
  const [active] = await tx.rows<{ activeUser: number; activeGlobal: number }>(ACTIVE_BESIDE, [ownerId, limits.global > 0, id]);
  const { activeUser, activeGlobal } = active ?? { activeUser: 0, activeGlobal: 0 };
  if (limits.perUser > 0 && activeUser >= limits.perUser)
    throw new Refusal({ kind: 'limit', reason: 'per_user_limit_exceeded', activeUser, activeGlobal });
  if (limits.global > 0 && activeGlobal >= limits.global)
    throw new Refusal({ kind: 'limit', reason: 'global_limit_exceeded', activeUser, activeGlobal });
}

async function insert(tx: Tx, start: NewExecution, id: string): Promise<ExecutionRecord> {
  const sessionId = start.sessionId === undefined ? newId('ses') : await ownSession(tx, start.sessionId, start.ownerId);
  const { parent, rerunOf } = start;
  const [row] = await tx.rows(INSERT, [
    id,
    start.ownerId,
    start.workflowId,
    start.workflowName,
    start.version,
    start.hash,
    start.planFormat,
    start.engineVersion,
    start.trigger.type,
    toJsonText(start.trigger),
    toJsonText(start.variables),
    toJsonText({ done: 0, total: start.total, current: [] }),
    sessionId,
    toJsonText(NO_USAGE),
    parent?.executionId ?? null,
    parent?.stepId ?? null,
    parent?.iterationPath ?? null,
    parent?.attempt ?? null,
    parent?.awaited ?? false,
    parent === undefined ? null : parentKey(parent),
    rerunOf?.executionId ?? null,
    rerunOf?.stepId ?? null,
    rerunOf?.iterationPath ?? null,
    start.depth ?? 0,
    toNullableJsonText(start.seeds),
    toNullableJsonText(start.repo),
    toNullableJsonText(start.startedBy),
    start.sessionId === undefined,
    newId('aud'),
    toNullableJsonText(start.audited?.actor),
    start.audited?.requestId ?? null,
  ]);
  if (row === undefined) throw new Error(`Execution ${id} was not inserted`);
  const execution = executionFromRow(row);
  const [shown = execution] = await shownExecutions(tx, [execution]);
  await appendIn(tx, id, [startedEvent(shown)]);
  return execution;
}

async function ownSession(tx: Tx, sessionId: string, ownerId: string): Promise<string> {
  const found = await tx.rows(OWN_SESSION, [sessionId, ownerId]);
  if (found.length === 0) throw new Refusal({ kind: 'session_unknown' });
  return sessionId;
}

function startedEvent(execution: ExecutionRecord) {
  const { workflowId, workflowName, version, hash, trigger, parent, rerunOf } = execution;
  const variables = Object.fromEntries(Object.entries(execution.variables).map(([name, value]) => [name, toDisplay(value)]));
  const data = { workflowId, workflowName, version, hash, trigger, variables, parent, rerunOf } as unknown as {
    readonly [key: string]: Json;
  };
  return toAppendedEvent({ kind: 'execution.started', ordinal: '', at: Date.parse(execution.createdAt), instance: null, data });
}

const parentKey = (parent: ParentLink): string => keyOf(parent.executionId, instanceKey(parent));
