import type { Approval, Vote } from '../generated/prisma/client.js';
import type { Value } from '../definition/value.js';
import type { GateStatus } from '../engine/types.js';
import type { Tx } from './database.js';
import { appendIn } from './event-log.js';
import { toGateEndData, toGateRecord, type GateRecord, type PersonRef } from './gate-record.js';
import { toJsonText, toNullableJsonText } from './json-text.js';
import { toAppendedEvent, type AppendedEvent } from './log-event.js';
import { camelRow, statement, type Queryable } from './statement.js';

const VOTES = statement('votes_of', 'SELECT * FROM votes WHERE approval_id = ANY($1) ORDER BY at, id');
/** What there is to show of these gates has changed, and nobody needs reminding any more. */
const OF_ENDED = `rewritten AS (
     UPDATE gate_posts p SET wanted = p.wanted + 1, due_at = coalesce(CASE WHEN p.failures > 0 THEN p.due_at END, clock_timestamp())
     FROM ended WHERE p.approval_id = ended.id AND p.target LIKE 'slack:%'),
   dropped AS (DELETE FROM gate_nudges n USING ended WHERE n.approval_id = ended.id)
   SELECT * FROM ended`;
const SETTLE = statement(
  'settle_gate',
  `WITH ended AS (
     UPDATE approvals SET status = $2, decided_by = $3, decided_at = coalesce($6, clock_timestamp()), settled_at = coalesce($6, clock_timestamp()),
       reason = $4, answer = $5
     WHERE id = $1 AND status = 'pending' RETURNING *),
   ${OF_ENDED}`,
);
const CLOSE_ALL = statement(
  'close_gates',
  `WITH ended AS (
     UPDATE approvals SET status = 'cancelled', decided_at = clock_timestamp(), settled_at = clock_timestamp(), reason = $2, delivered_at = clock_timestamp()
     WHERE id IN (SELECT id FROM approvals WHERE execution_id = $1 AND status = 'pending' ORDER BY id FOR NO KEY UPDATE) RETURNING *),
   ${OF_ENDED}`,
);
const LOCK_STREAM = statement('lock_stream', 'SELECT id FROM streams WHERE id = $1 FOR NO KEY UPDATE');

/** Takes the stream's lock, which every writer of the gates, steps and events under it holds. */
export async function lockStream(tx: Tx, streamId: string): Promise<void> {
  await tx.rows(LOCK_STREAM, [streamId]);
}

/** Rows of gates with their votes. */
export async function withVotes(db: Queryable, rows: readonly object[]): Promise<GateRecord[]> {
  if (rows.length === 0) return [];
  const gates = rows.map((row) => camelRow<Approval>(row));
  const votes = (await db.rows(VOTES, [gates.map((gate) => gate.id)])).map((row) => camelRow<Vote>(row));
  return gates.map((gate) =>
    toGateRecord(
      gate,
      votes.filter((vote) => vote.approvalId === gate.id),
    ),
  );
}

/**
 * Votes beside each gate `a` of a SELECT. Where no lock is held, gate and votes have to be of one moment: else a gate that a vote settles just
 * then looks pending and voted on.
 */
export const VOTES_COLUMN = `coalesce((SELECT json_agg(v ORDER BY v.at, v.id) FROM votes v WHERE v.approval_id = a.id), '[]'::json) AS votes`;

/** Rows of gates that were selected with VOTES_COLUMN. */
export function toGatesWithVotes(rows: readonly object[]): GateRecord[] {
  return rows.map((row) => {
    const gate = camelRow<Approval & { readonly votes: readonly (object & { readonly at: string })[] }>(row);
    return toGateRecord(
      gate,
      gate.votes.map((vote) => ({ ...camelRow<Vote>(vote), at: new Date(vote.at) })),
    );
  });
}

export interface GateEnd {
  readonly status: Exclude<GateStatus, 'pending'>;
  readonly decidedBy: readonly PersonRef[];
  readonly reason: string | null;
  readonly answer: Value | null;
  /** PostgreSQL's time at which it was found to be in time; absent: now. */
  readonly at?: Date;
}

/**
 * Moves a pending gate to its end, with the event, behind what else there is to tell of it. Undefined when it has ended already. The caller
 * holds the stream's lock. It answers with the votes that `gate` has.
 */
export async function settleGate(
  tx: Tx,
  gate: GateRecord,
  end: GateEnd,
  before: readonly AppendedEvent[] = [],
): Promise<GateRecord | undefined> {
  const [row] = await tx.rows(SETTLE, [
    gate.id,
    end.status,
    toJsonText(end.decidedBy),
    end.reason,
    toNullableJsonText(end.answer),
    end.at ?? null,
  ]);
  if (row === undefined) return undefined;
  const settled = { ...toGateRecord(camelRow<Approval>(row), []), votes: gate.votes };
  await appendIn(tx, gate.executionId ?? gate.sessionId, [...before, gateEndEvent(settled)]);
  return settled;
}

/** Closes what is open of an execution's gates, with events. The caller holds the stream's lock. */
export async function closeGates(tx: Tx, executionId: string, reason: string): Promise<GateRecord[]> {
  const closed = await withVotes(tx, await tx.rows(CLOSE_ALL, [executionId, reason]));
  if (closed.length > 0) await appendIn(tx, executionId, closed.map(gateEndEvent));
  return closed;
}

function gateEndEvent(gate: GateRecord): AppendedEvent {
  return gateEvent(
    gate,
    `approval.${gate.status}` as 'approval.approved',
    gate.id,
    toGateEndData(gate),
    Date.parse(gate.settledAt ?? gate.createdAt),
  );
}

/** An event about a gate, at its step instance. Pure. */
export function gateEvent(
  gate: GateRecord,
  kind: 'approval.required' | 'approval.voted' | 'approval.approved' | 'approval.reminded' | 'approval.escalated',
  ordinal: string,
  data: Parameters<typeof toAppendedEvent>[0]['data'],
  at: number,
): AppendedEvent {
  const instance =
    gate.stepId === null ? null : { stepId: gate.stepId, iterationPath: gate.iterationPath ?? '', attempt: gate.attempt ?? 1 };
  return toAppendedEvent({ kind, ordinal, at, instance, data });
}
