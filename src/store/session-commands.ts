/** What people say to a session: written down with its command in one transaction; the signal comes after the commit (durability §2). */
import type { Json } from '../definition/value.js';
import type { Database, Tx } from './database.js';
import { newId } from './ids.js';
import { toJsonText } from './json-text.js';
import { addMessageIn, nextSeq, type MessageRecord } from './messages.js';
import { statement } from './statement.js';

export interface ChatMessage {
  readonly ownerId: string;
  readonly sessionId: string;
  readonly author: string;
  readonly content: string;
  /** The default one when absent. */
  readonly thread?: string;
  /** Makes a repeat the same message; within its session. */
  readonly dedupKey: string;
  readonly by: Json;
}

/** What a command of kind `message` carries. Messages are answered in the order of `seq`, whatever order their signals come in. */
export interface MessageCommand {
  readonly messageId: string;
  readonly seq: number;
}

/** What a command of kind `stop` carries: only a reply to a message up to `upTo` is stopped; to this one, where it is named. */
export interface StopCommand {
  readonly messageId: string | null;
  readonly upTo: number;
}

export type SaidResult =
  | { readonly kind: 'accepted'; readonly message: MessageRecord; readonly duplicate: boolean; readonly commandId: string | null }
  | { readonly kind: 'backlog_full'; readonly waiting: number }
  | { readonly kind: 'not_found' };

/** Messages that nobody has taken up yet, in one session. */
export const MAX_WAITING_MESSAGES = 100;

const INSERT = statement(
  'insert_session_command',
  'INSERT INTO commands (id, owner_id, target_id, kind, payload, bytes, by) VALUES ($1, $2, $3, $4, $5, $6, $7)',
);
const WAITING = statement(
  'waiting_messages',
  "SELECT count(*)::int AS waiting FROM commands WHERE target_id = $1 AND kind = 'message' AND delivered_at IS NULL",
);

/** Writes down a message for the session's agent, once for each `dedupKey`. */
export function addChatMessage(db: Database, said: ChatMessage): Promise<SaidResult> {
  return db
    .transaction(async (tx): Promise<SaidResult> => {
      const { ownerId, sessionId, author, content, thread, dedupKey, by } = said;
      const added = await addMessageIn(tx, {
        ownerId,
        sessionId,
        role: 'user',
        author,
        parts: [{ type: 'text', text: content }],
        dedupKey,
        ...(thread === undefined ? {} : { thread }),
      });
      if (added === undefined) return { kind: 'not_found' };
      const { message, duplicate } = added;
      if (duplicate) return { kind: 'accepted', message, duplicate, commandId: null };
      const [backlog] = await tx.rows<{ waiting: number }>(WAITING, [sessionId]);
      if (backlog !== undefined && backlog.waiting >= MAX_WAITING_MESSAGES) throw new BacklogFull(backlog.waiting);
      const command: MessageCommand = { messageId: message.id, seq: message.seq };
      return { kind: 'accepted', message, duplicate, commandId: await insert(tx, ownerId, sessionId, 'message', command, by) };
    })
    .catch((error: unknown): SaidResult => {
      if (error instanceof BacklogFull) return { kind: 'backlog_full', waiting: error.waiting };
      throw error;
    });
}

/** Rolls the message back. */
class BacklogFull extends Error {
  constructor(readonly waiting: number) {
    super(`${waiting} messages wait`);
  }
}

const NEXT = statement(
  'next_message',
  `SELECT c.id AS "commandId", m.id AS "messageId", m.seq, m.thread FROM commands c JOIN messages m ON m.id = c.payload->>'messageId'
   WHERE c.target_id = $1 AND c.kind = 'message' AND c.delivered_at IS NULL AND m.session_id = $1 ORDER BY m.seq LIMIT 1`,
);

export interface WaitingMessage {
  readonly commandId: string;
  readonly messageId: string;
  readonly seq: number;
  readonly thread: string;
}

/** The oldest message that the session's agent has not answered. */
export async function nextMessage(db: Database, sessionId: string): Promise<WaitingMessage | undefined> {
  const [row] = await db.rows<WaitingMessage>(NEXT, [sessionId]);
  return row;
}

const SENDER = statement(
  'sender_of_message',
  `SELECT c.by->>'keyId' AS "keyId" FROM commands c WHERE c.target_id = $1 AND c.kind = 'message' AND c.payload->>'messageId' = $2`,
);

/** The key that a message was sent with; null: none, as of a schedule's. */
export async function senderKeyOf(db: Database, sessionId: string, messageId: string): Promise<string | null> {
  const [row] = await db.rows<{ keyId: string | null }>(SENDER, [sessionId, messageId]);
  return row?.keyId ?? null;
}

/** Writes down a request to stop what the session's agent does now. Undefined: the owner has no such session. */
export function addStop(
  db: Database,
  stop: { readonly ownerId: string; readonly sessionId: string; readonly messageId: string | null; readonly by: Json },
): Promise<{ readonly commandId: string; readonly stop: StopCommand } | undefined> {
  return db.transaction(async (tx) => {
    const seq = await nextSeq(tx, stop);
    if (seq === undefined) return undefined;
    const command: StopCommand = { messageId: stop.messageId, upTo: seq - 1 };
    return { commandId: await insert(tx, stop.ownerId, stop.sessionId, 'stop', command, stop.by), stop: command };
  });
}

async function insert(
  tx: Tx,
  ownerId: string,
  sessionId: string,
  kind: 'message' | 'stop',
  payload: MessageCommand | StopCommand,
  by: Json,
): Promise<string> {
  const id = newId('cmd');
  await tx.rows(INSERT, [id, ownerId, sessionId, kind, toJsonText(payload), 0, toJsonText(by)]);
  return id;
}
