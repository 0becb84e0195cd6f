/** What the reconciler looks for. All oldest first and in batches; each may be asked anywhere, any number of times, at once. */
import type { CommandRecord } from './commands.js';
import type { Database } from './database.js';
import type { GateRecord } from './gate-record.js';
import { withVotes } from './gate-writes.js';
import { camelRow, statement } from './statement.js';

const PENDING = statement(
  'pending_executions',
  `SELECT id FROM executions WHERE status = 'pending' AND created_at < now() - $1 * interval '1 millisecond' ORDER BY created_at, id LIMIT $2`,
);
/** Of a conversation's messages the oldest wakes for all: a day behind a held call must not fill its history with repeats. */
const UNDELIVERED = statement(
  'undelivered_commands',
  `SELECT * FROM commands c WHERE delivered_at IS NULL AND created_at < now() - $1 * interval '1 millisecond'
     AND (created_at, id) > ($3::timestamptz, $4)
     AND (kind <> 'message' OR NOT EXISTS (SELECT FROM commands o WHERE o.target_id = c.target_id AND o.kind = 'message' AND o.delivered_at IS NULL
       AND (o.created_at, o.id) < (c.created_at, c.id)))
   ORDER BY created_at, id LIMIT $2`,
);
const UNDELIVERED_GATES = statement(
  'undelivered_gates',
  `SELECT * FROM approvals a WHERE delivered_at IS NULL AND status <> 'pending' AND settled_at < now() - $1 * interval '1 millisecond'
     AND (a.execution_id IS NULL OR EXISTS (SELECT FROM executions e WHERE e.id = a.execution_id AND e.status NOT IN ('completed', 'failed', 'cancelled')))
   ORDER BY settled_at, id LIMIT $2`,
);
const OVERDUE_GATES = statement(
  'overdue_gates',
  `SELECT id FROM approvals WHERE status = 'pending' AND deadline <= clock_timestamp() ORDER BY deadline, id LIMIT $1`,
);
const STALE = statement(
  'stale_executions',
  `SELECT id FROM executions WHERE status IN ('running', 'waiting_approval', 'waiting_event', 'paused', 'cancelling')
     AND updated_at < now() - $1 * interval '1 millisecond' AND id > $2 ORDER BY id LIMIT $3`,
);

const STRAY_TURNS = statement(
  'stray_turns',
  `SELECT m.turn_id AS id FROM messages m JOIN executions e ON e.id = m.execution_id
   WHERE m.turn_open AND e.status IN ('completed', 'failed', 'cancelled') ORDER BY m.turn_id LIMIT $1`,
);

/** Turns still open in the chat whose execution has ended: its workflow was terminated. */
export const strayTurns = (db: Database, limit: number): Promise<string[]> => ids(db.rows<{ id: string }>(STRAY_TURNS, [limit]));

/** Rows whose workflow may never have been started. */
export const pendingExecutions = (db: Database, olderThanMs: number, limit: number): Promise<string[]> =>
  ids(db.rows<{ id: string }>(PENDING, [olderThanMs, limit]));

/** Commands to executions and conversations that the workflow is not known to have applied; go on `after` the last one. */
export async function undeliveredCommands(
  db: Database,
  olderThanMs: number,
  limit: number,
  after: Pick<CommandRecord, 'createdAt' | 'id'> = { createdAt: new Date(0), id: '' },
): Promise<CommandRecord[]> {
  return (await db.rows(UNDELIVERED, [olderThanMs, limit, after.createdAt, after.id])).map((row) => camelRow<CommandRecord>(row));
}

/** Settled gates of open executions and of conversations whose workflow is not known to have been told. */
export async function undeliveredGates(db: Database, olderThanMs: number, limit: number): Promise<GateRecord[]> {
  return withVotes(db, await db.rows(UNDELIVERED_GATES, [olderThanMs, limit]));
}

/** Pending gates past their deadline, to be closed as expired. */
export const overdueGates = (db: Database, limit: number): Promise<string[]> => ids(db.rows<{ id: string }>(OVERDUE_GATES, [limit]));

/** Open executions untouched for so long, by id; go on `after` the last one. */
export const staleExecutions = (db: Database, untouchedMs: number, after: string, limit: number): Promise<string[]> =>
  ids(db.rows<{ id: string }>(STALE, [untouchedMs, after, limit]));

const ids = async (rows: Promise<{ id: string }[]>): Promise<string[]> => (await rows).map((row) => row.id);
