import type { Json } from '../definition/value.js';
import type { StepInstance } from '../engine/types.js';
import type { Message } from '../generated/prisma/client.js';
import type { Database, Tx } from './database.js';
import { appendIn } from './event-log.js';
import { lockStream } from './gate-writes.js';
import { newId } from './ids.js';
import { toJsonText, toNullableJsonText, toStorableText } from './json-text.js';
import { toAppendedEvent } from './log-event.js';
import type { Page } from './page.js';
import { camelRow, statement } from './statement.js';

/** A part of a message (design §5): `text`, `tool-call`, `error`, `finish`. */
export type MessagePart = { readonly type: string } & { readonly [field: string]: Json };

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
const INSERT = statement(
  'insert_message',
  `INSERT INTO messages (id, owner_id, session_id, seq, role, author, parts, thread, turn, dedup_key, execution_id, step_id, iteration_path, attempt)
   VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14) RETURNING *`,
);
const TOUCH = statement('touch_session', 'UPDATE sessions SET updated_at = now() WHERE id = $1');
const LIST = statement(
  'list_messages',
  'SELECT * FROM messages WHERE session_id = $1 AND owner_id = $2 AND seq > $3 AND ($4::text IS NULL OR thread = $4) ORDER BY seq LIMIT $5',
);

/**
 * Adds a message to a session of the owner, with its event, once for each `dedupKey`.
 * @returns undefined when the owner has no such session
 */
export function addMessage(
  db: Database,
  message: NewMessage,
): Promise<{ readonly message: MessageRecord; readonly duplicate: boolean } | undefined> {
  return db.transaction(async (tx) => {
    await lockStream(tx, message.sessionId);
    const [stream] = await tx.rows<{ nextSeq: number }>(OWN, [message.sessionId, message.ownerId]);
    if (stream === undefined) return undefined;
    const [known] = message.dedupKey === undefined ? [] : await tx.rows(KNOWN, [message.sessionId, message.dedupKey]);
    if (known !== undefined) return { message: fromRow(known), duplicate: true };
    const added = await insert(tx, message, stream.nextSeq);
    await appendIn(tx, message.sessionId, [createdEvent(added)]);
    await tx.rows(TOUCH, [message.sessionId]);
    return { message: added, duplicate: false };
  });
}

async function insert(tx: Tx, message: NewMessage, seq: number): Promise<MessageRecord> {
  const { of } = message;
  const [row] = await tx.rows(INSERT, [
    newId('msg'),
    message.ownerId,
    message.sessionId,
    seq,
    message.role,
    toStorableText(message.author),
    toJsonText(message.parts),
    message.thread ?? 'default',
    toNullableJsonText(message.turn),
    message.dedupKey ?? null,
    of?.executionId ?? null,
    of?.instance.stepId ?? null,
    of?.instance.iterationPath ?? null,
    of?.instance.attempt ?? null,
  ]);
  if (row === undefined) throw new Error('The message was not inserted');
  return fromRow(row);
}

function createdEvent(message: MessageRecord) {
  const { executionId, stepId, iterationPath, attempt } = message;
  const instance = stepId === null ? null : { stepId, iterationPath: iterationPath ?? '', attempt: attempt ?? 1 };
  const data = { message } as unknown as { readonly [key: string]: Json };
  const event = toAppendedEvent({ kind: 'message.created', ordinal: message.id, at: Date.parse(message.createdAt), instance, data });
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
  const rows = (await db.rows(LIST, [sessionId, ownerId, after, thread ?? null, limit + 1])).map(fromRow);
  const items = rows.slice(0, limit);
  const hasMore = rows.length > limit;
  return { items, cursor: hasMore ? String(items.at(-1)?.seq ?? after) : null, hasMore };
}

function fromRow(raw: object): MessageRecord {
  const row = camelRow<Message>(raw);
  const parts = row.parts as unknown as readonly MessagePart[];
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
