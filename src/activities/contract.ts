/**
 * The activities as the workflow sees them. Types only: imported by `src/workflows` as `import type`.
 * Answers to a step that failed are thrown as ApplicationFailure (type = the error's code, non-retryable, details [StepAnswer]).
 */
import type { AgentOpened, AgentToolEnd, AgentTurn } from '../engine/agent/types.js';
import type {
  ActivityCommand,
  Carry,
  ExecutionOutcome,
  GateOutcome,
  Projection,
  Seed,
  SegmentResult,
  StartData,
  StepAnswer,
  Warning,
} from '../engine/types.js';
import type { Json, Value } from '../definition/value.js';
import type { EngineState } from '../engine/state.js';

export type { Carry };

/** What an activity of a step knows of its call: what the host told it, and what the run's row says. */
export interface Common extends Call, RunIdentity {}

/** What the host told it, nothing left out. */
export interface Call {
  readonly executionId: string;
  readonly engineVersion: number;
  readonly carry: Carry;
}

/** Of a run's row, fixed at its start: activities read it by the execution's id, once in a process. */
export interface RunIdentity {
  readonly ownerId: string;
  readonly sessionId: string;
  readonly workflowName: string;
  readonly planHash: string;
  /** Fixed at the start like the engine's version: a plan is found by its hash and its format. */
  readonly planFormat: number;
}

/** What the host tells every activity: as little as may be, since the server keeps each call in the history. */
export interface Told {
  readonly executionId: string;
  readonly engineVersion: number;
  readonly carry: ToldCarry;
}
/** Without the lists that are empty. */
export type ToldCarry = Projection & Partial<Pick<Carry, 'events' | 'delivered'>>;

/** The command of that name. One variant may stand for several names, which `Extract` by a single name would not find. */
type StepCommandOf<N extends ActivityCommand['name']> = ActivityCommand extends infer C
  ? C extends { readonly name: infer M }
    ? N extends M
      ? C
      : never
    : never
  : never;
type CommandOf<N extends ActivityCommand['name']> = Omit<StepCommandOf<N>, 'kind' | 'id' | 'name'>;

/** Light activities, task queue `signalbox`. */
export interface CoreActivities {
  tool(input: Told & CommandOf<'tool'>): Promise<StepAnswer>;
  notify(input: Told & CommandOf<'tool'>): Promise<StepAnswer>;
  openGate(input: Told & CommandOf<'open_gate'>): Promise<GateOutcome>;
  expireGate(input: Told & CommandOf<'expire_gate'>): Promise<GateOutcome>;
  /** Begins an agent step. @throws ApplicationFailure with the answer of the step that cannot begin */
  agentOpen(input: Told & CommandOf<'agent_open'>): Promise<AgentOpened & { readonly bundle?: string; readonly closed?: true }>;
  openCallGate(input: Told & CommandOf<'open_call_gate'>): Promise<GateOutcome>;
  agentClose(input: Told & CommandOf<'agent_close'>): Promise<{ readonly closed?: true }>;
  agentTool(input: Told & CommandOf<'agent_tool'>): Promise<{ readonly end: AgentToolEnd; readonly closed?: true }>;
  /** Local. The row after an `approve` signal; a pending row tries the signal's own decision (via `signal`). Null: no such gate in this execution. */
  readGate(input: Told & { readonly approvalId: string; readonly signal: ApproveSignal }): Promise<GateOutcome | null>;
  prepareChild(
    input: Told & CommandOf<'prepare_child'>,
  ): Promise<{ readonly executionId: string; readonly at: number; readonly workflowName: string }>;
  cancelChild(input: Told & { readonly childId: string; readonly reason: string }): Promise<void>;
  evaluate(input: Told & CommandOf<'evaluate'>): Promise<{ readonly value: Value; readonly warnings?: readonly Warning[] }>;
  store(input: Told & CommandOf<'store'>): Promise<readonly Value[]>;
  recover(input: Told & CommandOf<'recover'>): Promise<StepAnswer>;
  /** Runs a stretch of light steps on the state given, or fences its attempts off (`recover`). May repeat: it goes on behind its journal. */
  segment(input: Told & CommandOf<'segment'> & { readonly state: EngineState }): Promise<Omit<SegmentResult, 'of'>>;
  /** Local. The segments start nothing more. */
  haltSegments(input: Told & { readonly segments: readonly string[] }): Promise<void>;
  /** Local. Writes what is carried. `closed`: the execution's row had ended, nothing was written. Histories of earlier builds answer nothing. */
  flush(input: Told): Promise<{ readonly closed: boolean } | undefined>;
  /** Local. Settles the execution with the last events; answers with the end that stands in the row (a cancel may have won). */
  settle(input: Told & { readonly outcome: ExecutionOutcome }): Promise<{ readonly outcome: ExecutionOutcome }>;
  /** A raw Temporal cancel: row to `cancelling`, gates closed. Answers with the row's own reason and who asked; `proceed` false: the row has ended already. */
  beginCancel(
    input: Told & { readonly reason: string | null },
  ): Promise<{ readonly proceed: boolean; readonly reason: string | null; readonly by: Json }>;
  /**
   * First activity of a child, rerun or scheduled run. Null start: nothing to do, `outcome` says why. Seeds that are too many for one
   * answer come in pages: `nextSeed` is the `seedsFrom` of the next one, which answers with `seeds` alone.
   */
  load(input: {
    readonly executionId: string | null;
    readonly triggerId?: string;
    readonly firstExecutionRunId: string;
    readonly seedsFrom?: number;
  }): Promise<{ readonly start: StartData | null; readonly outcome?: Json; readonly seeds?: readonly Seed[]; readonly nextSeed?: number }>;
}
/** Task queue `signalbox-agent`. */
export interface AgentActivities {
  /** One model call of an agent loop; with `scope`, the whole step as engine version 1 orders it. */
  agentTurn(
    input: Told & (CommandOf<'agent_turn'> | CommandOf<'agent_prompt_v1'>),
  ): Promise<{ readonly turn: AgentTurn; readonly closed?: true } | StepAnswer>;
}
/** Task queue `signalbox-shell`. */
export interface ShellActivities {
  bash(input: Told & CommandOf<'bash'>): Promise<StepAnswer>;
  tool: CoreActivities['tool'];
  agentTool: CoreActivities['agentTool'];
}

/** Payload of the `approve` signal, as anyone may send it. */
export interface ApproveSignal {
  readonly approvalId: string;
  readonly decision?: 'approve' | 'deny';
  readonly by?: string;
  readonly reason?: string;
  readonly answer?: Json;
}
