import type { Json, JsonObject } from '../definition/value.js';
import { AppError } from '../errors.js';
import type { Trigger } from '../generated/prisma/client.js';
import { violatedIndex } from './database-error.js';
import type { Database, Tx } from './database.js';
import { newId } from './ids.js';
import { toJsonText, toNullableJsonText, toStorableText } from './json-text.js';
import { behind, NEWEST_FIRST, toPage, type Page, type PageRequest } from './page.js';
import { openSecret, sealSecret, SECRETS_BESIDE, type SecretBeside } from './secrets.js';
import { camelRow, statement, type Queryable } from './statement.js';
import type { UserRecord } from './users.js';
import { workflowFromJson, type WorkflowRecord } from './workflows.js';

export const TRIGGER_TYPES = ['manual', 'webhook', 'schedule', 'github'] as const;
export type TriggerKind = (typeof TRIGGER_TYPES)[number];

/** A trigger's row. Instants are ISO texts. Secrets are opened by `secretsOf` alone. */
export interface TriggerRecord {
  readonly id: string;
  readonly ownerId: string;
  readonly name: string;
  readonly type: TriggerKind;
  /** Null: a schedule of the owner's own agent. */
  readonly workflowId: string | null;
  readonly enabled: boolean;
  /** As operations/triggers/trigger-config.ts parsed it. */
  readonly config: JsonObject;
  readonly variableMapping: { readonly [name: string]: string };
  readonly secret: Uint8Array | null;
  readonly secretPrevious: Uint8Array | null;
  /** Of the Temporal Schedule, as last seen. */
  readonly paused: boolean;
  /** What the Temporal Schedule was last made from; null: it is not known to be there. */
  readonly scheduleHash: string | null;
  readonly scheduleLook: Json;
  readonly lastFiredAt: string | null;
  readonly createdAt: string;
  readonly updatedAt: string;
}

/** What a save writes. `secret`, `secretPrevious`: the plain text, null for none, undefined for the one that is there. */
export interface TriggerContent {
  readonly name: string;
  readonly type: TriggerKind;
  readonly workflowId: string | null;
  readonly enabled: boolean;
  readonly config: JsonObject;
  readonly variableMapping: { readonly [name: string]: string };
  readonly webhookPath: string | null;
  readonly secret: string | null | undefined;
  readonly secretPrevious: string | null | undefined;
}

const LOCK = statement('lock_triggers', 'SELECT pg_advisory_xact_lock(7274, hashtext($1))::text');
const BY_ID = statement('trigger_by_id', 'SELECT * FROM triggers WHERE id = $1');
const BY_NAME = statement('trigger_by_name', 'SELECT * FROM triggers WHERE owner_id = $1 AND name_key = $2');
const BY_PATH = statement(
  'trigger_by_path',
  `SELECT t.*, row_to_json(w) AS workflow, u.role AS owner_role, u.disabled AS owner_disabled, ${SECRETS_BESIDE} AS owner_secrets FROM triggers t
   JOIN users u ON u.id = t.owner_id
   LEFT JOIN workflows w ON w.id = t.workflow_id AND w.owner_id = t.owner_id AND w.deleted_at IS NULL WHERE t.webhook_path = $1`,
);
const INSERT = statement(
  'insert_trigger',
  `INSERT INTO triggers (id, owner_id, name, name_key, type, workflow_id, enabled, config, variable_mapping, webhook_path, secret, secret_previous)
   VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12) RETURNING *`,
);
const UPDATE = statement(
  'update_trigger',
  `UPDATE triggers SET name = $3, name_key = $4, type = $5, workflow_id = $6, enabled = $7, config = $8, variable_mapping = $9, webhook_path = $10,
     secret = $11, secret_previous = $12, updated_at = clock_timestamp() WHERE id = $1 AND owner_id = $2 RETURNING *`,
);
const SET_ENABLED = statement(
  'set_trigger_enabled',
  'UPDATE triggers SET enabled = $3, updated_at = CASE WHEN enabled = $3 THEN updated_at ELSE clock_timestamp() END WHERE owner_id = $1 AND id = $2 RETURNING *',
);
const SET_PAUSED = statement('set_trigger_paused', 'UPDATE triggers SET paused = $2 WHERE id = $1');
const SET_HASH = statement('set_schedule_hash', 'UPDATE triggers SET schedule_hash = $2 WHERE id = $1');
const DELETE = statement('delete_trigger', 'DELETE FROM triggers WHERE owner_id = $1 AND id = $2 RETURNING *');
const DELETE_OF_WORKFLOW = statement('delete_triggers_of', 'DELETE FROM triggers WHERE owner_id = $1 AND workflow_id = $2 RETURNING *');
const GITHUB = statement('github_triggers', `SELECT * FROM triggers WHERE type = 'github' AND enabled ORDER BY id`);
const SCHEDULES = statement('schedule_triggers', `SELECT * FROM triggers WHERE type = 'schedule' AND id > $1 ORDER BY id LIMIT $2`);
const OPEN_RUNS = statement(
  'open_runs_of_schedule',
  `SELECT id FROM executions WHERE owner_id = $1 AND trigger_type = 'schedule' AND trigger->>'id' = $2 AND id <> $3
     AND status IN ('pending', 'running', 'waiting_approval', 'waiting_event', 'paused', 'cancelling') ORDER BY created_at, id`,
);
const LOCK_ROW = statement('lock_trigger', 'SELECT * FROM triggers WHERE id = $1 FOR NO KEY UPDATE');
const SET_LOOK = statement('set_schedule_look', 'UPDATE triggers SET schedule_look = $2, paused = $3 WHERE id = $1');

/** How a name is compared: in any case. */
const nameKeyOf = (name: string): string => name.toLowerCase();

/** Which row a save means: by id, or by name in any case. */
export type TriggerMatch = { readonly id: string } | { readonly name: string };

/**
 * Inserts or updates the trigger that `match` means; a save by an id that is none inserts nothing. One at a time for each owner. `content`
 * is told what stands there now, and may refuse by throwing.
 * @throws AppError webhook_path_taken, validation_failed (the name is another's)
 */
export async function saveTrigger(
  db: Database,
  key: Uint8Array,
  ownerId: string,
  match: TriggerMatch,
  content: (current: TriggerRecord | undefined) => TriggerContent,
): Promise<{ readonly trigger: TriggerRecord; readonly created: boolean } | undefined> {
  let next: TriggerContent | undefined;
  try {
    return await db.transaction(async (tx) => {
      await tx.rows(LOCK, [ownerId]);
      const current = await findMatch(tx, ownerId, match);
      if (current === undefined && 'id' in match) return undefined;
      next = content(current);
      const id = current?.id ?? newId('trg');
      const [row] = await tx.rows(current === undefined ? INSERT : UPDATE, valuesOf(id, ownerId, next, current, key));
      if (row === undefined) throw new Error(`Trigger ${id} vanished under its lock`);
      return { trigger: fromRow(row), created: current === undefined };
    });
  } catch (error) {
    throw refused(error, next) ?? error;
  }
}

function refused(error: unknown, next: TriggerContent | undefined): AppError | undefined {
  const index = violatedIndex(error);
  if (index === 'triggers_webhook_path_key') {
    const path = next?.webhookPath ?? '';
    return new AppError('webhook_path_taken', `Another trigger of this deployment has the path ${path}`, { path }, { cause: error });
  }
  if (index !== 'triggers_owner_id_name_key_key') return undefined;
  const problem = {
    code: 'invalid_field',
    severity: 'error',
    path: '/name',
    message: `Another trigger has the name ${next?.name ?? ''}`,
  } as const;
  return new AppError('validation_failed', problem.message, { problems: [problem] }, { cause: error });
}

async function findMatch(tx: Tx, ownerId: string, match: TriggerMatch): Promise<TriggerRecord | undefined> {
  const [row] = 'id' in match ? await tx.rows(BY_ID, [match.id]) : await tx.rows(BY_NAME, [ownerId, nameKeyOf(match.name)]);
  const record = row === undefined ? undefined : fromRow(row);
  return record?.ownerId === ownerId ? record : undefined;
}

function valuesOf(id: string, ownerId: string, next: TriggerContent, current: TriggerRecord | undefined, key: Uint8Array): unknown[] {
  const sealed = (plain: string | null | undefined, before: Uint8Array | null | undefined): Uint8Array | null =>
    plain === undefined ? (before ?? null) : plain === null ? null : seal(key, ownerId, id, plain);
  return [
    id,
    ownerId,
    toStorableText(next.name),
    nameKeyOf(next.name),
    next.type,
    next.workflowId,
    next.enabled,
    toJsonText(next.config),
    toJsonText(next.variableMapping),
    next.webhookPath,
    sealed(next.secret, current?.secret),
    sealed(next.secretPrevious, current?.secretPrevious),
  ];
}

const NONCE_BYTES = 12;
const TAG_BYTES = 16;
/** A secret of a trigger opens for that trigger alone. */
const secretName = (triggerId: string): string => `trigger:${triggerId}`;

function seal(key: Uint8Array, ownerId: string, triggerId: string, plain: string): Buffer {
  const { nonce, tag, ciphertext } = sealSecret(key, ownerId, secretName(triggerId), plain);
  return Buffer.concat([nonce, tag, ciphertext]);
}

/** The live secrets of a webhook, the current one first. */
export function secretsOf(key: Uint8Array, { id, ownerId, secret, secretPrevious }: TriggerRecord): string[] {
  return [secret, secretPrevious]
    .filter((sealed) => sealed !== null)
    .map((sealed) =>
      openSecret(key, ownerId, secretName(id), {
        nonce: Uint8Array.from(sealed.subarray(0, NONCE_BYTES)),
        tag: Uint8Array.from(sealed.subarray(NONCE_BYTES, NONCE_BYTES + TAG_BYTES)),
        ciphertext: Uint8Array.from(sealed.subarray(NONCE_BYTES + TAG_BYTES)),
      }),
    );
}

/** A trigger of this owner by id; null as owner: whoever's. */
export async function getTrigger(db: Queryable, ownerId: string | null, id: string): Promise<TriggerRecord | undefined> {
  const [row] = await db.rows(BY_ID, [id]);
  const record = row === undefined ? undefined : fromRow(row);
  return ownerId === null || record?.ownerId === ownerId ? record : undefined;
}

/** A trigger of this owner by name, in any case. */
export async function findTriggerByName(db: Queryable, ownerId: string, name: string): Promise<TriggerRecord | undefined> {
  const [row] = await db.rows(BY_NAME, [ownerId, nameKeyOf(name)]);
  return row === undefined ? undefined : fromRow(row);
}

export interface FoundWebhook {
  readonly trigger: TriggerRecord;
  readonly owner: Pick<UserRecord, 'role' | 'disabled'>;
  /** Sealed: what is to be taken out of what is written down. */
  readonly ownerSecrets: readonly SecretBeside[];
  /** Undefined when it is deleted. */
  readonly workflow: WorkflowRecord | undefined;
}

/** The webhook at a path of this deployment, with its owner and its workflow: in one look, as every call takes it. */
export async function findWebhook(db: Queryable, path: string): Promise<FoundWebhook | undefined> {
  const [row] = await db.rows<{
    workflow: object | null;
    owner_role: string;
    owner_disabled: boolean;
    owner_secrets: readonly SecretBeside[];
  }>(BY_PATH, [path]);
  if (row === undefined) return undefined;
  return {
    trigger: fromRow(row),
    owner: { role: row.owner_role, disabled: row.owner_disabled },
    ownerSecrets: row.owner_secrets,
    workflow: row.workflow === null ? undefined : workflowFromJson(row.workflow),
  };
}

/** Open runs of a schedule but for one, oldest first. */
export async function openRunsOf(db: Queryable, { id, ownerId }: Pick<TriggerRecord, 'id' | 'ownerId'>, but: string): Promise<string[]> {
  return (await db.rows<{ id: string }>(OPEN_RUNS, [ownerId, id, but])).map((row) => row.id);
}

export interface TriggerFilter extends PageRequest {
  readonly ownerId: string;
  readonly workflowId?: string;
  readonly type?: TriggerKind;
  readonly enabled?: boolean;
}

/** Newest first. */
export async function listTriggers(
  db: Database,
  { ownerId, workflowId, type, enabled, limit, cursor }: TriggerFilter,
): Promise<Page<TriggerRecord>> {
  const where = {
    ownerId,
    ...(workflowId === undefined ? {} : { workflowId }),
    ...(type === undefined ? {} : { type }),
    ...(enabled === undefined ? {} : { enabled }),
  };
  const rows = await db.with((prisma) =>
    prisma.trigger.findMany({ where: { AND: [where, behind(cursor)] }, orderBy: NEWEST_FIRST, take: limit + 1 }),
  );
  return toPage(rows, limit, toTriggerRecord);
}

/** Undefined: the owner has no such trigger. */
export async function setTriggerEnabled(db: Database, ownerId: string, id: string, enabled: boolean): Promise<TriggerRecord | undefined> {
  const [row] = await db.rows(SET_ENABLED, [ownerId, id, enabled]);
  return row === undefined ? undefined : fromRow(row);
}

export async function setTriggerPaused(db: Database, id: string, paused: boolean): Promise<void> {
  await db.rows(SET_PAUSED, [id, paused]);
}

/** Notes what the Temporal Schedule was made from; null: it has to be made again. */
export async function setScheduleHash(db: Database, id: string, hash: string | null): Promise<void> {
  await db.rows(SET_HASH, [id, hash]);
}

/** The trigger that was there, with which its deliveries are gone. */
export async function deleteTrigger(db: Database, ownerId: string, id: string): Promise<TriggerRecord | undefined> {
  const [row] = await db.rows(DELETE, [ownerId, id]);
  return row === undefined ? undefined : fromRow(row);
}

/** Those of a workflow, which were there. */
export async function deleteTriggersOf(db: Database, ownerId: string, workflowId: string): Promise<TriggerRecord[]> {
  return (await db.rows(DELETE_OF_WORKFLOW, [ownerId, workflowId])).map(fromRow);
}

/** Enabled ones, of every owner: one delivery concerns them all. */
export async function githubTriggers(db: Database): Promise<TriggerRecord[]> {
  return (await db.rows(GITHUB, [])).map(fromRow);
}

/** Schedules of every owner, by id; go on `after` the last one. */
export async function scheduleTriggers(db: Database, after: string, limit: number): Promise<TriggerRecord[]> {
  return (await db.rows(SCHEDULES, [after, limit])).map(fromRow);
}

/** Under its lock, so that of two looks at one Schedule the second sees what the first has noted. */
export async function withTriggerLock<T>(
  db: Database,
  id: string,
  work: (tx: Tx, trigger: TriggerRecord) => Promise<T>,
): Promise<T | undefined> {
  return db.transaction(async (tx) => {
    const [row] = await tx.rows(LOCK_ROW, [id]);
    return row === undefined ? undefined : work(tx, fromRow(row));
  });
}

export async function setScheduleLook(tx: Queryable, id: string, look: Json, paused: boolean): Promise<void> {
  await tx.rows(SET_LOOK, [id, toNullableJsonText(look), paused]);
}

const fromRow = (row: object): TriggerRecord => toTriggerRecord(camelRow<Trigger>(row));

function toTriggerRecord(row: Trigger): TriggerRecord {
  const { id, ownerId, name, workflowId, enabled, secret, secretPrevious, paused, scheduleHash } = row;
  return {
    id,
    ownerId,
    name,
    type: row.type as TriggerKind,
    workflowId,
    enabled,
    config: row.config as unknown as JsonObject,
    variableMapping: row.variableMapping as unknown as TriggerRecord['variableMapping'],
    secret,
    secretPrevious,
    paused,
    scheduleHash,
    scheduleLook: row.scheduleLook as Json,
    lastFiredAt: row.lastFiredAt?.toISOString() ?? null,
    createdAt: row.createdAt.toISOString(),
    updatedAt: row.updatedAt.toISOString(),
  };
}
