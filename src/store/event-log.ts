import type { Json } from '../definition/value.js';
import type { Database, Tx } from './database.js';
import { toJsonText } from './json-text.js';
import { toAppendedEvent, type AppendedEvent, type LogEvent } from './log-event.js';
import { camelRow, statement } from './statement.js';

/** An event as it stands in the log. `seq` counts 1, 2, 3 … in the stream that was read. */
export interface EventRecord {
  readonly seq: number;
  readonly executionId: string | null;
  readonly sessionId: string | null;
  readonly kind: string;
  readonly stepId: string | null;
  readonly iterationPath: string | null;
  readonly attempt: number | null;
  /** ISO instant. */
  readonly at: string;
  readonly data: Json;
}

/** Where a stream stands. `closed`: nothing follows `lastSeq`. */
export interface StreamState {
  readonly ownerId: string;
  readonly lastSeq: number;
  readonly closed: boolean;
}

const APPEND = statement(
  'append_and_name',
  'SELECT signalbox_append($1, $2) AS seqs, (SELECT session_id FROM streams WHERE id = $1) AS session',
);
const COLUMNS = 'execution_id, session_id, kind, step_id, iteration_path, attempt, at, data';
const READ = statement('read_events', `SELECT seq, ${COLUMNS} FROM events WHERE stream_id = $1 AND seq > $2 ORDER BY seq LIMIT $3`);
const READ_SESSION = statement(
  'read_session_events',
  `SELECT session_seq AS seq, ${COLUMNS} FROM events WHERE session_id = $1 AND session_seq > $2 ORDER BY session_seq LIMIT $3`,
);
const STATE = statement(
  'stream_state',
  'SELECT owner_id AS "ownerId", next_seq - 1 AS "lastSeq", closed_at IS NOT NULL AS closed FROM streams WHERE id = $1',
);

/**
 * Appends to the stream of an execution or session, which must be there. An event whose key is there already changes nothing;
 * a closed stream takes nothing.
 * @returns the seq of each event in the stream, null for those not appended
 */
export function append(db: Database, streamId: string, events: readonly LogEvent[]): Promise<(number | null)[]> {
  return db.transaction((tx) => appendIn(tx, streamId, events.map(toAppendedEvent)));
}

/** The same inside a transaction, which holds the stream's lock from here on: let it be among its last statements. */
export async function appendIn(tx: Tx, streamId: string, events: readonly AppendedEvent[]): Promise<(number | null)[]> {
  const [row] = await tx.rows<{ seqs: (number | null)[]; session: string | null }>(APPEND, [streamId, toJsonText(events)]);
  // What happens in an execution is told in its session too.
  tx.wake(streamId, row?.session ?? null);
  return row?.seqs ?? [];
}

/** Events of an execution after `after` (exclusive; 0: all), oldest first, at most `limit`. */
export const readEvents = (db: Database, executionId: string, after: number, limit: number): Promise<EventRecord[]> =>
  read(db, READ, executionId, after, limit);

/** Events of a session: its own and those of its executions, by the session's numbering. */
export const readSessionEvents = (db: Database, sessionId: string, after: number, limit: number): Promise<EventRecord[]> =>
  read(db, READ_SESSION, sessionId, after, limit);

async function read(db: Database, query: typeof READ, id: string, after: number, limit: number): Promise<EventRecord[]> {
  const rows = await db.rows<{ at: Date }>(query, [id, after, limit]);
  return rows.map((row) => ({ ...camelRow<EventRecord>(row), at: row.at.toISOString() }));
}

/** Where a stream stands; undefined when there is none. */
export async function streamState(db: Database, streamId: string): Promise<StreamState | undefined> {
  const [row] = await db.rows<StreamState>(STATE, [streamId]);
  return row;
}
