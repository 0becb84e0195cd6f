import type { Json } from '../definition/value.js';
import type { StepInstance } from '../engine/types.js';
import type { Message } from '../generated/prisma/client.js';
import type { Database, Tx } from './database.js';
import { appendIn } from './event-log.js';
import { lockStream } from './gate-writes.js';
import { newId } from './ids.js';
import { toJsonText, toNullableJsonText, toStorableText } from './json-text.js';
import { toAppendedEvent, type AppendedEvent, type SessionEventKind } from './log-event.js';
import { readParts, type MessagePart } from './message-parts.js';
import type { Page } from './page.js';
import { camelRow, statement } from './statement.js';

export type { MessagePart };

/** A message as it is stored. `content` is its text parts joined. Instants are ISO texts. */
export interface MessageRecord {
  readonly id: string;
  readonly sessionId: string;
  /** Its place in the session; grows, with gaps. */
  readonly seq: number;
  readonly role: 'user' | 'assistant' | 'system';
  readonly author: string;
  readonly content: string;
  readonly parts: readonly MessagePart[];
  readonly thread: string;
  readonly turn: Json;
  readonly executionId: string | null;
  readonly stepId: string | null;
  readonly iterationPath: string | null;
  readonly attempt: number | null;
  readonly createdAt: string;
}

export interface NewMessage {
  readonly ownerId: string;
  readonly sessionId: string;
  readonly role: MessageRecord['role'];
  readonly author: string;
  readonly parts: readonly MessagePart[];
  readonly thread?: string;
  readonly turn?: Json;
  /** Whatever makes a repeat the same message: the client's id, or a step instance. */
  readonly dedupKey?: string;
  /** The step that it is of. */
  readonly of?: { readonly executionId: string; readonly instance: StepInstance };
}

const OWN = statement(
  'own_session_stream',
  `SELECT next_seq AS "nextSeq" FROM streams WHERE id = $1 AND owner_id = $2 AND kind = 'session'`,
);
const KNOWN = statement('known_message', 'SELECT * FROM messages WHERE session_id = $1 AND dedup_key = $2');
/** Back-pointers to an execution of somebody else are left out; the message stays (reference §4). */
const INSERT = statement(
  'insert_message',
  `INSERT INTO messages (id, owner_id, session_id, seq, role, author, parts, thread, turn, dedup_key, execution_id, step_id, iteration_path, attempt,
     turn_id, turn_call, turn_open, reply_to)
   SELECT $1, $2, $3, $4, $5, $6, $7, $8, $9, $10, e.id, CASE WHEN e.id IS NOT NULL THEN $12 END, CASE WHEN e.id IS NOT NULL THEN $13 END,
     CASE WHEN e.id IS NOT NULL THEN $14::integer END, $15, $16, $15::text IS NOT NULL, $17
   FROM (SELECT) AS one LEFT JOIN executions e ON e.id = $11 AND e.owner_id = $2
   RETURNING *`,
);
const TOUCH = statement('touch_session', 'UPDATE sessions SET updated_at = now() WHERE id = $1');
const LIST = statement(
  'list_messages',
  'SELECT * FROM messages WHERE session_id = $1 AND owner_id = $2 AND seq > $3 AND ($4::text IS NULL OR thread = $4) ORDER BY seq LIMIT $5',
);

/** `strayed`: the execution that it points to is not the owner's, so the message points nowhere. */
export interface AddedMessage {
  readonly message: MessageRecord;
  readonly duplicate: boolean;
  readonly strayed: boolean;
}

/**
 * Adds a message to a session of the owner, with its event, once for each `dedupKey`.
 * @returns undefined when the owner has no such session
 */
export function addMessage(db: Database, message: NewMessage): Promise<AddedMessage | undefined> {
  return db.transaction((tx) => addMessageIn(tx, message));
}

/** The same inside a transaction, which holds the session's lock from here on. */
export async function addMessageIn(tx: Tx, message: NewMessage): Promise<AddedMessage | undefined> {
  const seq = await nextSeq(tx, message);
  if (seq === undefined) return undefined;
  const [known] = message.dedupKey === undefined ? [] : await tx.rows(KNOWN, [message.sessionId, message.dedupKey]);
  if (known !== undefined) return { message: messageFromRow(known), duplicate: true, strayed: false };
  const added = messageFromRow(await insertMessage(tx, message, seq));
  await appendIn(tx, message.sessionId, [messageEvent('message.created', added, added.id, Date.parse(added.createdAt))]);
  await tx.rows(TOUCH, [message.sessionId]);
  return { message: added, duplicate: false, strayed: message.of !== undefined && added.executionId === null };
}

/** Takes the session's lock. Where the next message stands; undefined when the owner has no such session. */
export async function nextSeq(tx: Tx, of: { readonly ownerId: string; readonly sessionId: string }): Promise<number | undefined> {
  await lockStream(tx, of.sessionId);
  const [stream] = await tx.rows<{ nextSeq: number }>(OWN, [of.sessionId, of.ownerId]);
  return stream?.nextSeq;
}

/** The row alone, under the session's lock. `asTurn`: it is a turn, still open. @throws Error when its parts are none */
export async function insertMessage(
  tx: Tx,
  message: NewMessage,
  seq: number,
  asTurn?: { readonly id: string; readonly call: string; readonly replyTo: string | null },
): Promise<object> {
  const { of } = message;
  const [row] = await tx.rows(INSERT, [
    newId('msg'),
    message.ownerId,
    message.sessionId,
    seq,
    message.role,
    toStorableText(message.author),
    toJsonText(checkedParts(message.parts)),
    message.thread ?? 'default',
    toNullableJsonText(message.turn),
    message.dedupKey ?? null,
    of?.executionId ?? null,
    of?.instance.stepId ?? null,
    of?.instance.iterationPath ?? null,
    of?.instance.attempt ?? null,
    asTurn?.id ?? null,
    asTurn?.call ?? null,
    asTurn?.replyTo ?? null,
  ]);
  if (row === undefined) throw new Error('The message was not inserted');
  return row;
}

/** @throws Error: what is stored is what every reader can read */
export function checkedParts(parts: readonly MessagePart[]): readonly MessagePart[] {
  const read = readParts(parts);
  if (read.length !== parts.length) throw new Error('A part of a message has no shape that readers know');
  return parts;
}

/** An event of a session about one of its messages, with the message's back-pointers. Pure. */
export function messageEvent(
  kind: SessionEventKind,
  message: MessageRecord,
  ordinal: string,
  at: number,
  more: { readonly [name: string]: unknown } = {},
): AppendedEvent {
  const { executionId, stepId, iterationPath, attempt } = message;
  const instance = stepId === null ? null : { stepId, iterationPath: iterationPath ?? '', attempt: attempt ?? 1 };
  const data = { message, ...more } as unknown as { readonly [key: string]: Json };
  const event = toAppendedEvent({ kind, ordinal, at, instance, data });
  return executionId === null ? event : { ...event, executionId };
}

export interface MessageFilter {
  /** Exclusive; 0: from the first. */
  readonly after: number;
  readonly thread?: string;
  readonly limit: number;
}

/** Messages of a session, oldest first. The cursor is the `after` of the next page. */
export async function listMessages(
  db: Database,
  ownerId: string,
  sessionId: string,
  { after, thread, limit }: MessageFilter,
): Promise<Page<MessageRecord>> {
  const rows = (await db.rows(LIST, [sessionId, ownerId, after, thread ?? null, limit + 1])).map(messageFromRow);
  const items = rows.slice(0, limit);
  const hasMore = rows.length > limit;
  return { items, cursor: hasMore ? String(items.at(-1)?.seq ?? after) : null, hasMore };
}

/** A row of the table as it is read. */
export function messageFromRow(raw: object): MessageRecord {
  const row = camelRow<Message>(raw);
  const parts = readParts(row.parts);
  const { id, sessionId, seq, author, thread, executionId, stepId, iterationPath, attempt } = row;
  return {
    id,
    sessionId,
    seq,
    role: row.role as MessageRecord['role'],
    author,
    content: textOf(parts),
    parts,
    thread,
    turn: row.turn as Json,
    executionId,
    stepId,
    iterationPath,
    attempt,
    createdAt: row.createdAt.toISOString(),
  };
}

const textOf = (parts: readonly MessagePart[]): string =>
  parts
    .filter((part) => part.type === 'text')
    .map((part) => (typeof part['text'] === 'string' ? part['text'] : ''))
    .join('');
