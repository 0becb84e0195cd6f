/**
 * What crosses the engine's border: inputs, commands, events, and what an activity is told of a step. Plain JSON, types
 * only. The state itself is in state.ts.
 */
import type { Plan, StepType } from '../definition/plan.js';
import type { Json, Value } from '../definition/value.js';
import type { AgentOpened, AgentOrder, AgentToolEnd, AgentTurn } from './agent/types.js';
import type { GateOutcome, StepAnswer, StepError, StepInstance, TokenUsage, Warning } from './outcomes.js';

export type * from './outcomes.js';

/** 2: light steps run in segments. */
export const ENGINE_VERSION = 2;

/** The values an activity may read, by root and name: only what the step's templates and expressions name. */
export type ScopeSlice = { readonly [root: string]: { readonly [name: string]: Value } };

/** Which expression of the plan an `evaluate` activity is to evaluate; '' as stepId is the root `output`. */
export interface ExpressionSite {
  readonly stepId: string;
  readonly field:
    | 'when'
    | 'condition'
    | 'case'
    | 'over'
    | 'while'
    | 'until'
    | 'collect'
    | 'values'
    | 'duration'
    | 'until_instant'
    | 'event'
    | 'match'
    | 'message'
    | 'output'
    | 'items'
    | 'results'
    | 'thread';
  /**
   * The n-th case, the n-th value of a set (without an index: all of them, as the object they make); in `output` of a set, its n-th member. For `items`, the first index of the chunk wanted of the list in `scope.loop.list` (a stored value):
   * the answer is chunkOf's `{ length, items }`, a single item over 32 KB as a reference; no list is the fault loop_over_not_array.
   * For `results`, the lists in the list `scope.loop.results`, read and put together as one list.
   */
  readonly index?: number;
}

interface StepCall {
  readonly instance: StepInstance;
  readonly stepType: StepType;
  readonly scope: ScopeSlice;
  /** `now()` for every template of the step, in ms. */
  readonly nowMs: number;
  /** What is left of the step's own time limit, in ms; kept inside the activity. */
  readonly timeoutMs: number | null;
}

type AgentCallOf<O> = Omit<O, 'order'> & {
  readonly instance: StepInstance;
  readonly stepType: 'agent_prompt';
  readonly nowMs: number;
  readonly thread: string;
  /** What was said before, as `agent_open` got it. */
  readonly entries: readonly string[];
};

/** An activity that the engine orders. `id` is the Temporal activity id: step instance plus purpose, unique in the execution. */
export type ActivityCommand =
  | ({
      readonly kind: 'activity';
      readonly id: string;
      readonly name: 'tool' | 'bash' | 'notify';
      /** Of a tool that works in the run's workspace; absent: where its activity always runs. */
      readonly queue?: 'shell';
    } & StepCall)
  /** Engine version 1: the whole step as one model turn with a text reply. */
  | ({ readonly kind: 'activity'; readonly id: string; readonly name: 'agent_prompt_v1'; readonly turn: number } & StepCall)
  /**
   * Begins an agent step: fills its prompt and writes it to the thread. `entries`: what was said in the thread before (engine/agent/threads.ts); of
   * these the last `own` may be stored as one.
   */
  | ({
      readonly kind: 'activity';
      readonly id: string;
      readonly name: 'agent_open';
      readonly thread: string;
      readonly entries: readonly string[];
      readonly own: number;
    } & StepCall)
  /** One model call. What it asks is in the transcript, and what the opening has recorded of the step. */
  | ({ readonly kind: 'activity'; readonly id: string; readonly name: 'agent_turn' } & AgentCallOf<Extract<AgentOrder, { order: 'turn' }>>)
  /** One tool call of a turn, or the refusal that a gate made of it. */
  | ({ readonly kind: 'activity'; readonly id: string; readonly name: 'agent_tool' } & AgentCallOf<Extract<AgentOrder, { order: 'tool' }>>)
  /** Opens the gate of a held call; answers with its row. */
  | ({ readonly kind: 'activity'; readonly id: string; readonly name: 'open_call_gate' } & AgentCallOf<
      Extract<AgentOrder, { order: 'open_gate' }>
    >)
  /** Finalises what is left open of the step's turns. */
  | {
      readonly kind: 'activity';
      readonly id: string;
      readonly name: 'agent_close';
      readonly instance: StepInstance;
      readonly stepType: 'agent_prompt';
      readonly status: 'canceled' | 'error';
      readonly error: StepError | null;
    }
  /** Opens the gate's row; answers with the row. `deadlineAt` ms. */
  | ({ readonly kind: 'activity'; readonly id: string; readonly name: 'open_gate'; readonly deadlineAt: number } & StepCall)
  /** Tries pending → `to` (its deadline came; its step was aborted); answers with the row as it then is. */
  | {
      readonly kind: 'activity';
      readonly id: string;
      readonly name: 'expire_gate';
      readonly instance: StepInstance;
      readonly approvalId: string;
      readonly to: 'expired' | 'cancelled';
    }
  /** Resolves and pins the child's version, renders its input, inserts its row; answers with its id. */
  | ({ readonly kind: 'activity'; readonly id: string; readonly name: 'prepare_child'; readonly depth: number } & StepCall)
  /** Evaluates what the host may not: inside references, secrets, heavy functions. */
  | {
      readonly kind: 'activity';
      readonly id: string;
      readonly name: 'evaluate';
      readonly instance: StepInstance;
      readonly site: ExpressionSite;
      readonly scope: ScopeSlice;
      readonly nowMs: number;
    }
  /** Stores the values; answers with them by reference, in order. */
  | {
      readonly kind: 'activity';
      readonly id: string;
      readonly name: 'store';
      readonly instance: StepInstance;
      readonly values: readonly Value[];
    }
  /**
   * Runs a stretch of light steps (durability §6) on the state that `EngineState.segments` holds under `id`. `recover`: only fences the
   * attempts off that gave no answer, and answers with what they had recorded. `timeoutMs`: how long it may wait for a worker. `endsAt`: when
   * the time limit of a container around it comes, in ms, if there is one.
   */
  | {
      readonly kind: 'activity';
      readonly id: string;
      readonly name: 'segment';
      readonly segment: string;
      readonly instance: StepInstance;
      readonly timeoutMs: number | null;
      readonly endsAt?: number;
      readonly recover?: true;
    }
  /** Fences a step off whose activity gave no answer, and settles its row. */
  | {
      readonly kind: 'activity';
      readonly id: string;
      readonly name: 'recover';
      readonly instance: StepInstance;
      readonly stepType: StepType;
      readonly settle: StepAnswer;
    };

/** How an execution ends. `error` with failed; `reason` with cancelled (`cancel_requested`, `approval_denied`, `stopped`, or free text). */
export interface ExecutionOutcome {
  readonly status: 'completed' | 'failed' | 'cancelled';
  readonly output: Value;
  readonly error: StepError | null;
  readonly reason: string | null;
  /** True when a request from outside cancelled it: Temporal then shows Canceled, else Completed. */
  readonly requested: boolean;
}

export type Command =
  | ActivityCommand
  | { readonly kind: 'cancel_activity'; readonly id: string }
  /** An absolute instant in ms; answered by input `timer` once, unless cancelled. Ids are unique in the execution. */
  | { readonly kind: 'timer'; readonly id: string; readonly at: number; readonly instance: StepInstance | null }
  | { readonly kind: 'cancel_timer'; readonly id: string }
  /** Starts the prepared child (parent-close policy abandon); answered by `child_started`; awaited ones report by `child_ended`. */
  | { readonly kind: 'start_child'; readonly id: string; readonly executionId: string; readonly instance: StepInstance }
  /** Asks a child to cancel (by the operation, so that its row goes first). */
  | { readonly kind: 'cancel_child'; readonly executionId: string; readonly reason: string }
  /** The last command: nothing follows. */
  | { readonly kind: 'finish'; readonly outcome: ExecutionOutcome };

export type ActivityResult =
  | { readonly of: 'step'; readonly answer: StepAnswer }
  | { readonly of: 'gate'; readonly gate: GateOutcome }
  /** A step fault before the gate/child existed arrives as of: 'step' with failed. */
  | { readonly of: 'child'; readonly executionId: string; readonly at: number; readonly workflowName?: string }
  | { readonly of: 'value'; readonly value: Value; readonly warnings?: readonly Warning[] }
  | { readonly of: 'values'; readonly values: readonly Value[] }
  /** The evaluation failed: an `expression_error` (or whichever code) of the step. */
  | { readonly of: 'fault'; readonly error: StepError }
  | SegmentResult
  | ({ readonly of: 'agent_open'; readonly closed?: true; readonly bundle?: string } & AgentOpened)
  | { readonly of: 'agent_turn'; readonly turn: AgentTurn; readonly closed?: true }
  | { readonly of: 'agent_tool'; readonly end: AgentToolEnd; readonly closed?: true }
  | { readonly of: 'agent_close'; readonly closed?: true }
  /** No answer came (schedule-to-close, heartbeat lost with no retry left): the engine orders `recover`. */
  | { readonly of: 'lost'; readonly timedOut: boolean };

/** An answer that a segment's engine was fed, or the order to start nothing more. `at` in ms. */
export type SegmentInput = { readonly at: number } & (
  | { readonly kind: 'answered'; readonly id: string; readonly result: ActivityResult }
  | { readonly kind: 'halt' }
);

/** An answer of a call that was aborted with its segment. */
export interface LateAnswer {
  readonly id: string;
  readonly at: number;
  readonly result: ActivityResult;
}

/** What a segment did: its inputs in the order fed, and a hash of the state that they led to; null: it never ran. */
export interface SegmentResult {
  readonly of: 'segment';
  readonly inputs: readonly SegmentInput[];
  readonly hash: string | null;
  /** Answers that were not fed to it: the host's engine gets them behind the rest. */
  readonly late: readonly LateAnswer[];
  /** It ended at `endsAt`, and what it had in flight with it. */
  readonly outOfTime?: true;
  /** Its attempts are fenced off; calls that it has no answer of are lost. */
  readonly lost?: true;
  /** The execution's row had ended. As for a step, the host ends the workflow. */
  readonly closed?: true;
}

/** Everything that happens to an execution. `at` is the time of the input in ms; the engine never lets time go back. */
export type Input = { readonly at: number } & (
  | { readonly kind: 'start' }
  | { readonly kind: 'answered'; readonly id: string; readonly result: ActivityResult }
  | { readonly kind: 'timer'; readonly id: string }
  /** A gate's row was read after a signal; pending rows change nothing. */
  | { readonly kind: 'gate'; readonly gate: GateOutcome }
  /** `id` makes a repeat harmless. */
  | { readonly kind: 'event'; readonly id: string; readonly event: string; readonly payload: Value }
  | { readonly kind: 'child_started'; readonly id: string }
  | {
      readonly kind: 'child_ended';
      readonly executionId: string;
      readonly outcome: { readonly status: 'completed' | 'failed' | 'cancelled'; readonly output: Value; readonly error: StepError | null };
    }
  | { readonly kind: 'cancel'; readonly reason: string | null; readonly by: Json }
  /** `id` is the command's, absent on a raw signal: a repeat that comes behind a later command must not undo it. */
  | { readonly kind: 'pause'; readonly id?: string; readonly by: Json }
  | { readonly kind: 'resume'; readonly id?: string; readonly by: Json }
  /** Goes on with a pure stretch that was cut after 1,000 steps (`more`). */
  | { readonly kind: 'continue' }
  /** In a segment: starts nothing more. */
  | { readonly kind: 'halt' }
);

export type EventKind =
  | 'execution.started'
  | 'execution.waiting'
  | 'execution.paused'
  | 'execution.resumed'
  | 'execution.cancelling'
  | 'execution.completed'
  | 'execution.failed'
  | 'execution.cancelled'
  | 'step.started'
  | 'step.completed'
  | 'step.failed'
  | 'step.retrying'
  | 'step.skipped'
  | 'step.cancelled'
  | 'step.waiting'
  | 'approval.required'
  | 'approval.voted'
  | 'approval.approved'
  | 'approval.denied'
  | 'approval.expired'
  | 'approval.cancelled'
  | 'approval.reminded'
  | 'approval.escalated'
  | 'agent.turn'
  | 'agent.tool_call'
  | 'agent.repair'
  | 'agent.failover';

/**
 * An event as the engine tells it. Key in the log: (execution, step instance, kind, ordinal). `data` is display JSON for readers;
 * `record` is what the step's row keeps (Values), where the event projects on one.
 */
export interface EngineEvent {
  readonly kind: EventKind;
  readonly ordinal: string;
  readonly at: number;
  readonly instance: StepInstance | null;
  readonly stepType?: StepType;
  readonly data: { readonly [key: string]: Json };
  readonly record?: {
    readonly input?: Value;
    readonly output?: Value;
    readonly error?: StepError;
    readonly warnings?: readonly Warning[];
    readonly choice?: Json;
    readonly usage?: TokenUsage;
    readonly model?: string;
    readonly turnIds?: readonly string[];
    readonly seeded?: true;
  };
}

export type ExecutionStatus =
  | 'pending'
  | 'running'
  | 'waiting_approval'
  | 'waiting_event'
  | 'paused'
  | 'cancelling'
  | 'completed'
  | 'failed'
  | 'cancelled';
/** done/total count top-level steps; current are the step ids of open leaves (at most 50). */
export interface Progress {
  readonly done: number;
  readonly total: number;
  readonly current: readonly string[];
}

/** Projection of the engine on the execution's row: taken only when `counter` is higher than the row's. */
export interface Projection {
  readonly counter: number;
  readonly status: ExecutionStatus;
  readonly progress: Progress;
}

/** What every activity brings along for the log, whichever runs first writes it. Writing twice changes nothing. */
export interface Carry extends Projection {
  readonly events: readonly EngineEvent[];
  /** Ids of commands from outside that the engine has applied. */
  readonly delivered: readonly string[];
}

export interface AdvanceResult<State> {
  readonly state: State;
  readonly commands: readonly Command[];
  readonly events: readonly EngineEvent[];
  /** A pure stretch was cut: feed `continue` after the events are flushed. */
  readonly more: boolean;
}

export interface ExecutionMeta {
  readonly id: string;
  readonly ownerId: string;
  readonly workflowId: string | null;
  readonly workflowName: string;
  readonly version: string;
  readonly hash: string;
  readonly sessionId: string;
  readonly triggerType: string;
  /** How many executions above it in a chain of subworkflows; 0 at the root. */
  readonly depth: number;
  readonly parent: {
    readonly executionId: string;
    readonly stepId: string;
    readonly iterationPath: string;
    readonly awaited: boolean;
  } | null;
}

/**
 * A recorded step instance for a rerun (durability §13). `done`: take the record, execute nothing (children of a container are walked again
 * with their own seeds). `open`: enter it with the recorded choice (list of a loop, branch, case), as the target lies inside.
 */
export interface Seed {
  readonly stepId: string;
  readonly iterationPath: string;
  readonly attempt: number;
  readonly stepType: StepType;
  readonly status: 'completed' | 'failed' | 'skipped';
  readonly how: 'done' | 'open';
  readonly output: Value;
  readonly error: StepError | null;
  readonly choice: Json;
}

/** Everything a new execution starts from; fixed for its life. */
export interface StartData {
  readonly engineVersion: number;
  readonly plan: Plan;
  readonly execution: ExecutionMeta;
  /** After defaults; `_trigger` and `_payload` included. */
  readonly variables: { readonly [name: string]: Value };
  readonly seeds?: readonly Seed[];
}

/** The argument of workflow type `execution`. */
export type ExecutionInput<State = unknown> =
  | { readonly kind: 'start'; readonly start: StartData }
  /** Children, reruns, scheduled runs: the first activity (`load`) answers with the StartData, or says that there is nothing to do. */
  | { readonly kind: 'load'; readonly executionId: string | null; readonly triggerId?: string }
  /** A hand-over: state and what the host itself keeps. */
  | { readonly kind: 'continued'; readonly start: Omit<StartData, 'seeds'>; readonly state: State; readonly host: Json }
  /** The same when it is large (workflows/handed-over.ts). */
  | { readonly kind: 'packed' };
