import { AppError, notFound } from '../errors.js';
import { listSecretValues } from '../store/secrets.js';
import { addChatMessage, type ChatMessage } from '../store/session-commands.js';
import { actorOf, audit } from './actor.js';
import { authorize } from './authorize.js';
import { deliverSoon } from './deliver.js';
import type { OperationDeps } from './deps.js';
import type { Principal } from './principal.js';
import { createRedactor } from './redaction.js';
import { toWireMessage, type WireMessage } from './wire-session.js';

/** What a person says at once: enough for a long paste; files have their own ways. */
export const MAX_MESSAGE_CHARACTERS = 100_000;

export interface SendMessageParams {
  /** The session's. */
  readonly id: string;
  readonly content: string;
  /** The same one again is the same message. */
  readonly clientMessageId: string;
}
export interface SentMessage {
  readonly message: WireMessage;
  readonly duplicate: boolean;
}

/**
 * Says something to the agent of a session: a row first, then the signal that starts or wakes its conversation.
 * @throws AppError forbidden, not_found, message_backlog_full
 */
export async function sendMessage(deps: OperationDeps, principal: Principal, params: SendMessageParams): Promise<SentMessage> {
  authorize(principal, 'run');
  const { id: sessionId, content, clientMessageId } = params;
  const sent = await postToAgent(deps, {
    ownerId: principal.userId,
    sessionId,
    author: principal.name,
    content,
    dedupKey: `client:${clientMessageId}`,
    by: { ...actorOf(principal), keyId: principal.keyId },
  });
  if (!sent.duplicate)
    await audit(deps, principal, {
      action: 'session.message',
      targetType: 'session',
      targetId: sessionId,
      details: { messageId: sent.message.id },
    });
  return sent;
}

/**
 * The same for whatever speaks for a person, such as a schedule, in a thread of its own if it names one. Their secrets are taken out.
 * @throws AppError not_found, message_backlog_full
 */
export async function postToAgent(deps: OperationDeps, said: ChatMessage): Promise<SentMessage> {
  const redactor = createRedactor(await listSecretValues(deps.db, deps.encryptionKey, said.ownerId));
  const result = await addChatMessage(deps.db, { ...said, content: redactor.text(said.content) });
  if (result.kind === 'not_found') throw notFound('session', said.sessionId);
  if (result.kind === 'backlog_full')
    throw new AppError('message_backlog_full', `${result.waiting} messages wait already for the agent of this session`, {
      waiting: result.waiting,
    });
  const { message, duplicate, commandId } = result;
  if (commandId !== null) {
    const payload = { messageId: message.id, seq: message.seq };
    deliverSoon(deps, { id: commandId, targetId: said.sessionId, kind: 'message', payload, by: said.by });
  }
  return { message: toWireMessage(message), duplicate };
}
