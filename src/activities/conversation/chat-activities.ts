/** The activities of conversations: the next message, its model calls, its tool calls and their gates, its end. */
import { log } from '@temporalio/activity';
import type { AgentTurn } from '../../engine/agent/types.js';
import type { GateOutcome, StepInstance } from '../../engine/types.js';
import { markDelivered } from '../../store/commands.js';
import { toGateOutcome, type GateRecord } from '../../store/gate-record.js';
import { closeGate, getGate, markGatesDelivered, openGate } from '../../store/gates.js';
import { nextMessage } from '../../store/session-commands.js';
import { getSession } from '../../store/sessions.js';
import { STOPPED_REASON } from '../../store/turn-record.js';
import { closeTurns, forgetTurnCalls, hasTurnError } from '../../store/turns.js';
import { findCall, runCall } from '../agent/run-call.js';
import { runTurn } from '../agent/run-turn.js';
import { charactersOf } from '../model/model-message.js';
import { persist } from '../persist.js';
import { toActivityFailure } from '../step-error.js';
import type { AgentScope } from '../../tools/index.js';
import { WorkingCall } from '../working-call.js';
import { actingPerson } from './acting-person.js';
import { ownerFacts, type ChatParts } from './chat-parts.js';
import { chatRequest } from './chat-request.js';
import type { Chat, ChatAgentActivities, ChatCoreActivities, ChatReply, ChatShellActivities, NextMessage } from './contract.js';

export interface ChatActivities {
  readonly core: ChatCoreActivities;
  readonly agent: ChatAgentActivities;
  readonly shell: ChatShellActivities;
}

export function createChatActivities(parts: ChatParts): ChatActivities {
  const chatTool: ChatCoreActivities['chatTool'] = (input) => working((call) => tool(parts, input, call));
  return {
    core: {
      chatNext: (input) => failing(() => next(parts, input)),
      chatTool,
      openChatGate: (input) => failing(() => open(parts, input)),
      closeChatGate: (input) => failing(() => close(parts, input)),
      readChatGate: (input) => failing(() => read(parts, input)),
      chatClose: (input) => failing(() => end(parts, input)),
    },
    agent: { chatTurn: (input) => working((call) => turn(parts, input, call)) },
    shell: { chatTool },
  };
}

/** Where errors of a conversation are said to come from: it has no steps. */
const NOWHERE: StepInstance = { stepId: '', iterationPath: '', attempt: 1 };

/** Platform faults are tried again; what else is thrown ends the reply. */
async function failing<T>(work: () => Promise<T>): Promise<T> {
  try {
    return await work();
  } catch (error) {
    throw toActivityFailure(error, NOWHERE, Date.now());
  }
}

async function working<T>(work: (call: WorkingCall) => Promise<T>): Promise<T> {
  const call = new WorkingCall();
  try {
    return await failing(() => work(call));
  } finally {
    call.close();
  }
}

async function next(
  parts: ChatParts,
  { ownerId, sessionId, delivered }: Chat & { readonly delivered: readonly string[] },
): Promise<NextMessage | null> {
  if (delivered.length > 0) {
    await markDelivered(parts.db, delivered);
    // Nothing is under way between two replies.
    await forgetTurnCalls(parts.db, sessionId);
  }
  const waiting = await nextMessage(parts.db, sessionId);
  if (waiting === undefined) return null;
  const { messageId, seq, commandId, thread } = waiting;
  const request = await chatRequest(parts, { ownerId, sessionId, messageId, thread });
  return { messageId, seq, commandId, thread, opened: { at: Date.now(), models: parts.models, characters: charactersOf(request) } };
}

const authorOf = ({ isDemoModel }: ChatParts): string => (isDemoModel ? 'Assistant (demo model)' : 'Assistant');

/** Every tool, with the rights of who asks. */
const scopeOf = async ({ db }: ChatParts, reply: ChatReply): Promise<AgentScope> => ({
  ownerId: reply.ownerId,
  allow: undefined,
  as: await actingPerson(db, reply),
});

type TurnInput = Parameters<ChatAgentActivities['chatTurn']>[0];

async function turn(parts: ChatParts, input: TurnInput, call: WorkingCall): Promise<{ readonly turn: AgentTurn }> {
  const { ownerId, sessionId, messageId, thread, model, maxTokens, attempts } = input;
  const facts = await ownerFacts(parts, ownerId);
  const done = await runTurn(
    parts,
    {
      place: { ownerId, sessionId, thread, author: authorOf(parts), of: null, replyTo: messageId, call: `${messageId}:turn${input.turn}` },
      model,
      maxTokens,
      attempts,
      scope: await scopeOf(parts, input),
      isLastReply: true,
      instance: NOWHERE,
      ...facts,
      request: () => chatRequest(parts, input, input.misfits),
    },
    call,
  );
  return { turn: done.turn };
}

type ToolInput = Parameters<ChatCoreActivities['chatTool']>[0];

async function tool(parts: ChatParts, input: ToolInput, call: WorkingCall) {
  const { ownerId, sessionId, messageId, turnId, callId, approvalId } = input;
  const facts = await ownerFacts(parts, ownerId);
  const executionId = (await getSession(parts.db, ownerId, sessionId))?.executionId ?? null;
  const idempotencyKey = [sessionId, messageId, turnId, callId].join('/');
  const job = { turnId, callId, approvalId, scope: await scopeOf(parts, input), executionId, sessionId, idempotencyKey, ...facts };
  const { end } = await runCall(parts, job, call);
  return { end };
}

/** Opens it once for turn and call, and answers with its row. The owner's team decides. */
async function open(parts: ChatParts, input: Parameters<ChatCoreActivities['openChatGate']>[0]): Promise<GateOutcome> {
  const { ownerId, sessionId, turnId, callId, deadlineAt } = input;
  const { redactor } = await ownerFacts(parts, ownerId);
  const { part, plan } = await findCall(parts, { turnId, callId, scope: await scopeOf(parts, input) });
  const summary = plan.kind === 'question' || plan.summary === null ? null : redactor.text(plan.summary);
  const reason = plan.kind === 'run' ? plan.reason : '';
  const opened = await openGate(parts.db, {
    ownerId,
    executionId: null,
    sessionId,
    workflowName: null,
    instance: null,
    toolCall: { callId, toolId: part.toolName, args: redactor.json(part.args), summary },
    callKey: `${turnId}:${callId}`,
    prompt: [summary ?? `Call ${part.toolName}`, reason].filter((text) => text !== '').join(' - '),
    approvers: null,
    quorum: 1,
    deadlineAt,
    carry: null,
    at: Date.now(),
  });
  if (opened.kind === 'closed') throw new Error('A conversation never refuses a gate');
  return await told(parts, opened.gate);
}

async function close(
  parts: ChatParts,
  { sessionId, approvalId, to }: Parameters<ChatCoreActivities['closeChatGate']>[0],
): Promise<GateOutcome> {
  const gate = await gateOf(parts, sessionId, approvalId);
  const closed = gate === null ? undefined : await closeGate(parts.db, { approvalId, to });
  if (closed === undefined) throw new Error(`Session ${sessionId} has no gate ${approvalId}`);
  return await told(parts, closed);
}

async function read(
  parts: ChatParts,
  { sessionId, approvalId, signal = { approvalId } }: Parameters<ChatCoreActivities['readChatGate']>[0],
): Promise<GateOutcome | null> {
  return (await gateOf(parts, sessionId, approvalId)) === null ? null : await parts.readSignalledGate(null, signal);
}

async function gateOf({ db }: ChatParts, sessionId: string, approvalId: string): Promise<GateRecord | null> {
  const gate = await getGate(db, approvalId);
  return gate === undefined || gate.executionId !== null || gate.sessionId !== sessionId ? null : gate;
}

/** Of a settled one the conversation knows from here on. */
async function told({ db }: ChatParts, gate: GateRecord): Promise<GateOutcome> {
  if (gate.status !== 'pending' && gate.deliveredAt === null) await markGatesDelivered(db, [gate.id]);
  return toGateOutcome(gate);
}

/** What is open of the reply is finalised. An error is told in the chat once, in a turn of its own where none was open. */
async function end(parts: ChatParts, { error, ...reply }: ChatReply & Parameters<ChatCoreActivities['chatClose']>[0]): Promise<void> {
  const { sessionId, messageId, ownerId, thread } = reply;
  const { redactor } = await ownerFacts(parts, ownerId);
  if (error === null) {
    await persist(() => closeTurns(parts.db, { sessionId }, { status: 'canceled', reason: STOPPED_REASON }));
    return;
  }
  log.warn('a message could not be answered', { sessionId, messageId, code: error.code });
  const shown = { status: 'error', reason: 'error', error: { code: error.code, message: redactor.text(error.message) } } as const;
  await persist(() => closeTurns(parts.db, { sessionId }, shown));
  if (await hasTurnError(parts.db, sessionId, messageId)) return;
  const author = authorOf(parts);
  const call = await parts.turns.claim({ ownerId, sessionId, thread, author, of: null, replyTo: messageId, call: `${messageId}:error` });
  await call.writer({ model: parts.models[0] ?? '', redactor }).finish(shown);
}
