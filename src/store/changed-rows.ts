/** Rows behind the lists that people watch: what woken streams are about, and what is open, to find changes that no wake-up told of. */
import type { Database } from './database.js';
import { EXECUTION_COLUMNS, executionFromRow, type ExecutionRecord } from './execution-record.js';
import type { GateRecord } from './gate-record.js';
import { withVotes } from './gate-writes.js';
import { statement } from './statement.js';

/** A row's mark changes whenever the row does. */
export interface RowMark {
  readonly id: string;
  readonly mark: string;
}

const EXECUTION_MARK = `status || ' ' || counter || ' ' || updated_at::text`;
/** Each part by an index of its own: an owner may have had a million executions, and has few open ones. */
const EXECUTION_MARKS = statement(
  'execution_marks',
  `SELECT id, ${EXECUTION_MARK} AS mark FROM executions
     WHERE owner_id = ANY($1) AND trigger_type <> 'test'
       AND status IN ('pending', 'running', 'waiting_approval', 'waiting_event', 'paused', 'cancelling')
   UNION SELECT id, ${EXECUTION_MARK} FROM executions
     WHERE owner_id = ANY($1) AND trigger_type <> 'test' AND created_at > now() - interval '30 seconds'
   UNION SELECT id, ${EXECUTION_MARK} FROM executions WHERE id = ANY($2)
   LIMIT 5000`,
);
const EXECUTIONS = statement(
  'executions_by_id',
  `SELECT ${EXECUTION_COLUMNS}, ${EXECUTION_MARK} AS mark FROM executions
   WHERE id = ANY($1) AND owner_id = ANY($2) AND trigger_type <> 'test' ORDER BY created_at, id`,
);
const GATE_MARKS = statement(
  'gate_marks',
  `SELECT a.id, concat_ws(' ', a.status, cardinality(a.escalated_to), (SELECT count(*) FROM votes v WHERE v.approval_id = a.id)) AS mark
   FROM approvals a
   WHERE a.status = 'pending' OR a.id = ANY($1) ORDER BY a.created_at DESC LIMIT 5000`,
);
const GATES_BY_ID = statement('gates_by_id', 'SELECT * FROM approvals WHERE id = ANY($1) ORDER BY created_at, id');
const GATES_BY_STREAM = statement(
  'gates_by_stream',
  `SELECT * FROM approvals WHERE (execution_id = ANY($1) OR session_id = ANY($1))
     AND (status = 'pending' OR settled_at > now() - interval '1 minute') ORDER BY created_at, id`,
);

/** Marks of the open executions of these owners, of the very newest, and of `known` ones. */
export const executionMarks = (db: Database, ownerIds: readonly string[], known: readonly string[]): Promise<RowMark[]> =>
  db.rows<RowMark>(EXECUTION_MARKS, [[...ownerIds], [...known]]);

/** These executions, as far as they belong to these owners. Live tests are left out, as from lists. */
export async function executionsById(
  db: Database,
  ids: readonly string[],
  ownerIds: readonly string[],
): Promise<{ readonly mark: string; readonly execution: ExecutionRecord }[]> {
  const rows = await db.rows<RowMark>(EXECUTIONS, [[...ids], [...ownerIds]]);
  return rows.map(({ mark, ...row }) => ({ mark, execution: executionFromRow(row) }));
}

/** Marks of the pending gates, and of `known` ones. */
export const gateMarks = (db: Database, known: readonly string[]): Promise<RowMark[]> => db.rows<RowMark>(GATE_MARKS, [[...known]]);

export const gatesById = async (db: Database, ids: readonly string[]): Promise<GateRecord[]> =>
  withVotes(db, await db.rows(GATES_BY_ID, [[...ids]]));

/** Gates of these executions and sessions that are pending or were settled just now. */
export const gatesByStream = async (db: Database, streamIds: readonly string[]): Promise<GateRecord[]> =>
  withVotes(db, await db.rows(GATES_BY_STREAM, [[...streamIds]]));

/** The mark of a gate as `gateMarks` gives it. Pure. */
export const markOfGate = (gate: GateRecord): string => [gate.status, gate.escalatedTo.length, gate.votes.length].join(' ');
