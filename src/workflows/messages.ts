/**
 * What can be said to an execution over Temporal: signal names with their payloads, and the query. Raw signals come from
 * anyone who may reach the namespace, so handlers check shapes; the rows decide what they may do (durability §2, §10).
 */
import { defineQuery, defineSignal } from '@temporalio/workflow';
import type { ApproveSignal } from '../activities/contract.js';
import type { Json, Value } from '../definition/value.js';
import type { StepError } from '../engine/types.js';

export const EXECUTION_WORKFLOW = 'execution';
/** Its id is the session's. */
export const CONVERSATION_WORKFLOW = 'conversation';

export const TASK_QUEUES = { core: 'signalbox', agent: 'signalbox-agent', shell: 'signalbox-shell' } as const;

/** A workflow task that is lost with its worker is handed out again after this (durability §3). */
export const WORKFLOW_TASK_TIMEOUT = '5s';

/** Wakes a gate. The row alone decides; a pending row takes the signal's own decision as the operator's vote. */
export const approveSignal = defineSignal<[ApproveSignal]>('approve');

/** `id` makes a repeat harmless and is the id of the command row when it comes from the API. `value` instead of `payload` may hold references. */
export interface EventSignal {
  readonly id?: string;
  readonly event: string;
  readonly payload?: Json;
  readonly value?: Value;
}
export const eventSignal = defineSignal<[EventSignal]>('event');

/** `id` is the command row's, absent on a raw signal; `by` is who asked, or of a raw signal a user id, e-mail or free text. */
export interface PauseSignal {
  readonly id?: string;
  readonly by?: string | { readonly id: string; readonly name: string };
}
export const pauseSignal = defineSignal<[PauseSignal]>('pause');
export const resumeSignal = defineSignal<[PauseSignal]>('resume');

/** A subworkflow's end, told to its parent's workflow id so that a hand-over of the parent loses nothing (durability §11). */
export interface ChildSignal {
  /** The command row's id. */
  readonly id: string;
  readonly executionId: string;
  readonly outcome: { readonly status: 'completed' | 'failed' | 'cancelled'; readonly output: Value; readonly error: StepError | null };
}
export const childSignal = defineSignal<[ChildSignal]>('child');

/** A message for the agent of a session: the conversation looks for what is to be answered. `id` is the command row's. */
export interface MessageSignal {
  readonly id: string;
  readonly messageId: string;
}
export const messageSignal = defineSignal<[MessageSignal]>('message');

/**
 * Stops the reply to a message up to `upTo`, if it is the one named (null: whichever). `id` is the command row's. One that comes before its
 * message was taken up stops that message.
 */
export interface StopSignal {
  readonly id?: string;
  readonly messageId: string | null;
  readonly upTo: number;
}
export const stopSignal = defineSignal<[StopSignal]>('stop');

/** What a conversation is started with, and what it takes across a hand-over. What waits to be answered stands in the rows. */
export interface ConversationInput {
  readonly sessionId: string;
  readonly ownerId: string;
  /** Commands that are done and not yet marked. */
  readonly delivered?: readonly string[];
  readonly pendingStop?: StopSignal;
  /** How long it waits for the next message before it completes; the next one starts it again. */
  readonly idleMs?: number;
}

/** The whole engine state, for operators. */
export const stateQuery = defineQuery<Json>('state');

/** Names of the Keyword search attributes, registered at deployment. */
export const SEARCH_ATTRIBUTES = {
  workflow: 'SignalboxWorkflow',
  owner: 'SignalboxOwner',
  status: 'SignalboxStatus',
  trigger: 'SignalboxTrigger',
} as const;
