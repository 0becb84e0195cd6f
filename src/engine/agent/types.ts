/**
 * The agent loop's border: what it is told, what it orders, how it ends. Plain JSON, types only. Texts (prompts, replies, arguments,
 * results) never cross it: they lie in the transcript, and ids say where.
 */
import type { Value } from '../../definition/runtime.js';
import type { GateOutcome, StepError, TokenUsage, Warning } from '../outcomes.js';

/** Fixed for one loop. */
export interface AgentRules {
  /** Model turns; repetitions of one are not counted. */
  readonly maxTurns: number;
  /** Whether the last reply has to fit an output schema. */
  readonly isStructured: boolean;
}

/** Where a tool call of a model stands. `due`: to be ordered. `held`: its gate is open. `refused`: the turn has answered it already. */
export type CallStatus = 'due' | 'running' | 'to_hold' | 'opening' | 'held' | 'expiring' | 'over';

export interface AgentCall {
  readonly callId: string;
  readonly queue: ToolQueue;
  readonly status: CallStatus;
  readonly approvalId: string | null;
}
export type ToolQueue = 'core' | 'shell';

/** `due`: a model call is to be made. `calling`: one is in flight. `tools`: calls of the turn are under way. */
export type AgentPhase = 'opening' | 'due' | 'calling' | 'tools' | 'over';

export interface AgentState {
  readonly phase: AgentPhase;
  /** In order of preference; `model` is the index of the one in use. */
  readonly models: readonly string[];
  readonly model: number;
  /** From 1. */
  readonly turn: number;
  /** Model calls ordered so far: repetitions of a turn count. */
  readonly call: number;
  /** Turn ids of what this turn has given up (failover, repair). */
  readonly attempts: readonly string[];
  /** Turn ids of replies that did not fit: later requests of the loop quote them. */
  readonly misfits: readonly string[];
  /** Characters of the next request, without results that are still to come. */
  readonly characters: number;
  /** Tokens set aside for the call in flight. */
  readonly reserved: number;
  readonly usage: TokenUsage;
  readonly turnIds: readonly string[];
  /** The turn whose calls are under way. */
  readonly turnId: string | null;
  readonly calls: readonly AgentCall[];
  readonly end: AgentEnd | null;
  /** Whether a turn may still be open in the chat when the loop ends. */
  readonly isTurnOpen: boolean;
}

export type AgentEnd =
  | { readonly ended: 'completed'; readonly output: Value; readonly warnings: readonly Warning[]; readonly model: string }
  | { readonly ended: 'failed'; readonly error: StepError };

/** The prompt is in the transcript; nothing was asked yet. */
export interface AgentOpened {
  readonly at: number;
  readonly models: readonly string[];
  /** Of the first request: system, tools, thread and prompt. */
  readonly characters: number;
}

/** What a model call came to. Usage counts all of it, tries that a crash cut off included. */
export type AgentTurn = {
  readonly at: number;
  readonly turnIds: readonly string[];
  readonly usage: TokenUsage;
} & (
  | {
      readonly got: 'calls';
      readonly turnId: string;
      /** What the reply adds to the next request, with the answers of calls that were refused at once. */
      readonly characters: number;
      readonly calls: readonly { readonly callId: string; readonly queue: ToolQueue; readonly way: 'run' | 'hold' | 'refused' }[];
    }
  | { readonly got: 'reply'; readonly turnId: string; readonly output: Value; readonly warnings?: readonly Warning[] }
  /** `characters`: of the reply and of what it will be told. `problem`: what does not fit, without the reply's own text. */
  | { readonly got: 'misfit'; readonly turnId: string; readonly characters: number; readonly problem: string }
  | { readonly got: 'fault'; readonly error: StepError; readonly failover: boolean }
  | { readonly got: 'cancelled' }
);

/** A tool call has ended; the model gets its result or its error. */
export interface AgentToolEnd {
  readonly at: number;
  readonly ended: 'completed' | 'error' | 'cancelled';
  readonly characters: number;
}

export type AgentInput =
  | { readonly kind: 'opened'; readonly opened: AgentOpened }
  | { readonly kind: 'turn'; readonly turn: AgentTurn }
  | { readonly kind: 'tool'; readonly callId: string; readonly end: AgentToolEnd }
  /** The row of a held call's gate: when it opened, when it was decided, when its time was over. */
  | { readonly kind: 'gate'; readonly callId: string; readonly gate: Pick<GateOutcome, 'approvalId' | 'status'> }
  /** The gate's time is over. */
  | { readonly kind: 'deadline'; readonly callId: string }
  /** No answer came of what was ordered for the call, or of the model call. */
  | { readonly kind: 'failed'; readonly error: StepError };

/** What is to be done. The ids in it make repeats the same: `call` for a model call, `callId` for the rest. */
export type AgentOrder =
  | {
      readonly order: 'turn';
      readonly call: number;
      readonly turn: number;
      readonly model: string;
      /** The most that the reply may be. */
      readonly maxTokens: number;
      readonly attempts: readonly string[];
      readonly misfits: readonly string[];
    }
  /** `approvalId`: run it as its gate's row says; null: nobody has to be asked. */
  | {
      readonly order: 'tool';
      readonly turnId: string;
      readonly callId: string;
      readonly queue: ToolQueue;
      readonly approvalId: string | null;
    }
  | { readonly order: 'open_gate'; readonly turnId: string; readonly callId: string; readonly deadlineAt: number }
  /** Tries pending → expired; the gate's time is over. */
  | { readonly order: 'expire_gate'; readonly callId: string; readonly approvalId: string };

/** What a budget allows. `left` null: there is none. `mayGrow`: others hold reservations that will become less. */
export interface AgentBudget {
  readonly left: number | null;
  readonly mayGrow: boolean;
}

/** For the log: another model is asked. */
export interface AgentFailover {
  readonly turn: number;
  readonly from: string;
  readonly to: string;
  readonly code: string;
  readonly status: number | null;
  readonly type: string | null;
}
