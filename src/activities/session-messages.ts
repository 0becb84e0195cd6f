/** Messages of runs in chat sessions: what notify posts, and what an agent step says. */
import { log } from '@temporalio/activity';
import type { Json } from '../definition/value.js';
import { AppError, notFound } from '../errors.js';
import type { Database } from '../store/database.js';
import { newId } from '../store/ids.js';
import { addMessage, listMessages, type MessageRecord } from '../store/messages.js';
import { getOrchestratorSession } from '../store/sessions.js';
import type { ThreadMessage, Transcript } from './agent/agent-turn-v1.js';
import type { MessagePoster, RunMessage } from './notify-activity.js';

const PAGE = 200;

export function createMessagePoster(db: Database): MessagePoster {
  return {
    async post(message) {
      const sessionId = await sessionOf(db, message);
      const { executionId, stepId, iterationPath, attempt } = message.origin;
      const added = await addMessage(db, {
        ownerId: message.ownerId,
        sessionId,
        role: 'assistant',
        author: message.author,
        parts: [{ type: 'text', text: message.content }],
        dedupKey: message.dedupKey,
        of: { executionId, instance: { stepId, iterationPath, attempt } },
      });
      if (added === undefined) throw notFound('session', sessionId);
      if (added.strayed) log.warn('a message points to an execution of somebody else', { messageId: added.message.id });
      return { id: added.message.id };
    },
  };
}

async function sessionOf(db: Database, { ownerId, session }: RunMessage): Promise<string> {
  if (session !== 'orchestrator') return session.id;
  const found = await getOrchestratorSession(db, ownerId);
  if (found === undefined)
    throw new AppError('not_found', `User ${ownerId} has no orchestrator session`, { kind: 'session', id: 'orchestrator' });
  return found.id;
}

export function createTranscript(db: Database): Transcript {
  return {
    newTurnId: () => newId('trn'),
    async read(ownerId, sessionId, executionId, thread, but) {
      const messages = await allOf(db, ownerId, sessionId, thread);
      const kept = new Set(
        messages.filter((message) => message.role === 'assistant' && statusOf(message.turn) === 'end_turn').map(exchangeOf),
      );
      return messages
        .filter(
          (message) =>
            message.executionId === executionId &&
            kept.has(exchangeOf(message)) &&
            (message.stepId !== but.stepId || message.iterationPath !== but.iterationPath),
        )
        .map(({ role, content }) => ({ role: role === 'assistant' ? 'assistant' : 'user', content }) as const);
    },
    async add(message: ThreadMessage) {
      const { executionId, stepId, iterationPath, attempt } = message.origin;
      const text = { type: 'text', text: message.content };
      const added = await addMessage(db, {
        ownerId: message.ownerId,
        sessionId: message.sessionId,
        role: message.role,
        author: message.author,
        thread: message.thread,
        dedupKey: message.dedupKey,
        parts: message.turn === undefined ? [text] : [text, { type: 'finish', reason: message.turn.status }],
        of: { executionId, instance: { stepId, iterationPath, attempt } },
        ...(message.turn === undefined ? {} : { turn: { ...message.turn } }),
      });
      if (added === undefined) throw notFound('session', message.sessionId);
      return { id: added.message.id };
    },
  };
}

async function allOf(db: Database, ownerId: string, sessionId: string, thread: string): Promise<readonly MessageRecord[]> {
  const messages: MessageRecord[] = [];
  for (let after = 0; ; ) {
    const page = await listMessages(db, ownerId, sessionId, { after, thread, limit: PAGE });
    messages.push(...page.items);
    if (!page.hasMore) return messages;
    after = Number(page.cursor);
  }
}

/** A prompt and its reply belong together: both are of one step instance. */
const exchangeOf = ({ stepId, iterationPath, attempt }: MessageRecord): string => JSON.stringify([stepId, iterationPath, attempt]);

const statusOf = (turn: Json): Json =>
  typeof turn === 'object' && turn !== null && !Array.isArray(turn) ? ((turn as { readonly status?: Json }).status ?? null) : null;
