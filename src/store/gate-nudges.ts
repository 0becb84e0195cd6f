/** What a pending gate does by itself before its deadline: it reminds, and it escalates. Rows, so that it needs no worker and no memory. */
import type { GateNudge } from '../generated/prisma/client.js';
import type { Database, Tx } from './database.js';
import { appendIn } from './event-log.js';
import type { GateRecord } from './gate-record.js';
import { insertPosts, postsChanged, targetsOf } from './gate-posts.js';
import { gateEvent, lockStream, withVotes } from './gate-writes.js';
import { toStorableText } from './json-text.js';
import { camelRow, statement } from './statement.js';

const INSERT = statement(
  'insert_gate_nudges',
  `INSERT INTO gate_nudges (approval_id, ordinal, owner_id, kind, "to", due_at)
   SELECT $1, ordinal, $2, kind, CASE kind WHEN 'escalate' THEN $6::text[] ELSE '{}' END, due_at
   FROM unnest($3::integer[], $4::text[], $5::timestamptz[]) AS n(ordinal, kind, due_at)
   ON CONFLICT (approval_id, ordinal) DO NOTHING`,
);
const DUE = statement(
  'due_gate_nudges',
  `SELECT DISTINCT approval_id AS id FROM (
     SELECT approval_id FROM gate_nudges WHERE due_at <= clock_timestamp() ORDER BY due_at, approval_id LIMIT $1) AS due`,
);
const FIND = statement('gate_of_nudge', 'SELECT coalesce(execution_id, session_id) AS "streamId" FROM approvals WHERE id = $1');
const LOCK = statement('lock_nudged_gate', 'SELECT * FROM approvals WHERE id = $1 FOR NO KEY UPDATE');
const CLOCK = statement('clock', 'SELECT clock_timestamp() AS now');
const TAKE = statement('take_gate_nudges', 'DELETE FROM gate_nudges WHERE approval_id = $1 AND due_at <= $2 RETURNING *');
const ESCALATE = statement('escalate_gate', 'UPDATE approvals SET escalated_to = $2 WHERE id = $1 RETURNING *');

/** When a gate reminds and escalates; instants in ms. */
export interface NudgePlan {
  readonly remindAt: readonly number[];
  readonly escalate?: { readonly at: number; readonly to: readonly string[] };
}

/** Orders a gate's nudges as it opens. May repeat. */
export async function insertNudges(tx: Tx, gate: Pick<GateRecord, 'id' | 'ownerId'>, plan: NudgePlan): Promise<void> {
  const { escalate } = plan;
  const reminders = plan.remindAt.toSorted((a, b) => a - b).map((at, index) => ({ ordinal: index + 1, kind: 'remind', at }));
  const all = escalate === undefined ? reminders : [{ ordinal: 0, kind: 'escalate', at: escalate.at }, ...reminders];
  if (all.length === 0) return;
  await tx.rows(INSERT, [
    gate.id,
    gate.ownerId,
    all.map(({ ordinal }) => ordinal),
    all.map(({ kind }) => kind),
    all.map(({ at }) => new Date(at)),
    (escalate?.to ?? []).map(toStorableText),
  ]);
}

/** Ids of gates with a nudge due, each once. */
export async function gatesToNudge(db: Database, limit: number): Promise<readonly string[]> {
  return (await db.rows<{ id: string }>(DUE, [limit])).map(({ id }) => id);
}

export interface Nudged {
  readonly gate: GateRecord;
  /** Number of the reminder, from 1. */
  readonly reminded?: number;
  readonly escalatedTo?: readonly string[];
}

/**
 * Carries out what is due of one gate: its events, its new deciders, and the tellings. Of reminders that fell due while nobody looked only
 * the last is made. Undefined: nothing was due, or it is no longer pending. May be tried anywhere, any number of times, at once.
 */
export function nudgeGate(db: Database, approvalId: string): Promise<Nudged | undefined> {
  return db.transaction(async (tx) => {
    const [found] = await tx.rows<{ streamId: string }>(FIND, [approvalId]);
    if (found === undefined) return undefined;
    await lockStream(tx, found.streamId);
    const [locked] = await withVotes(tx, await tx.rows(LOCK, [approvalId]));
    // Asked after the lock, which may have been waited for. What is said is dated by it.
    const [clock] = await tx.rows<{ now: Date }>(CLOCK, []);
    if (locked === undefined || clock === undefined) return undefined;
    const due = (await tx.rows(TAKE, [approvalId, clock.now])).map((taken) => camelRow<GateNudge>(taken));
    const nowMs = clock.now.getTime();
    if (due.length === 0 || !isOpenAt(locked, nowMs)) return undefined;
    return await carryOut({ tx, targets: await targetsOf(tx, approvalId), nowMs }, locked, due);
  });
}

/** At its deadline a gate expires, whoever comes first to say so: it is nudged no more. */
const isOpenAt = ({ status, deadline }: GateRecord, nowMs: number): boolean =>
  status === 'pending' && (deadline === null || nowMs < Date.parse(deadline));

interface Nudging {
  readonly tx: Tx;
  readonly targets: readonly string[];
  readonly nowMs: number;
}

async function carryOut(nudging: Nudging, gate: GateRecord, due: readonly GateNudge[]): Promise<Nudged> {
  const escalation = due.find(({ kind }) => kind === 'escalate');
  const reminder = due.filter(({ kind }) => kind === 'remind').toSorted((a, b) => b.ordinal - a.ordinal)[0];
  const isFirst = reminder !== undefined && (escalation === undefined || reminder.dueAt <= escalation.dueAt);
  if (isFirst) await remind(nudging, gate, reminder.ordinal);
  const escalated = escalation === undefined ? gate : await escalate(nudging, gate, escalation.to);
  if (reminder !== undefined && !isFirst) await remind(nudging, escalated, reminder.ordinal);
  return {
    gate: escalated,
    ...(reminder === undefined ? {} : { reminded: reminder.ordinal }),
    ...(escalation === undefined ? {} : { escalatedTo: escalation.to }),
  };
}

async function remind({ tx, targets, nowMs }: Nudging, gate: GateRecord, nth: number): Promise<void> {
  const data = { approvalId: gate.id, reminder: nth, deadline: gate.deadline };
  await appendIn(tx, streamOf(gate), [gateEvent(gate, 'approval.reminded', `${gate.id}/${nth}`, data, nowMs)]);
  await insertPosts(tx, { approvalId: gate.id, ownerId: gate.ownerId, cause: 'reminded', nth, targets });
}

/** Those who could decide before still may. */
async function escalate({ tx, targets, nowMs }: Nudging, gate: GateRecord, to: readonly string[]): Promise<GateRecord> {
  const all = [...new Set([...gate.escalatedTo, ...to])];
  const [escalated] = await withVotes(tx, await tx.rows(ESCALATE, [gate.id, all]));
  if (escalated === undefined) throw new Error(`Gate ${gate.id} vanished under its lock`);
  const data = { approvalId: gate.id, to: [...to], deadline: gate.deadline };
  await appendIn(tx, streamOf(gate), [gateEvent(gate, 'approval.escalated', `${gate.id}/escalated`, data, nowMs)]);
  await postsChanged(tx, gate.id);
  await insertPosts(tx, { approvalId: gate.id, ownerId: gate.ownerId, cause: 'escalated', nth: 0, targets });
  return escalated;
}

const streamOf = (gate: GateRecord): string => gate.executionId ?? gate.sessionId;
