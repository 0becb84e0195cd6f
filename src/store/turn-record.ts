/** A turn: one model call and its reply as chat shows it. Its row is an assistant's message. Types and pure rules. */
import type { Json } from '../definition/value.js';
import type { StepInstance } from '../engine/types.js';

export type TurnStatus = 'streaming' | 'canceled' | 'end_turn' | 'error';
export type TurnEndStatus = Exclude<TurnStatus, 'streaming'>;

/** Tokens of one turn. `estimated`: it was cut off, and its output was reckoned from what had arrived. */
export interface TurnUsage {
  readonly inputTokens: number;
  readonly outputTokens: number;
  readonly cacheReadTokens: number;
  readonly estimated?: true;
}

export interface TextPart {
  readonly type: 'text';
  readonly text: string;
}
export interface PartError {
  readonly code: string;
  readonly message: string;
}
export interface ToolCallPart {
  readonly type: 'tool-call';
  readonly callId: string;
  /** The tool's id, also when it was called through `call_tool`. */
  readonly toolName: string;
  readonly args: Json;
  readonly status: ToolCallStatus;
  readonly result: Json;
  readonly error: PartError | null;
}
export type ToolCallStatus = 'pending' | 'running' | 'completed' | 'error';
export interface ErrorPart {
  readonly type: 'error';
  readonly code: string;
  readonly message: string;
}
export interface FinishPart {
  readonly type: 'finish';
  readonly reason: string;
}
export type TurnPart = TextPart | ToolCallPart | ErrorPart | FinishPart;

/** Where a turn stands: which session and thread it is shown in, and which model call it is. */
export interface TurnPlace {
  readonly ownerId: string;
  readonly sessionId: string;
  readonly thread: string;
  readonly author: string;
  /**
   * What the repetitions of one model call have in common, unique in its step instance (in its session, where `of` is null): such as the call's
   * ordinal. The turn's `attempt` counts the turns of one call: 1, 2, 3 …
   */
  readonly call: string;
  /** The step instance that it is of; null: a conversation's. */
  readonly of: { readonly executionId: string; readonly instance: StepInstance } | null;
  /** In a conversation: the message that it answers. */
  readonly replyTo?: string;
}

/** What a reader sees of a turn beside its message. */
export interface TurnHead {
  readonly id: string;
  readonly status: TurnStatus;
  readonly attempt: number;
  readonly model: string | null;
  readonly usage: TurnUsage | null;
}

/** A turn as it is stored. */
export interface TurnRecord extends TurnHead {
  readonly messageId: string;
  readonly sessionId: string;
  readonly parts: readonly TurnPart[];
  /**
   * What the provider said, kept to be said to it again: the blocks of the reply, and what it was told of each call by callId. Null until the
   * model call has ended. Never shown.
   */
  readonly replay: TurnReplay | null;
}
export interface TurnReplay {
  readonly stopReason: string;
  readonly blocks: Json;
  /** Calls of the reply that were not kept, as it made too many. */
  readonly leftOut?: number;
  readonly results: { readonly [callId: string]: ToolReply };
}
export interface ToolReply {
  readonly content: Json;
  readonly isError: boolean;
}

/** Why a turn was given up that a person has stopped. */
export const STOPPED_REASON = 'stopped';

/** How a turn ends. `reason` stands in its `finish` part: the provider's stop reason, or why it was given up. */
export interface TurnEnd {
  readonly status: TurnEndStatus;
  readonly reason: string;
  readonly usage?: TurnUsage;
  /** Shown as the part `error` before `finish`. */
  readonly error?: PartError;
}

/** The text parts joined. Pure. */
export const turnText = (parts: readonly TurnPart[]): string => parts.map((part) => (part.type === 'text' ? part.text : '')).join('');

/** Its parts once nothing follows: open calls are errors `interrupted`, an error is told, `finish` is last. Pure. */
export function finishedParts(parts: readonly TurnPart[], { reason, error }: Pick<TurnEnd, 'reason' | 'error'>): TurnPart[] {
  const closed = parts.filter((part) => part.type !== 'finish').map(closedPart);
  return [...closed, ...(error === undefined ? [] : [{ type: 'error' as const, ...error }]), { type: 'finish', reason }];
}

const INTERRUPTED: PartError = { code: 'interrupted', message: 'The turn ended before this call had' };

function closedPart(part: TurnPart): TurnPart {
  return part.type === 'tool-call' && (part.status === 'pending' || part.status === 'running')
    ? { ...part, status: 'error', error: INTERRUPTED }
    : part;
}

/** What a turn that was cut off has cost: the input that was announced, and its characters / 4 (durability §14). Pure. */
export function estimatedUsage(parts: readonly TurnPart[], known: TurnUsage | null): TurnUsage {
  const characters = parts.reduce((sum, part) => sum + charactersOf(part), 0);
  return {
    inputTokens: known?.inputTokens ?? 0,
    outputTokens: Math.max(known?.outputTokens ?? 0, Math.ceil(characters / 4)),
    cacheReadTokens: known?.cacheReadTokens ?? 0,
    estimated: true,
  };
}

function charactersOf(part: TurnPart): number {
  if (part.type === 'text') return part.text.length;
  return part.type === 'tool-call' ? JSON.stringify(part.args).length : 0;
}
