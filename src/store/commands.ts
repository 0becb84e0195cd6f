import type { Json, Value } from '../definition/value.js';
import type { Database, Tx } from './database.js';
import { EXECUTION_COLUMNS, executionFromRow, isEnded, type ExecutionRecord } from './execution-record.js';
import { newId } from './ids.js';
import { takeKey, type IdempotencyKey } from './idempotency.js';
import { toJsonText } from './json-text.js';
import { camelRow, statement } from './statement.js';

export type CommandKind = 'cancel' | 'pause' | 'resume' | 'event' | 'child' | 'message' | 'stop';

/** What came from outside, kept until the workflow has applied it. `targetId` is the Temporal workflow id. */
export interface CommandRecord {
  readonly id: string;
  readonly ownerId: string;
  readonly targetId: string;
  readonly kind: CommandKind;
  readonly payload: Json;
  readonly by: Json;
  readonly createdAt: Date;
  readonly deliveredAt: Date | null;
}

export const MAX_WAITING_EVENTS = 1_000;
export const MAX_WAITING_EVENT_BYTES = 256 * 1024;

/** `ended`: the execution takes no more commands. */
export type CommandResult =
  | { readonly kind: 'accepted'; readonly commandId: string; readonly execution: ExecutionRecord }
  | { readonly kind: 'ended'; readonly execution: ExecutionRecord }
  | { readonly kind: 'not_found' };

export type EventResult =
  | { readonly kind: 'accepted'; readonly commandId: string; readonly duplicate: boolean }
  | { readonly kind: 'ended'; readonly execution: ExecutionRecord }
  | { readonly kind: 'backlog_full'; readonly waiting: number; readonly waitingBytes: number }
  | { readonly kind: 'key_reused' }
  | { readonly kind: 'not_found' };

export interface NewEvent {
  readonly ownerId: string;
  readonly executionId: string;
  readonly event: string;
  readonly payload: Value;
  /** Size of the payload's JSON. */
  readonly bytes: number;
  readonly by: Json;
  readonly idempotency?: IdempotencyKey;
}

const LOCK = statement(
  'lock_command_target',
  `SELECT ${EXECUTION_COLUMNS} FROM executions WHERE id = $1 AND owner_id = $2 FOR NO KEY UPDATE`,
);
const INSERT = statement(
  'insert_command',
  'INSERT INTO commands (id, owner_id, target_id, kind, payload, bytes, by) VALUES ($1, $2, $3, $4, $5, $6, $7)',
);
/** Each finished wait has taken one event; what is left still waits, the newest for certain. */
const BACKLOG = statement(
  'event_backlog',
  `SELECT count(*)::int AS waiting, coalesce(sum(bytes), 0)::int AS "waitingBytes" FROM (
     SELECT bytes FROM commands WHERE target_id = $1 AND kind = 'event' ORDER BY created_at DESC
     LIMIT greatest(0, (SELECT count(*) FROM commands WHERE target_id = $1 AND kind = 'event')
       - (SELECT count(*) FROM steps WHERE execution_id = $1 AND type = 'wait_for_event' AND status = 'completed' AND NOT seeded))) AS waiting`,
);
/** Segments see it with their next step. A clean-up does not pause. */
const HALT = statement('halt_execution', `UPDATE executions SET halt = $2 AND status <> 'cancelling' WHERE id = $1`);
const GET = statement('get_commands', 'SELECT * FROM commands WHERE id = ANY($1)');
const DELIVERED = statement('mark_delivered', 'UPDATE commands SET delivered_at = now() WHERE id = ANY($1) AND delivered_at IS NULL');

/** Writes down a request to pause or resume; the signal comes after the commit. */
export function addCommand(
  db: Database,
  command: { readonly ownerId: string; readonly executionId: string; readonly kind: 'pause' | 'resume'; readonly by: Json },
): Promise<CommandResult> {
  return db.transaction(async (tx): Promise<CommandResult> => {
    const execution = await lockTarget(tx, command.ownerId, command.executionId);
    if (execution === undefined) return { kind: 'not_found' };
    if (isEnded(execution.status)) return { kind: 'ended', execution };
    const commandId = newId('cmd');
    await tx.rows(INSERT, [commandId, command.ownerId, command.executionId, command.kind, toJsonText({}), 0, toJsonText(command.by)]);
    await tx.rows(HALT, [command.executionId, command.kind === 'pause']);
    return { kind: 'accepted', commandId, execution };
  });
}

/** Writes down an event for an execution; one of many with the same key is written. The signal comes after the commit. */
export function addEvent(db: Database, event: NewEvent): Promise<EventResult> {
  return db
    .transaction(async (tx): Promise<EventResult> => {
      const execution = await lockTarget(tx, event.ownerId, event.executionId);
      if (execution === undefined) return { kind: 'not_found' };
      const commandId = newId('cmd');
      const claim =
        event.idempotency === undefined ? { kind: 'first' as const } : await takeKey(tx, event.ownerId, event.idempotency, commandId);
      if (claim.kind === 'reused') return { kind: 'key_reused' };
      if (claim.kind === 'repeat') return { kind: 'accepted', commandId: claim.resultId, duplicate: true };
      const refusal = isEnded(execution.status) ? { kind: 'ended' as const, execution } : await backlogRefusal(tx, event);
      if (refusal !== undefined) throw new EventRefused(refusal);
      const payload = { event: event.event, payload: event.payload };
      await tx.rows(INSERT, [commandId, event.ownerId, event.executionId, 'event', toJsonText(payload), event.bytes, toJsonText(event.by)]);
      return { kind: 'accepted', commandId, duplicate: false };
    })
    .catch((error: unknown) => {
      if (error instanceof EventRefused) return error.result;
      throw error;
    });
}

/** Rolls the transaction back, so that the key stays free. */
class EventRefused extends Error {
  constructor(readonly result: EventResult) {
    super(result.kind);
  }
}

async function backlogRefusal(tx: Tx, { executionId, bytes }: NewEvent): Promise<EventResult | undefined> {
  const [backlog] = await tx.rows<{ waiting: number; waitingBytes: number }>(BACKLOG, [executionId]);
  const { waiting, waitingBytes } = backlog ?? { waiting: 0, waitingBytes: 0 };
  const isFull = waiting >= MAX_WAITING_EVENTS || waitingBytes + bytes > MAX_WAITING_EVENT_BYTES;
  return isFull ? { kind: 'backlog_full', waiting, waitingBytes } : undefined;
}

async function lockTarget(tx: Tx, ownerId: string, executionId: string): Promise<ExecutionRecord | undefined> {
  const [row] = await tx.rows(LOCK, [executionId, ownerId]);
  return row === undefined ? undefined : executionFromRow(row);
}

/** Commands by id, in no order. */
export async function getCommands(db: Database, ids: readonly string[]): Promise<CommandRecord[]> {
  return (await db.rows(GET, [[...ids]])).map((row) => camelRow<CommandRecord>(row));
}

/** Notes that the workflow has applied them. */
export async function markDelivered(db: Database, ids: readonly string[]): Promise<void> {
  await db.rows(DELIVERED, [[...ids]]);
}
