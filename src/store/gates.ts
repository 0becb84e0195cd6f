import { toDisplay } from '../definition/value-parts.js';
import type { Json, Value } from '../definition/value.js';
import type { Carry, StepInstance } from '../engine/types.js';
import type { Database, Tx } from './database.js';
import { appendIn } from './event-log.js';
import { isEnded } from './execution-record.js';
import type { GateRecord, HeldCall, PersonRef, Via } from './gate-record.js';
import { decidersOf, hasVoted, votesSettle, type Decision } from './gate-rules.js';
import { insertNudges, type NudgePlan } from './gate-nudges.js';
import { insertPosts, postsChanged } from './gate-posts.js';
import { gateEvent, lockStream, settleGate, toGatesWithVotes, VOTES_COLUMN, withVotes } from './gate-writes.js';
import { newId, instanceKey, keyOf } from './ids.js';
import { toNullableJsonText, toStorableText } from './json-text.js';
import { toAppendedEvents } from './log-event.js';
import { applyCarry } from './projection.js';
import { statement } from './statement.js';
import { getUser, type UserRecord } from './users.js';

export interface NewGate {
  readonly ownerId: string;
  /** Null: a held call of a conversation. */
  readonly executionId: string | null;
  readonly sessionId: string;
  readonly workflowName: string | null;
  /** The approval step, or the agent step whose call is held. */
  readonly instance: StepInstance | null;
  readonly toolCall?: HeldCall;
  /** What tells the call from others of its session or step, where its id alone does not. */
  readonly callKey?: string;
  readonly prompt: string | null;
  /** Null: the owner's team. An empty list names nobody. */
  readonly approvers: readonly string[] | null;
  readonly quorum: number;
  readonly form?: Json;
  /** Milliseconds; null: none. */
  readonly deadlineAt: number | null;
  readonly carry: Carry | null;
  /** Milliseconds: when the step starts. */
  readonly at: number;
  /** The approval step's resolved input, for its row and `step.started`; absent for held calls, whose step has begun. */
  readonly step?: { readonly input: Value };
  /** Who is told of it (`slack:<channel>`, `webhook:<url>`, `chat`, `orchestrator`), now and when it reminds and escalates. */
  readonly notice?: NudgePlan & { readonly targets: readonly string[] };
}

/** `closed`: the execution is being cancelled or has ended; gates do not open in clean-up. */
export type OpenedGate = { readonly kind: 'gate'; readonly gate: GateRecord; readonly opened: boolean } | { readonly kind: 'closed' };

const STATUS = statement('execution_status', 'SELECT status FROM executions WHERE id = $1 FOR NO KEY UPDATE');
const INSERT = statement(
  'insert_gate',
  `INSERT INTO approvals (id, owner_id, execution_id, session_id, gate_key, workflow_name, step_id, iteration_path, attempt, tool_call, prompt, status,
     open_to_team, approvers, quorum, form, decided_by, deadline, escalated_to)
   VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, 'pending', $12, $13, $14, $15, '[]', $16, '{}') ON CONFLICT (gate_key) DO NOTHING RETURNING *`,
);
const BY_KEY = statement('gate_by_key', 'SELECT * FROM approvals WHERE gate_key = $1');
const BY_ID = statement('gate_by_id', 'SELECT * FROM approvals WHERE id = $1');
const ALONE = statement('gate_with_votes', `SELECT a.*, ${VOTES_COLUMN} FROM approvals a WHERE a.id = $1`);
const LOCK_STREAM_OF = statement(
  'lock_stream_of_gate',
  `SELECT a.execution_id FROM approvals a JOIN streams s ON s.id = coalesce(a.execution_id, a.session_id) WHERE a.id = $1 FOR NO KEY UPDATE OF s`,
);
const LOCK = statement('lock_gate', 'SELECT * FROM approvals WHERE id = $1 FOR NO KEY UPDATE');
const CLOCK = statement('clock', 'SELECT clock_timestamp() AS now');
const VOTE = statement(
  'insert_vote',
  'INSERT INTO votes (id, approval_id, owner_id, by_id, by_name, via, decision, reason, answer, at) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)',
);
const DELIVERED = statement(
  'gate_delivered',
  "UPDATE approvals SET delivered_at = now() WHERE id = ANY($1) AND delivered_at IS NULL AND status <> 'pending'",
);

/** Opens a gate once for its step instance (and held call) and answers with its row. May repeat. */
export function openGate(db: Database, gate: NewGate): Promise<OpenedGate> {
  return db.transaction(async (tx): Promise<OpenedGate> => {
    const streamId = gate.executionId ?? gate.sessionId;
    // The execution's row first: that is the order of locks.
    const refuses = gate.executionId !== null && (await refusesGates(tx, gate.executionId));
    if (gate.executionId !== null && gate.carry !== null) await applyCarry(tx, gate.executionId, gate.carry);
    await lockStream(tx, streamId);
    const key = keyOf(streamId, gate.instance === null ? '' : instanceKey(gate.instance), gate.callKey ?? gate.toolCall?.callId ?? '');
    const [known] = await withVotes(tx, await tx.rows(BY_KEY, [key]));
    if (known !== undefined) return { kind: 'gate', gate: known, opened: false };
    if (refuses) return { kind: 'closed' };
    const [opened] = await withVotes(tx, await insert(tx, gate, key));
    if (opened === undefined) throw new Error(`Gate ${key} was not inserted under its lock`);
    await appendIn(tx, streamId, openingEvents(gate, opened));
    if (gate.notice !== undefined) await orderNotice(tx, opened, gate.notice);
    return { kind: 'gate', gate: opened, opened: true };
  });
}

async function refusesGates(tx: Tx, executionId: string): Promise<boolean> {
  const [row] = await tx.rows<{ status: string }>(STATUS, [executionId]);
  return row === undefined || row.status === 'cancelling' || isEnded(row.status);
}

function insert(tx: Tx, gate: NewGate, key: string): Promise<object[]> {
  const { instance } = gate;
  return tx.rows(INSERT, [
    newId('apr'),
    gate.ownerId,
    gate.executionId,
    gate.sessionId,
    key,
    gate.workflowName,
    instance?.stepId ?? null,
    instance?.iterationPath ?? null,
    instance?.attempt ?? null,
    toNullableJsonText(gate.toolCall),
    gate.prompt === null ? null : toStorableText(gate.prompt),
    gate.approvers === null,
    (gate.approvers ?? []).map(toStorableText),
    gate.quorum,
    toNullableJsonText(gate.form),
    gate.deadlineAt === null ? null : new Date(gate.deadlineAt),
  ]);
}

async function orderNotice(tx: Tx, { id, ownerId }: GateRecord, notice: NonNullable<NewGate['notice']>): Promise<void> {
  await insertPosts(tx, { approvalId: id, ownerId, cause: 'required', nth: 0, targets: notice.targets });
  await insertNudges(tx, { id, ownerId }, notice);
}

function openingEvents(gate: NewGate, opened: GateRecord) {
  const { prompt, approvers, quorum, deadline, form, toolCall } = opened;
  const required = gateEvent(
    opened,
    'approval.required',
    opened.id,
    {
      approvalId: opened.id,
      prompt,
      approvers,
      quorum,
      deadline,
      form,
      toolCall: toolCall as unknown as Json,
    },
    gate.at,
  );
  if (gate.instance === null || gate.step === undefined) return [required];
  const {
    instance,
    at,
    step: { input },
  } = gate;
  const [started, waiting] = toAppendedEvents([
    { kind: 'step.started', ordinal: '0', at, instance, stepType: 'approval', data: { input: toDisplay(input) }, record: { input } },
    { kind: 'step.waiting', ordinal: '0', at, instance, stepType: 'approval', data: { for: 'approval', approvalId: opened.id, deadline } },
  ]);
  return [started, required, waiting].filter((event) => event !== undefined);
}

/** What the rules are told of a gate, under its lock. */
export interface GateView {
  readonly gate: GateRecord;
  readonly owner: UserRecord | undefined;
}

export interface GateDecision<Refusal> {
  readonly approvalId: string;
  /** The execution that a signal came to: a gate of another is not found. */
  readonly executionId?: string;
  readonly voter: PersonRef;
  readonly via: Via;
  readonly decision: Decision;
  readonly reason: string | null;
  readonly answer: Value | null;
  /** The caller's rules: visible, settled, approver, already voted, answer, in api.md's order. Undefined lets the vote count. */
  readonly refuse: (view: GateView) => Refusal | undefined;
  /** Writes down that the vote counted, in its transaction: either both are there or neither. */
  readonly note?: (tx: Tx, gate: GateRecord) => Promise<void>;
}

/** `voted`: `settled` tells whether the gate ended by it. `refused`: nothing was recorded, except that an overdue gate is now expired. */
export type DecisionResult<Refusal> =
  | { readonly kind: 'voted'; readonly gate: GateRecord; readonly settled: boolean }
  | { readonly kind: 'refused'; readonly refusal: Refusal; readonly gate: GateRecord }
  | { readonly kind: 'not_found' };

/**
 * One vote, one transaction on the gate's row, so that exactly one outcome exists. At or after the deadline, by PostgreSQL's clock,
 * the gate expires instead, whoever comes.
 */
export function decideGate<Refusal>(db: Database, request: GateDecision<Refusal>): Promise<DecisionResult<Refusal>> {
  return db.transaction(async (tx): Promise<DecisionResult<Refusal>> => {
    const [found] = await tx.rows<{ execution_id: string | null }>(LOCK_STREAM_OF, [request.approvalId]);
    if (found === undefined || (request.executionId !== undefined && found.execution_id !== request.executionId))
      return { kind: 'not_found' };
    const { gate, now } = await lockCurrent(tx, request.approvalId);
    const refusal = request.refuse({ gate, owner: await getUser(tx, gate.ownerId) });
    if (refusal !== undefined) return { kind: 'refused', refusal, gate };
    if (gate.status !== 'pending' || hasVoted(gate, request.voter.id))
      throw new Error(`Gate ${gate.id}: the rules let a vote through that cannot count`);
    const voted = await vote(tx, gate, request, now);
    await request.note?.(tx, voted.gate);
    return voted;
  });
}

/** The gate under its lock, expired if it is overdue; and the time of this, by which the vote is dated. */
async function lockCurrent(tx: Tx, approvalId: string): Promise<{ readonly gate: GateRecord; readonly now: Date }> {
  const [gate] = await withVotes(tx, await tx.rows(LOCK, [approvalId]));
  // Asked after the lock: it may have been waited for.
  const [clock] = await tx.rows<{ now: Date }>(CLOCK, []);
  if (gate === undefined || clock === undefined) throw new Error(`Gate ${approvalId} vanished under its lock`);
  const { now } = clock;
  const isOverdue = gate.status === 'pending' && gate.deadline !== null && now.getTime() >= Date.parse(gate.deadline);
  if (!isOverdue) return { gate, now };
  return { gate: (await settleGate(tx, gate, { status: 'expired', decidedBy: [], reason: null, answer: null, at: now })) ?? gate, now };
}

async function vote(tx: Tx, gate: GateRecord, request: GateDecision<unknown>, now: Date) {
  const { voter, via, decision, answer } = request;
  const id = newId('vot');
  const reason = request.reason === null ? null : toStorableText(request.reason);
  await tx.rows(VOTE, [
    id,
    gate.id,
    gate.ownerId,
    voter.id,
    toStorableText(voter.name),
    via,
    decision,
    reason,
    toNullableJsonText(answer),
    now,
  ]);
  const by = { id: voter.id, name: toStorableText(voter.name) };
  const voted = { ...gate, votes: [...gate.votes, { id, by, via, decision, reason, at: now.toISOString() }] };
  const told = gateEvent(gate, 'approval.voted', id, { approvalId: gate.id, by, via, decision, reason }, now.getTime());
  const outcome = votesSettle(gate.quorum, voted.votes);
  if (outcome === undefined) {
    await appendIn(tx, gate.executionId ?? gate.sessionId, [told]);
    await postsChanged(tx, gate.id);
    return { kind: 'voted' as const, gate: voted, settled: false };
  }
  const end = { status: outcome, decidedBy: decidersOf(outcome, voted.votes), reason, answer, at: now };
  const settled = await settleGate(tx, voted, end, [told]);
  if (settled === undefined) throw new Error(`Gate ${gate.id} was settled under its lock`);
  return { kind: 'voted' as const, gate: settled, settled: true };
}

async function reread(tx: Tx, approvalId: string): Promise<GateRecord> {
  const [gate] = await withVotes(tx, await tx.rows(BY_ID, [approvalId]));
  if (gate === undefined) throw new Error(`Gate ${approvalId} vanished under its lock`);
  return gate;
}

export interface CloseGate {
  readonly approvalId: string;
  readonly to: 'expired' | 'cancelled';
  readonly carry?: Carry | null;
  readonly reason?: string;
}

/** Ends a pending gate without a decision, asking no clock, and answers with its row as it then is. Undefined: no such gate. May repeat. */
export function closeGate(db: Database, { approvalId, to, carry, reason }: CloseGate): Promise<GateRecord | undefined> {
  return db.transaction(async (tx) => {
    const [found] = await withVotes(tx, await tx.rows(BY_ID, [approvalId]));
    if (found === undefined) return undefined;
    if (found.executionId !== null && carry) await applyCarry(tx, found.executionId, carry);
    await lockStream(tx, found.executionId ?? found.sessionId);
    await settleGate(tx, found, { status: to, decidedBy: [], reason: reason ?? null, answer: null });
    // What brings a carry is the workflow itself: it is told by this answer.
    if (carry) await tx.rows(DELIVERED, [[approvalId]]);
    return reread(tx, approvalId);
  });
}

/** A gate by its id, whoever's: callers check who may see it. */
export async function getGate(db: Database, approvalId: string): Promise<GateRecord | undefined> {
  const [gate] = toGatesWithVotes(await db.rows(ALONE, [approvalId]));
  return gate;
}

/** Notes that the workflow knows of these settled gates, so that the reconciler need not tell it. */
export async function markGatesDelivered(db: Database, approvalIds: readonly string[]): Promise<void> {
  await db.rows(DELIVERED, [[...approvalIds]]);
}
