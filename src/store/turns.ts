/**
 * Turns as rows: opened once, extended, finalised once. Who claimed a model call last may write its turns (durability §3); whatever an
 * earlier try writes later changes nothing, and tells it so. Every change that readers must see is an event of the session.
 */
import type { Message } from '../generated/prisma/client.js';
import { notFound } from '../errors.js';
import type { Database, Tx } from './database.js';
import { appendIn } from './event-log.js';
import { lockStream } from './gate-writes.js';
import { instanceKey, keyOf } from './ids.js';
import { toJsonText, toNullableJsonText } from './json-text.js';
import type { AppendedEvent } from './log-event.js';
import { checkedParts, insertMessage, messageEvent, messageFromRow, nextSeq, type MessagePart, type MessageRecord } from './messages.js';
import type { StepInstance } from '../engine/types.js';
import { camelRow, statement } from './statement.js';
import {
  estimatedUsage,
  finishedParts,
  type PartError,
  type ToolCallPart,
  type ToolReply,
  type TurnEnd,
  type TurnHead,
  type TurnPart,
  type TurnPlace,
  type TurnRecord,
  type TurnReplay,
  type TurnUsage,
} from './turn-record.js';

const CLAIM = statement(
  'claim_turn_call',
  `INSERT INTO turn_calls AS t (session_id, call, owner_id, execution_id) VALUES ($1, $2, $3, $4)
   ON CONFLICT (session_id, call) DO UPDATE SET fence = t.fence + 1 RETURNING fence`,
);
const FENCE = statement('turn_call_fence', 'SELECT fence FROM turn_calls WHERE session_id = $1 AND call = $2');
const FORGET_CALLS = statement('forget_turn_calls', 'DELETE FROM turn_calls WHERE session_id = $1 AND execution_id IS NULL');
const OF_CALL = statement('turns_of_call', 'SELECT * FROM messages WHERE session_id = $1 AND turn_call = $2 ORDER BY seq');
const BY_TURN = statement('message_by_turn', 'SELECT * FROM messages WHERE turn_id = $1');
const SESSION_OF = statement('session_of_turn', 'SELECT session_id AS "sessionId" FROM messages WHERE turn_id = $1');
const CHECKPOINT = statement(
  'checkpoint_turn',
  `UPDATE messages SET parts = $2, turn = $3, updated_at = now()
   WHERE turn_id = $1 AND turn_open AND replay IS NULL RETURNING id`,
);
const UPDATE = statement(
  'update_turn',
  'UPDATE messages SET parts = $2, turn = $3, turn_open = $4, replay = $5, updated_at = now() WHERE turn_id = $1 RETURNING *',
);
const OPEN_OF_STEP = statement(
  'open_turns_of_step',
  `SELECT session_id AS "sessionId", turn_id AS "turnId" FROM messages WHERE turn_open AND execution_id = $1
     AND ($2::text IS NULL OR (step_id = $2 AND iteration_path = $3 AND attempt = $4)) ORDER BY session_id, seq`,
);
const OPEN_OF_SESSION = statement(
  'open_turns_of_session',
  `SELECT session_id AS "sessionId", turn_id AS "turnId" FROM messages WHERE turn_open AND session_id = $1 AND execution_id IS NULL ORDER BY seq`,
);

const ERROR_OF_REPLY = statement(
  'error_of_reply',
  "SELECT id FROM messages WHERE session_id = $1 AND reply_to = $2 AND turn->>'status' = 'error' LIMIT 1",
);

/** A model call as its latest try has it. A higher fence ends the rights of the lower ones. */
export interface TurnClaim {
  readonly place: TurnPlace;
  readonly fence: number;
}

/** `done`: the call has ended before (kept, or waiting for its tools). `earlier`: the tries that were given up. */
export interface CallSoFar {
  readonly claim: TurnClaim;
  readonly done: TurnRecord | null;
  readonly earlier: readonly TurnRecord[];
}

/** `ended`: finalised before, or the try has lost its rights: nothing was written. */
export type TurnWrite =
  | {
      readonly kind: 'written';
      readonly turn: TurnRecord;
      /** Opened without its back-pointers: that execution is not the owner's. */
      readonly strayed?: boolean;
    }
  | { readonly kind: 'ended' };

/** Claims a model call; what an earlier try of it left streaming is given up. @throws AppError not_found: the owner has no such session */
export function claimTurns(db: Database, place: TurnPlace): Promise<CallSoFar> {
  const call = callKey(place);
  return db.transaction(async (tx) => {
    if ((await nextSeq(tx, place)) === undefined) throw notFound('session', place.sessionId);
    const [claimed] = await tx.rows<{ fence: number }>(CLAIM, [place.sessionId, call, place.ownerId, place.of?.executionId ?? null]);
    const turns: TurnRecord[] = [];
    for (const row of await tx.rows(OF_CALL, [place.sessionId, call])) turns.push(await giveUp(tx, row));
    // What still streams here has replay: it waits for its tools.
    const done = turns.findLast((turn) => turn.status === 'end_turn' || turn.status === 'streaming') ?? null;
    return { claim: { place, fence: claimed?.fence ?? 1 }, done, earlier: turns.filter((turn) => turn !== done) };
  });
}

const SUPERSEDED = { status: 'canceled', reason: 'superseded' } as const;

/** A turn whose model call was cut off is finalised; one that has ended, or whose tools may still run, stays as it is. */
async function giveUp(tx: Tx, row: object): Promise<TurnRecord> {
  const { turnOpen, replay } = camelRow<Message>(row);
  if (!turnOpen || replay !== null) return turnFromRow(row);
  const { record } = await finishIn(tx, row, SUPERSEDED);
  return record;
}

/** Nobody writes a turn of the conversation any more: its replies so far have ended. Those of runs go with their run. */
export async function forgetTurnCalls(db: Database, sessionId: string): Promise<void> {
  await db.rows(FORGET_CALLS, [sessionId]);
}

export interface OpenTurn {
  readonly claim: TurnClaim;
  readonly turnId: string;
  readonly model: string;
  readonly usage: TurnUsage | null;
  readonly parts: readonly TurnPart[];
}

/** Opens a turn with what it has so far. A second time changes nothing; a try that has lost its rights opens nothing. */
export function openTurn(db: Database, { claim, turnId, model, usage, parts }: OpenTurn): Promise<TurnWrite> {
  const { place } = claim;
  const call = callKey(place);
  return db.transaction(async (tx): Promise<TurnWrite> => {
    const seq = await nextSeq(tx, place);
    if (seq === undefined) throw notFound('session', place.sessionId);
    const [known] = await tx.rows(BY_TURN, [turnId]);
    if (known !== undefined) return camelRow<Message>(known).turnOpen ? { kind: 'written', turn: turnFromRow(known) } : { kind: 'ended' };
    if (!(await mayWrite(tx, claim))) return { kind: 'ended' };
    const earlier = await tx.rows(OF_CALL, [place.sessionId, call]);
    for (const row of earlier) await giveUp(tx, row);
    const head: TurnHead = { id: turnId, status: 'streaming', attempt: earlier.length + 1, model, usage };
    // A given-up turn has taken numbers of the session.
    const at = (await nextSeq(tx, place)) ?? seq;
    const row = await insertMessage(tx, newMessage(place, head, parts), at, { id: turnId, call, replyTo: place.replyTo ?? null });
    const turn = turnFromRow(row);
    const message = messageFromRow(row);
    const now = Date.parse(message.createdAt);
    await appendIn(tx, place.sessionId, [
      messageEvent('message.created', message, message.id, now),
      messageEvent('turn.started', message, turnId, now, { turn: shownTurn(turn, message) }),
    ]);
    return { kind: 'written', turn, strayed: place.of !== null && message.executionId === null };
  });
}

function newMessage(place: TurnPlace, turn: TurnHead, parts: readonly TurnPart[]) {
  const { ownerId, sessionId, author, thread, of } = place;
  return {
    ownerId,
    sessionId,
    role: 'assistant' as const,
    author,
    thread,
    parts: parts as unknown as readonly MessagePart[],
    turn: { ...turn, usage: turn.usage as never },
    ...(of === null ? {} : { of }),
  };
}

async function mayWrite(tx: Tx, { place, fence }: TurnClaim): Promise<boolean> {
  const [row] = await tx.rows<{ fence: number }>(FENCE, [place.sessionId, callKey(place)]);
  return row?.fence === fence;
}

/** What an open turn has so far, for late joiners: no event. False: it has ended, and whoever writes it should stop. */
export async function checkpointTurn(db: Database, turn: TurnHead, parts: readonly TurnPart[]): Promise<boolean> {
  const rows = await db.rows(CHECKPOINT, [turn.id, partsText(parts), toJsonText(headOf(turn))]);
  return rows.length > 0;
}

/** A new tool call stands among the parts: written, and told. */
export function extendTurn(db: Database, turn: TurnHead, parts: readonly TurnPart[], ordinal: string): Promise<TurnWrite> {
  return change(db, turn.id, async (tx, row) => {
    if (camelRow<Message>(row).replay !== null) return undefined;
    return [await told(tx, { ...turn, status: 'streaming' }, parts, null, ordinal)];
  });
}

/** The model call has ended and its tool calls are to run: the turn stays open for their results. */
export function awaitTools(
  db: Database,
  turn: TurnHead,
  parts: readonly TurnPart[],
  replay: Omit<TurnReplay, 'results'>,
): Promise<TurnWrite> {
  return change(db, turn.id, async (tx, row) => {
    if (camelRow<Message>(row).replay !== null) return undefined;
    return [await told(tx, { ...turn, status: 'streaming' }, parts, { ...replay, results: {} }, 'tools')];
  });
}

export type ToolProgress =
  | { readonly status: 'running' }
  | { readonly status: 'completed'; readonly result: MessagePart[string]; readonly reply: ToolReply }
  | { readonly status: 'error'; readonly error: PartError; readonly reply: ToolReply };

const RANK = { pending: 0, running: 1, completed: 2, error: 2 } as const;

/** A tool call goes on, never back. The last one to end finalises a turn that has waited for them. Unknown turns and calls change nothing. */
export function progressTool(db: Database, turnId: string, callId: string, to: ToolProgress): Promise<TurnWrite> {
  return change(db, turnId, async (tx, row) => {
    const turn = turnFromRow(row);
    const call = turn.parts.find((part): part is ToolCallPart => part.type === 'tool-call' && part.callId === callId);
    if (call === undefined || RANK[to.status] <= RANK[call.status]) return undefined;
    const { reply: _reply, ...shown } = to as ToolProgress & { readonly reply?: ToolReply };
    const parts = turn.parts.map((part) => (part === call ? { ...call, ...shown } : part));
    const replay =
      turn.replay === null || to.status === 'running'
        ? turn.replay
        : { ...turn.replay, results: { ...turn.replay.results, [callId]: to.reply } };
    const events = [await told(tx, turn, parts, replay, `${callId}:${to.status}`)];
    const isLast = replay !== null && parts.every((part) => part.type !== 'tool-call' || RANK[part.status] === 2);
    if (!isLast) return events;
    const [changed] = await tx.rows(BY_TURN, [turnId]);
    if (changed === undefined) return events;
    await appendIn(tx, turn.sessionId, events);
    await finishIn(tx, changed, { status: 'end_turn', reason: replay.stopReason });
    return [];
  });
}

/** Finalises a turn; the first end stands. `parts` and `usage` are the last word of who wrote it; absent: what the row has, its cost estimated. */
export function finishTurn(
  db: Database,
  turnId: string,
  end: TurnEnd & { readonly parts?: readonly TurnPart[]; readonly replay?: Omit<TurnReplay, 'results'> },
): Promise<TurnWrite> {
  return change(db, turnId, async (tx, row) => {
    await finishIn(tx, row, end);
    return [];
  });
}

/** Whether the agent has told in the chat that it could not answer this message. */
export async function hasTurnError(db: Database, sessionId: string, replyTo: string): Promise<boolean> {
  return (await db.rows(ERROR_OF_REPLY, [sessionId, replyTo])).length > 0;
}

export type OpenTurnsOf =
  | { readonly executionId: string; readonly instance?: StepInstance }
  /** A conversation's own. */
  | { readonly sessionId: string };

/** Finalises whatever is still open there. @returns their ids */
export async function closeTurns(db: Database, of: OpenTurnsOf, end: TurnEnd): Promise<string[]> {
  const open = await db.rows<{ turnId: string }>(...openOf(of));
  const closed: string[] = [];
  for (const { turnId } of open) if ((await finishTurn(db, turnId, end)).kind === 'written') closed.push(turnId);
  return closed;
}

function openOf(of: OpenTurnsOf): Parameters<Database['rows']> {
  if ('sessionId' in of) return [OPEN_OF_SESSION, [of.sessionId]];
  const { executionId, instance } = of;
  return [OPEN_OF_STEP, [executionId, instance?.stepId ?? null, instance?.iterationPath ?? null, instance?.attempt ?? null]];
}

/** A turn with its message, as it stands. `replyTo`: of a conversation's, the message that it answers. */
export async function getTurn(
  db: Database,
  turnId: string,
): Promise<
  { readonly turn: TurnRecord; readonly message: MessageRecord; readonly replyTo: string | null; readonly ownerId: string } | undefined
> {
  const [row] = await db.rows(BY_TURN, [turnId]);
  if (row === undefined) return undefined;
  const { replyTo, ownerId } = camelRow<Message>(row);
  return { turn: turnFromRow(row), message: messageFromRow(row), replyTo, ownerId };
}

/** Does something to an open turn under its session's lock, with the events that it gives. */
async function change(
  db: Database,
  turnId: string,
  work: (tx: Tx, row: object) => Promise<readonly AppendedEvent[] | undefined>,
): Promise<TurnWrite> {
  const [place] = await db.rows<{ sessionId: string }>(SESSION_OF, [turnId]);
  if (place === undefined) return { kind: 'ended' };
  return db.transaction(async (tx): Promise<TurnWrite> => {
    await lockStream(tx, place.sessionId);
    const [row] = await tx.rows(BY_TURN, [turnId]);
    if (row === undefined || !camelRow<Message>(row).turnOpen) return { kind: 'ended' };
    const events = await work(tx, row);
    if (events !== undefined && events.length > 0) await appendIn(tx, place.sessionId, events);
    const [after] = await tx.rows(BY_TURN, [turnId]);
    return { kind: 'written', turn: turnFromRow(after ?? row) };
  });
}

/** The row as it now is, and the event that tells it. */
async function told(
  tx: Tx,
  turn: TurnHead,
  parts: readonly TurnPart[],
  replay: TurnReplay | null,
  ordinal: string,
): Promise<AppendedEvent> {
  const [row] = await tx.rows(UPDATE, [turn.id, partsText(parts), toJsonText(headOf(turn)), true, toNullableJsonText(replay)]);
  if (row === undefined) throw new Error(`Turn ${turn.id} vanished under its lock`);
  return messageEvent('message.updated', messageFromRow(row), `${turn.id}:${ordinal}`, Date.now());
}

async function finishIn(
  tx: Tx,
  row: object,
  end: TurnEnd & { readonly parts?: readonly TurnPart[]; readonly replay?: Omit<TurnReplay, 'results'> },
): Promise<{ readonly record: TurnRecord }> {
  const before = turnFromRow(row);
  // Once its tools run, the row knows more of them than who wrote it.
  const written = before.replay === null ? (end.parts ?? before.parts) : before.parts;
  const usage = end.usage ?? (before.replay === null ? estimatedUsage(written, before.usage) : before.usage);
  const head: TurnHead = { ...before, status: end.status, usage };
  const replay = before.replay ?? (end.replay === undefined ? null : { ...end.replay, results: {} });
  const parts = finishedParts(written, end);
  const [done] = await tx.rows(UPDATE, [before.id, partsText(parts), toJsonText(headOf(head)), false, toNullableJsonText(replay)]);
  if (done === undefined) throw new Error(`Turn ${before.id} vanished under its lock`);
  const record = turnFromRow(done);
  const message = messageFromRow(done);
  await appendIn(tx, before.sessionId, [
    messageEvent('turn.finished', message, before.id, Date.now(), { turn: shownTurn(record, message) }),
  ]);
  return { record };
}

const callKey = ({ sessionId, of, call }: TurnPlace): string =>
  keyOf(sessionId, of?.executionId ?? '', of === null ? '' : instanceKey(of.instance), call);

const partsText = (parts: readonly TurnPart[]): string => toJsonText(checkedParts(parts as unknown as readonly MessagePart[]));

const headOf = ({ id, status, attempt, model, usage }: TurnHead): TurnHead => ({ id, status, attempt, model, usage });

const shownTurn = (turn: TurnRecord, message: MessageRecord) => ({
  ...headOf(turn),
  messageId: turn.messageId,
  sessionId: turn.sessionId,
  thread: message.thread,
});

function turnFromRow(raw: object): TurnRecord {
  const row = camelRow<Message>(raw);
  const message = messageFromRow(raw);
  return {
    ...(row.turn as unknown as TurnHead),
    messageId: row.id,
    sessionId: row.sessionId,
    parts: message.parts as unknown as readonly TurnPart[],
    replay: row.replay as unknown as TurnReplay | null,
  };
}
