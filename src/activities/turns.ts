/** Turns as activities write them: claimed, written while they stream, continued by their tools, closed. */
import { toDisplay } from '../definition/value-parts.js';
import { wholeRef } from '../definition/value.js';
import type { Database } from '../store/database.js';
import { addMessage } from '../store/messages.js';
import { notFound } from '../errors.js';
import type { TurnEnd, TurnPlace, TurnRecord } from '../store/turn-record.js';
import { claimTurns, closeTurns, getTurn, progressTool, type OpenTurnsOf, type ToolProgress } from '../store/turns.js';
import { putValue } from '../store/values.js';
import { persist } from './persist.js';
import { TurnWriter, type TurnWriterOptions, type TurnWriterParts } from './turn-writer.js';

/** A model call as its latest try has it. */
export interface ModelCall {
  /** The call has ended before (kept, or waiting for its tools): its answer, the model need not be asked. */
  readonly done: TurnRecord | null;
  /** Tries that were given up, the oldest first, with what they have cost. */
  readonly earlier: readonly TurnRecord[];
  /** For one turn; another one (failover, repair) follows when that is finished. */
  writer(options: TurnWriterOptions): TurnWriter;
}

export interface Turns {
  /**
   * Takes a model call over from whoever was at it: what they left streaming is given up, and they write nothing any more.
   * @throws AppError not_found: the owner has no such session; unavailable
   */
  claim(place: TurnPlace): Promise<ModelCall>;
  /** The prompt, as a user's message at the same place, once. Already redacted. */
  postPrompt(place: Omit<TurnPlace, 'call'>, text: string, dedupKey: string): Promise<{ readonly messageId: string }>;
  /**
   * A tool call goes on: pending, running, completed or error; never back. The last one to end finalises a turn that has waited for its
   * tools. Waits for the database. Already redacted.
   */
  toolProgress(turnId: string, callId: string, to: ToolProgress): Promise<void>;
  /** Finalises whatever is still open there: after a timeout, a cancel, a failure. Waits for the database. */
  closeOpen(of: OpenTurnsOf, end: TurnEnd): Promise<void>;
}

export function createTurns(parts: TurnWriterParts): Turns {
  const { db } = parts;
  return {
    async claim(place) {
      const { claim, done, earlier } = await claimTurns(db, place);
      return { done, earlier, writer: (options) => new TurnWriter(parts, claim, options) };
    },
    async postPrompt({ ownerId, sessionId, thread, author, of }, text, dedupKey) {
      const added = await addMessage(db, {
        ownerId,
        sessionId,
        thread,
        author,
        role: 'user',
        parts: [{ type: 'text', text }],
        dedupKey,
        ...(of === null ? {} : { of }),
      });
      if (added === undefined) throw notFound('session', sessionId);
      return { messageId: added.message.id };
    },
    async toolProgress(turnId, callId, to) {
      await persist(async () => progressTool(db, turnId, callId, await fitting(db, turnId, to)));
    },
    async closeOpen(of, end) {
      await persist(() => closeTurns(db, of, end));
    },
  };
}

/** What a message's results may be together; every change of one is an event with the whole message. */
const INLINE_CHARACTERS = 64 * 1024;

/** A result that no longer fits into its message stands there by reference. */
async function fitting(db: Database, turnId: string, to: ToolProgress): Promise<ToolProgress> {
  if (to.status !== 'completed') return to;
  const characters = JSON.stringify(to.result).length;
  if (characters < SMALL_CHARACTERS) return to;
  const found = await getTurn(db, turnId);
  if (found === undefined || JSON.stringify(found.turn.parts).length + characters <= INLINE_CHARACTERS) return to;
  return { ...to, result: toDisplay(wholeRef(await putValue(db, found.ownerId, to.result))) };
}

/** About what a reference takes itself. */
const SMALL_CHARACTERS = 1_024;
