import { toDisplay } from '../definition/value-parts.js';
import type { Json } from '../definition/value.js';
import type { Carry, ExecutionOutcome, StepError } from '../engine/types.js';
import type { Step } from '../generated/prisma/client.js';
import type { Database, Tx } from './database.js';
import { appendIn } from './event-log.js';
import { EXECUTION_COLUMNS, isEnded, executionFromRow, toOutcome, type ExecutionRecord } from './execution-record.js';
import type { GateRecord } from './gate-record.js';
import { closeGates, lockStream } from './gate-writes.js';
import { newId } from './ids.js';
import { toJsonText, toNullableJsonText } from './json-text.js';
import { toAppendedEvent } from './log-event.js';
import { shownOfRun } from './private-values.js';
import { applyCarry } from './projection.js';
import { settleAtOnce, storedOutput } from './settle-at-once.js';
import { camelRow, statement } from './statement.js';
import { addUsage } from './token-usage.js';
import type { TokenUsage } from '../engine/types.js';

/** A child's end, to be signalled to its parent's workflow until the command is marked delivered (durability §11). */
export interface ChildReport {
  readonly commandId: string;
  readonly parentId: string;
  readonly executionId: string;
  readonly outcome: Pick<ExecutionOutcome, 'status' | 'output' | 'error'>;
}

/** An execution that has ended. `won`: by this call, not before. */
export interface Settled {
  readonly execution: ExecutionRecord;
  readonly outcome: ExecutionOutcome;
  readonly won: boolean;
  readonly closedGates: readonly GateRecord[];
  readonly childReport: ChildReport | null;
}

/** `cancelling`: clean-up runs; `cancelled`: it had not begun. `ended`: it had ended before, nothing changed. */
export type CancelResult =
  | {
      readonly kind: 'cancelling';
      readonly execution: ExecutionRecord;
      readonly closedGates: readonly GateRecord[];
      readonly commandId: string;
    }
  | ({ readonly kind: 'cancelled'; readonly commandId: string } & Settled)
  | { readonly kind: 'ended'; readonly execution: ExecutionRecord }
  | { readonly kind: 'not_found' };

export interface CancelRequest {
  /** Null: whoever owns it (the system itself). */
  readonly ownerId: string | null;
  readonly by: Json;
  readonly reason: string | null;
}

export const CANCEL_REQUESTED = 'cancel_requested';

const LOCK = statement('lock_execution', `SELECT ${EXECUTION_COLUMNS} FROM executions WHERE id = $1 FOR NO KEY UPDATE`);
const TO_CANCELLING = statement(
  'to_cancelling',
  `UPDATE executions SET status = 'cancelling', halt = false, reason = $2, cancel_requested_at = coalesce(cancel_requested_at, now()), updated_at = now()
   WHERE id = $1 RETURNING ${EXECUTION_COLUMNS}`,
);
const OPEN_CANCEL = statement(
  'open_cancel_command',
  `WITH known AS (SELECT id FROM commands WHERE target_id = $2 AND kind = 'cancel' ORDER BY created_at LIMIT 1),
        added AS (INSERT INTO commands (id, owner_id, target_id, kind, payload, by) SELECT $1, $3, $2, 'cancel', $4, $5 WHERE NOT EXISTS (SELECT FROM known) RETURNING id)
   SELECT id FROM known UNION ALL SELECT id FROM added`,
);
const END = statement(
  'end_execution',
  `UPDATE executions SET status = $2, output = $3, error = $4, reason = $5, usage = $6, completed_at = clock_timestamp(), updated_at = now(),
     cancel_requested_at = CASE WHEN $7::boolean THEN coalesce(cancel_requested_at, now()) ELSE cancel_requested_at END
   WHERE id = $1 RETURNING ${EXECUTION_COLUMNS}`,
);
/** What segments were fed, and who may write which turn, is of no use any more: the stream is closed to them. */
const CLOSE_STEPS = statement(
  'close_steps',
  `WITH ended AS (DELETE FROM segments WHERE execution_id = $1), fed AS (DELETE FROM segment_inputs WHERE execution_id = $1),
     calls AS (DELETE FROM turn_calls WHERE session_id = (SELECT session_id FROM executions WHERE id = $1) AND execution_id = $1)
   UPDATE steps SET status = 'cancelled', fence = fence + 1, holder = NULL, completed_at = clock_timestamp()
   WHERE execution_id = $1 AND status NOT IN ('completed', 'failed', 'cancelled', 'skipped') RETURNING *`,
);
const USAGES = statement(
  'step_usages',
  'SELECT usage FROM steps WHERE execution_id = $1 AND usage IS NOT NULL AND NOT seeded ORDER BY created_at, instance_key',
);
/** A cancel is still to reach Temporal: the workflow of a run that was cancelled ends as Canceled once it has. */
const COMMANDS_DONE = statement(
  'commands_done',
  `UPDATE commands SET delivered_at = now() WHERE target_id = $1 AND delivered_at IS NULL AND kind <> 'cancel'`,
);
const ADD_REPORT = statement(
  'add_child_report',
  `INSERT INTO commands (id, owner_id, target_id, kind, payload, by) VALUES ($1, $2, $3, 'child', $4, 'null')`,
);

/**
 * Asks an execution to cancel, in one transaction: a pending one ends at once; any other open one goes to `cancelling`, from where
 * only `cancelled` follows, and its gates close. Temporal's cancel comes after. May repeat.
 */
export function beginCancel(db: Database, executionId: string, request: CancelRequest): Promise<CancelResult> {
  return db.transaction(async (tx): Promise<CancelResult> => {
    const execution = await lockExecution(tx, executionId);
    if (execution === undefined || (request.ownerId !== null && request.ownerId !== execution.ownerId)) return { kind: 'not_found' };
    if (isEnded(execution.status)) return { kind: 'ended', execution };
    const reason = request.reason ?? CANCEL_REQUESTED;
    await lockStream(tx, executionId);
    if (execution.status === 'pending') {
      const settled = await end(tx, execution, { status: 'cancelled', output: { v: null }, error: null, reason, requested: true });
      // Its workflow may be under way all the same.
      return { kind: 'cancelled', ...settled, commandId: await openCancel(tx, execution, request) };
    }
    return toCancelling(tx, execution, request, reason);
  });
}

async function toCancelling(tx: Tx, execution: ExecutionRecord, request: CancelRequest, reason: string): Promise<CancelResult> {
  const { id } = execution;
  // Asked twice: the first reason stands.
  const [row] = await tx.rows(TO_CANCELLING, [id, execution.cancelRequestedAt === null ? reason : (execution.reason ?? reason)]);
  const commandId = await openCancel(tx, execution, request);
  await appendIn(tx, id, [
    toAppendedEvent({ kind: 'execution.cancelling', ordinal: '', at: Date.now(), instance: null, data: { reason, by: request.by } }),
  ]);
  const closedGates = await closeGates(tx, id, reason);
  if (row === undefined) throw new Error(`Execution ${id} vanished under its lock`);
  return { kind: 'cancelling', execution: executionFromRow(row), closedGates, commandId };
}

/** The one cancel command of the execution, by which Temporal is told. */
async function openCancel(tx: Tx, { id, ownerId }: ExecutionRecord, { by, reason }: CancelRequest): Promise<string> {
  const [command] = await tx.rows<{ id: string }>(OPEN_CANCEL, [newId('cmd'), id, ownerId, toJsonText({ reason }), toJsonText(by)]);
  if (command === undefined) throw new Error(`The cancel of ${id} was neither there nor inserted`);
  return command.id;
}

/**
 * Ends an execution with what its workflow says, unless the row says otherwise: it has ended already, or a cancel came first. Writes
 * the last carried events, closes gates, appends the terminal event and closes the log, in one transaction. May repeat.
 * @returns undefined when there is no such execution
 */
export async function settleExecution(
  db: Database,
  executionId: string,
  carry: Carry | null,
  outcome: ExecutionOutcome,
): Promise<Settled | undefined> {
  const ended = carry === null ? undefined : await settleAtOnce(db, executionId, carry, outcome);
  if (ended !== undefined) return { execution: ended, outcome: toOutcome(ended), won: true, closedGates: [], childReport: null };
  return await db.transaction(async (tx) => {
    const execution = await lockExecution(tx, executionId);
    if (execution === undefined) return undefined;
    if (isEnded(execution.status)) return alreadySettled(execution);
    if (carry !== null) await applyCarry(tx, executionId, carry);
    else await lockStream(tx, executionId);
    return end(tx, execution, outcomeFor(execution, outcome));
  });
}

/**
 * Closes the row of an execution whose workflow is gone, or that never came: failed with the error, or cancelled if that was under way.
 * @returns undefined when there is none; `won` false when it had ended
 */
export function closeAsTerminated(db: Database, executionId: string, error: StepError): Promise<Settled | undefined> {
  return settleExecution(db, executionId, null, { status: 'failed', output: { v: null }, error, reason: null, requested: false });
}

/** From `cancelling` only `cancelled` follows. Pure. */
export function outcomeFor(execution: Pick<ExecutionRecord, 'status' | 'reason'>, outcome: ExecutionOutcome): ExecutionOutcome {
  if (execution.status !== 'cancelling') return outcome;
  return {
    status: 'cancelled',
    output: { v: null },
    error: null,
    reason: execution.reason ?? outcome.reason ?? CANCEL_REQUESTED,
    requested: true,
  };
}

/** The caller holds the locks of execution and stream, and has seen that it is open. */
async function end(tx: Tx, execution: ExecutionRecord, outcome: ExecutionOutcome): Promise<Settled> {
  const { id } = execution;
  const closedGates = await closeGates(tx, id, outcome.reason ?? outcome.status);
  const openSteps = (await tx.rows(CLOSE_STEPS, [id])).map((row) => camelRow<Step>(row));
  const [row] = await tx.rows(END, [
    id,
    outcome.status,
    storedOutput(outcome),
    toNullableJsonText(outcome.error),
    outcome.reason,
    toJsonText(await usageOf(tx, id)),
    outcome.requested,
  ]);
  if (row === undefined) throw new Error(`Execution ${id} vanished under its lock`);
  const ended = executionFromRow(row);
  const [output = null] = await shownOfRun(tx, id, [ended.output]);
  await appendIn(tx, id, [...openSteps.map(stepCancelled), terminalEvent({ ...ended, output })]);
  await tx.rows(COMMANDS_DONE, [id]);
  return { execution: ended, outcome: toOutcome(ended), won: true, closedGates, childReport: await reportToParent(tx, ended) };
}

/** Whoever closes a child's row leaves the report; it is repeated until the parent has taken it. */
async function reportToParent(tx: Tx, child: ExecutionRecord): Promise<ChildReport | null> {
  if (child.parent === null || !child.parent.awaited) return null;
  const { status, output, error } = toOutcome(child);
  const report: ChildReport = {
    commandId: newId('cmd'),
    parentId: child.parent.executionId,
    executionId: child.id,
    outcome: { status, output, error },
  };
  await tx.rows(ADD_REPORT, [
    report.commandId,
    child.ownerId,
    report.parentId,
    toJsonText({ executionId: child.id, outcome: report.outcome }),
  ]);
  return report;
}

const alreadySettled = (execution: ExecutionRecord): Settled => ({
  execution,
  outcome: toOutcome(execution),
  won: false,
  closedGates: [],
  childReport: null,
});

async function usageOf(tx: Tx, executionId: string): Promise<TokenUsage> {
  const rows = await tx.rows<{ usage: TokenUsage }>(USAGES, [executionId]);
  return addUsage(rows.map((row) => row.usage));
}

function terminalEvent(execution: ExecutionRecord) {
  const { status, output, error, reason, usage } = execution;
  const data = { output: output === null ? null : toDisplay(output), error, reason, usage } as unknown as { readonly [key: string]: Json };
  const kind = `execution.${status}` as 'execution.completed';
  return toAppendedEvent({ kind, ordinal: '', at: Date.parse(execution.completedAt ?? execution.updatedAt), instance: null, data });
}

function stepCancelled(step: Step) {
  const instance = { stepId: step.stepId, iterationPath: step.iterationPath, attempt: step.attempt };
  return toAppendedEvent({ kind: 'step.cancelled', ordinal: 'end', at: (step.completedAt ?? new Date()).getTime(), instance, data: {} });
}

async function lockExecution(tx: Tx, executionId: string): Promise<ExecutionRecord | undefined> {
  const [row] = await tx.rows(LOCK, [executionId]);
  return row === undefined ? undefined : executionFromRow(row);
}
