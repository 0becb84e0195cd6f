/** What was said, as the next model call shall see it: read by reference, so that no text passes through Temporal's history. */
import type { Message } from '../generated/prisma/client.js';
import type { StepInstance } from '../engine/types.js';
import type { Queryable } from './statement.js';
import { camelRow, statement } from './statement.js';
import { messageFromRow } from './messages.js';
import { STOPPED_REASON, type TurnHead, type TurnPart, type TurnReplay } from './turn-record.js';

/** One exchange of a thread: everything that a step instance has said and been told there. */
export interface TranscriptRef extends StepInstance {
  readonly executionId: string;
}

export type TranscriptEntry =
  /** `isNotice`: nobody wrote it; a run posted it here. Data, not a request. */
  | { readonly role: 'user'; readonly messageId: string; readonly author: string; readonly text: string; readonly isNotice: boolean }
  | {
      readonly role: 'assistant';
      readonly messageId: string;
      readonly turnId: string;
      readonly parts: readonly TurnPart[];
      readonly replay: TurnReplay | null;
    };

export interface TranscriptPlace {
  readonly ownerId: string;
  readonly sessionId: string;
  readonly thread: string;
}

const OF_STEPS = statement(
  'transcript_of_steps',
  `SELECT m.*, r.nth FROM unnest($4::text[], $5::text[], $6::text[], $7::integer[]) WITH ORDINALITY AS r(execution_id, step_id, iteration_path, attempt, nth)
     JOIN messages m ON m.execution_id = r.execution_id AND m.step_id = r.step_id AND m.iteration_path = r.iteration_path AND m.attempt = r.attempt
   WHERE m.owner_id = $1 AND m.session_id = $2 AND m.thread = $3 AND (m.role = 'user' OR m.turn_id IS NOT NULL)
   ORDER BY r.nth, m.seq`,
);
const OF_CONVERSATION = statement(
  'transcript_of_conversation',
  `SELECT m.* FROM messages m JOIN messages asked ON asked.id = $4 AND asked.session_id = $2
   LEFT JOIN messages question ON question.id = m.reply_to AND question.session_id = $2
   WHERE m.owner_id = $1 AND m.session_id = $2 AND m.thread = $3 AND (m.execution_id IS NULL OR (m.turn_id IS NULL AND m.role <> 'user'))
     AND coalesce(question.seq, m.seq) <= asked.seq
   ORDER BY coalesce(question.seq, m.seq) DESC, m.seq DESC LIMIT $5`,
);

/**
 * The messages of these exchanges in the order of `refs`: prompts, and the turns that were kept (or whose tools still run). Given-up turns are left
 * out but for those named: a bad reply belongs to the request that repairs it.
 */
export async function readTranscript(
  db: Queryable,
  { ownerId, sessionId, thread }: TranscriptPlace,
  refs: readonly TranscriptRef[],
  options: { readonly alsoTurns?: readonly string[] } = {},
): Promise<TranscriptEntry[]> {
  if (refs.length === 0) return [];
  const rows = await db.rows(OF_STEPS, [
    ownerId,
    sessionId,
    thread,
    refs.map((ref) => ref.executionId),
    refs.map((ref) => ref.stepId),
    refs.map((ref) => ref.iterationPath),
    refs.map((ref) => ref.attempt),
  ]);
  return rows.flatMap((row) => entryOf(row, options.alsoTurns ?? [], () => false));
}

/**
 * A conversation up to one of its messages: every earlier message with the turns that answered it, then that message with its turns so far.
 * What a person has stopped was said as far as it came. The newest `limit` messages.
 */
export async function readConversation(
  db: Queryable,
  { ownerId, sessionId, thread }: TranscriptPlace,
  messageId: string,
  options: { readonly alsoTurns?: readonly string[]; readonly limit: number },
): Promise<TranscriptEntry[]> {
  const rows = await db.rows(OF_CONVERSATION, [ownerId, sessionId, thread, messageId, options.limit]);
  return rows.toReversed().flatMap((row) => entryOf(row, options.alsoTurns ?? [], isStopped));
}

/** Stopped by a person: what it had said stands. */
const isStopped = (parts: readonly TurnPart[]): boolean => parts.some((part) => part.type === 'finish' && part.reason === STOPPED_REASON);

function entryOf(raw: object, alsoTurns: readonly string[], isKeptToo: (parts: readonly TurnPart[]) => boolean): TranscriptEntry[] {
  const { id: messageId, author, role, content, parts } = messageFromRow(raw);
  const row = camelRow<Message>(raw);
  const turn = row.turn as unknown as TurnHead | null;
  if (turn === null || row.turnId === null) return [{ role: 'user', messageId, author, text: content, isNotice: role !== 'user' }];
  const replay = row.replay as unknown as TurnReplay | null;
  const said = parts as unknown as readonly TurnPart[];
  const isKept =
    turn.status === 'end_turn' || (turn.status === 'streaming' && replay !== null) || alsoTurns.includes(turn.id) || isKeptToo(said);
  if (!isKept) return [];
  return [{ role: 'assistant', messageId, turnId: turn.id, parts: said, replay }];
}
