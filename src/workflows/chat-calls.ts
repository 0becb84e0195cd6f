/** How a conversation's activities are called: task queue, limits, retries (durability §3). */
import { ActivityFailure, ApplicationFailure } from '@temporalio/common';
import { ActivityCancellationType, proxyActivities, proxyLocalActivities } from '@temporalio/workflow';
import type { ChatAgentActivities, ChatCoreActivities, ChatReply, ChatShellActivities } from '../activities/conversation/contract.js';
import type { AgentOrder, AgentToolEnd, AgentTurn } from '../engine/agent/index.js';
import { stepError } from '../engine/faults.js';
import type { GateOutcome, StepAnswer, StepError } from '../engine/types.js';
import { PLATFORM_RETRY } from './activity-calls.js';
import { TASK_QUEUES } from './messages.js';

/** Work of any length: a lost worker shows by the missing heartbeat, within 2 s. */
const WORKING = {
  startToCloseTimeout: '24h',
  heartbeatTimeout: '2s',
  retry: PLATFORM_RETRY,
  cancellationType: ActivityCancellationType.WAIT_CANCELLATION_COMPLETED,
} as const;
const RECORDING = {
  startToCloseTimeout: '4.5s',
  retry: PLATFORM_RETRY,
  cancellationType: ActivityCancellationType.WAIT_CANCELLATION_COMPLETED,
} as const;

const core = proxyActivities<ChatCoreActivities>({ ...RECORDING, taskQueue: TASK_QUEUES.core });
const agent = proxyActivities<ChatAgentActivities>({ ...WORKING, taskQueue: TASK_QUEUES.agent });
const shell = proxyActivities<ChatShellActivities>({ ...WORKING, taskQueue: TASK_QUEUES.shell });

/** Reads and marks in the worker's own process: one marker each. */
export const localChat = proxyLocalActivities<ChatCoreActivities>({
  startToCloseTimeout: '4s',
  localRetryThreshold: '3s',
  retry: { ...PLATFORM_RETRY, initialInterval: '100ms' },
});

type Order<O extends AgentOrder['order']> = Extract<AgentOrder, { order: O }>;

export function callTurn(reply: ChatReply, { order: _order, ...rest }: Order<'turn'>): Promise<{ readonly turn: AgentTurn }> {
  const options = {
    ...WORKING,
    taskQueue: TASK_QUEUES.agent,
    activityId: `${reply.messageId}:turn${rest.call}`,
    summary: `turn ${rest.turn}`,
  };
  return agent.chatTurn.executeWithOptions(options, [{ ...reply, ...rest }]);
}

/** @param place the call's turn and number in it: providers' own ids may not be fit for an activity's */
export function callTool(
  reply: ChatReply,
  { order: _order, ...rest }: Order<'tool'>,
  place: string,
): Promise<{ readonly end: AgentToolEnd }> {
  const options = { ...WORKING, activityId: `${reply.messageId}:tool${place}`, summary: `tool ${place}` };
  const args: [ChatReply & typeof rest] = [{ ...reply, ...rest }];
  return rest.queue === 'shell'
    ? shell.chatTool.executeWithOptions({ ...options, taskQueue: TASK_QUEUES.shell }, args)
    : core.chatTool.executeWithOptions({ ...options, taskQueue: TASK_QUEUES.core }, args);
}

export const openGate = (reply: ChatReply, { order: _order, ...rest }: Order<'open_gate'>): Promise<GateOutcome> =>
  core.openChatGate({ ...reply, ...rest });

export const closeGate = ({ ownerId, sessionId }: ChatReply, approvalId: string, to: 'expired' | 'cancelled'): Promise<GateOutcome> =>
  core.closeChatGate({ ownerId, sessionId, approvalId, to });

export const closeReply = (reply: ChatReply, error: StepError | null): Promise<void> => core.chatClose({ ...reply, error });

/** Why no answer came: the fault that an activity told, or that it gave none. */
export function toChatError(error: unknown): StepError {
  const cause = error instanceof ActivityFailure ? error.cause : error;
  if (cause instanceof ApplicationFailure) {
    const answer = cause.details?.[0] as StepAnswer | undefined;
    if (answer?.ended === 'failed') return answer.error;
    return stepError('internal_error', cause.message);
  }
  return stepError('outcome_unknown', 'The call was cut off; whether it took effect is not known');
}
