/** What a session shows at one glance: the newest of everything in it. */
import type { Database } from './database.js';
import { EXECUTION_COLUMNS, executionFromRow, type ExecutionRecord } from './execution-record.js';
import type { GateRecord } from './gate-record.js';
import { withVotes } from './gate-writes.js';
import { messageFromRow, type MessageRecord } from './messages.js';
import { statement } from './statement.js';
import { mirrorContainers, STEP_COLUMNS, toStepRecord, type StepRecord } from './step-list.js';

const MESSAGES = statement('newest_messages', 'SELECT * FROM messages WHERE session_id = $1 AND owner_id = $2 ORDER BY seq DESC LIMIT $3');
const OF_EXECUTION = statement(
  'messages_of_execution',
  'SELECT * FROM messages WHERE session_id = $1 AND execution_id = $2 ORDER BY seq LIMIT $3',
);
const PLAN_KEY = statement('plan_key_of_execution', 'SELECT hash, plan_format AS "planFormat" FROM executions WHERE id = $1');
const OPEN_TURNS = statement('open_turn_messages', 'SELECT * FROM messages WHERE session_id = $1 AND turn_open ORDER BY seq');
const TURN = statement('turn_message', 'SELECT * FROM messages WHERE turn_id = $1');
const EXECUTIONS = statement(
  'executions_of_session',
  `SELECT ${EXECUTION_COLUMNS} FROM executions WHERE session_id = $1 AND owner_id = $2 ORDER BY created_at DESC, id DESC LIMIT $3`,
);
const STEPS = statement(
  'newest_steps',
  `SELECT ${STEP_COLUMNS} FROM steps WHERE execution_id = ANY($1) ORDER BY created_at DESC, started_at DESC NULLS LAST, instance_key DESC LIMIT $2`,
);
const GATES = statement('gates_of_session', 'SELECT * FROM approvals WHERE session_id = $1 ORDER BY created_at DESC, id DESC LIMIT $2');
const GATES_OF_EXECUTION = statement(
  'newest_gates_of_execution',
  'SELECT * FROM approvals WHERE execution_id = $1 ORDER BY created_at DESC, id DESC LIMIT $2',
);

/** The newest messages of a session of this owner, oldest first. */
export async function newestMessages(db: Database, ownerId: string, sessionId: string, limit: number): Promise<MessageRecord[]> {
  return (await db.rows(MESSAGES, [sessionId, ownerId, limit])).toReversed().map(messageFromRow);
}

/** What an execution has said in the session that shows it, oldest first, at most `limit`. */
export async function messagesOfExecution(
  db: Database,
  { id, sessionId }: Pick<ExecutionRecord, 'id' | 'sessionId'>,
  limit: number,
): Promise<MessageRecord[]> {
  return (await db.rows(OF_EXECUTION, [sessionId, id, limit])).map(messageFromRow);
}

/** Messages of turns that something may still follow. */
export async function openTurnMessages(db: Database, sessionId: string): Promise<MessageRecord[]> {
  return (await db.rows(OPEN_TURNS, [sessionId])).map(messageFromRow);
}

/** The message of a turn, whoever's. */
export async function turnMessage(db: Database, turnId: string): Promise<MessageRecord | undefined> {
  const [row] = await db.rows(TURN, [turnId]);
  return row === undefined ? undefined : messageFromRow(row);
}

/** The definition that an execution runs, to look its steps' names up in. */
export async function planKeyOf(
  db: Database,
  executionId: string,
): Promise<{ readonly hash: string; readonly planFormat: number } | undefined> {
  const [row] = await db.rows<{ hash: string; planFormat: number }>(PLAN_KEY, [executionId]);
  return row;
}

/** Executions that a session shows, newest first. */
export async function executionsOfSession(db: Database, ownerId: string, sessionId: string, limit: number): Promise<ExecutionRecord[]> {
  return (await db.rows(EXECUTIONS, [sessionId, ownerId, limit])).map(executionFromRow);
}

/** The newest step rows of these executions, oldest first. */
export async function newestSteps(db: Database, executionIds: readonly string[], limit: number): Promise<StepRecord[]> {
  if (executionIds.length === 0) return [];
  const rows = await db.rows(STEPS, [[...executionIds], limit]);
  return mirrorContainers(rows.toReversed().map(toStepRecord));
}

/** The newest gates of a session, oldest first. */
export async function gatesOfSession(db: Database, sessionId: string, limit: number): Promise<GateRecord[]> {
  return withVotes(db, (await db.rows(GATES, [sessionId, limit])).toReversed());
}

/** The newest gates of an execution itself, oldest first. */
export async function gatesOfExecution(db: Database, executionId: string, limit: number): Promise<GateRecord[]> {
  return withVotes(db, (await db.rows(GATES_OF_EXECUTION, [executionId, limit])).toReversed());
}
