/**
 * The engine's state: plain JSON at all times, so that "hand over" is "serialise". Fibers are explicit stacks of frames; a
 * scope lies on the block frame that opened it, and look-up walks the frames outwards, so nothing is ever copied. One fiber
 * with the frames below it is all that a stretch of its steps can see.
 */
import type { Value } from '../definition/runtime.js';
import type { AgentData } from './agent/agent-data.js';
import type {
  ExecutionMeta,
  ExecutionOutcome,
  ExecutionStatus,
  GateOutcome,
  Seed,
  StartData,
  StepError,
  StepInstance,
  Warning,
} from './types.js';

export interface EngineState {
  readonly engineVersion: number;
  readonly execution: ExecutionMeta;
  /** How many inputs were handled. */
  counter: number;
  nowMs: number;
  isStarted: boolean;
  startedAt: number;
  /** Source of ids: events, fibers, timers. */
  serial: number;
  fibers: Record<string, Fiber>;
  /** Fibers that can go on, first come first served. */
  ready: string[];
  /** Fibers held at a boundary by a pause, in the order of resuming. */
  parked: string[];
  /** Timers that fired while paused and whose consequence starts at resume. */
  deferred: string[];
  /** Activities in flight, by command id. */
  calls: Record<string, Call>;
  timers: Record<string, Timer>;
  /** Open gates and started children, by id: who waits for them. */
  gates: Record<string, string>;
  children: Record<string, string>;
  /** Ends of children that came before the engine knew the child. */
  earlyEnds: Record<string, ChildEnd>;
  inbox: InboxEvent[];
  /** Ids of handled outside events, pauses and resumes, newest last; bounded. */
  handledEvents: string[];
  paused: boolean;
  ending: Ending | null;
  finished: boolean;
  status: ExecutionStatus;
  /** Step instances entered, containers counted, attempts not. */
  steps: number;
  /** Top-level steps that are over. */
  done: number;
  /** Rough bytes published since the inline values were last measured. */
  grown: number;
  /** Tokens of agents: used by calls that have ended, and set aside for those in flight. */
  tokens?: { used: number; reserved: number };
  /** The one `store` in flight, and whose values it stores. */
  storing: {
    readonly id: string;
    readonly places: readonly { readonly address: string; readonly passes: number; readonly print: string }[];
  } | null;
  /** Recorded instances not yet taken, by `path|stepId`. */
  seeds: Record<string, Seed>;
  /** Stretches that run in an activity, by id. States of engine version 1 have none. */
  segments?: Record<string, OpenSegment>;
  /** This state is such a stretch, not the run itself. */
  segment?: SegmentBounds;
}

/** A fiber's stretch while an activity runs it: the state that it was given. */
export interface OpenSegment {
  readonly given: EngineState;
  /** When the first time limit around it comes, in ms. */
  readonly endsAt?: number;
}

export interface SegmentBounds {
  /** Begins every id that is made in it: unique in the execution, and the same on both sides. */
  readonly id: string;
  /** The fiber that it runs. */
  readonly fiber: string;
  readonly reserved: number;
  /** How many step instances may still be entered. */
  stepsLeft: number;
}

export interface Scope {
  variables: Record<string, Value>;
  outputs: Record<string, Value>;
  /** What was said in agents' threads in this scope, by the thread's name. */
  threads?: Record<string, readonly string[]>;
}

export interface Fiber {
  readonly id: string;
  /** The container frame that it works for, and which of its branches or passes it is; null at the root. */
  readonly parent: { readonly fiber: string; readonly frame: number; readonly slot: number } | null;
  frames: Frame[];
  /** Null: in `ready`, or running right now. */
  wait: Wait | null;
  /** The one activity that it has in flight. */
  call: { readonly id: string; cancelSent: boolean } | null;
  /** Outermost first. */
  unwinds: Unwind[];
  cleanupTimer: string | null;
  end: FiberEnd | null;
}

export type Wait =
  | { readonly on: 'call' | 'children' | 'retry' | 'pause' | 'ending' | 'child_start' | 'cancel' }
  /** Its stretch is ordered when what is inline has been stored. */
  | { readonly on: 'store' }
  | { readonly on: 'gate'; readonly approvalId: string }
  | { readonly on: 'timer'; readonly until: number }
  | { readonly on: 'event'; readonly event: string }
  | { readonly on: 'child'; readonly executionId: string };

/** Take down all frames above `depth`; then fail the step at `depth` with `error`, or, at -1, end the fiber. */
export interface Unwind {
  readonly depth: number;
  readonly error: StepError | null;
  deadline: number;
  /** The clean-up's time is over: no `finally` any more. */
  hard: boolean;
}

export type FiberEnd =
  | {
      readonly ended: 'completed';
      readonly output: Value;
      readonly scope: Scope;
      readonly high: number;
      readonly stop: boolean;
      readonly fault: StepError | null;
    }
  | { readonly ended: 'failed'; readonly error: StepError; readonly high: number }
  | { readonly ended: 'cancelled'; readonly high: number };

export type Frame = BlockFrame | StepFrame;

/** Answers of `evaluate` for the expression that is being evaluated, by site. */
export type SiteAnswers = Record<string, { readonly value: Value } | { readonly error: StepError }>;

export interface BlockFrame {
  readonly k: 'block';
  /** Step that the block belongs to; '' is the root. */
  readonly owner: string;
  /** Which block of it: the iteration path's word (`then`, `c1`, `catch0`, `b2`, …); `i` for a loop's body. */
  readonly slot: string;
  readonly path: string;
  index: number;
  /** Attempts of the steps in it start above `base`; `high` is the highest used so far. */
  readonly base: number;
  high: number;
  last: Value;
  scope?: Scope;
  /** One pass of a loop. The item is in the loop's list, unless that is stored elsewhere. */
  pass?: { readonly index: number; item?: Value; stop?: true; fault?: StepError };
  /** Names that only this block sees: `as` of a catch. */
  local?: Record<string, Value>;
  /** What a catch block is to handle. */
  caught?: StepError;
  /** A `finally`: an abort from outside lets it finish. */
  shield?: true;
  answers?: SiteAnswers;
}

export interface StepFrame {
  readonly k: 'step';
  readonly stepId: string;
  readonly path: string;
  attempt: number;
  readonly first: number;
  /** Attempts of its children start above this. */
  childBase: number;
  high: number;
  phase: 'enter' | 'begin' | 'run' | 'delay' | 'ended';
  /** Its attempt has a row: it must be told how it ended. */
  started: boolean;
  data: StepData | null;
  end: StepEnd | null;
  /** Told already, so that a pause between telling and going on tells nothing twice. */
  told: boolean;
  /** `recover` was ordered: the next loss is final. */
  recovering?: true;
  input?: Value;
  answers?: SiteAnswers;
  warnings?: readonly Warning[];
  /** Timer of the step's own limit or retry. */
  timer: string | null;
  /** Of an agent step, over its attempts: when its time is over, and what it has used. */
  budget?: { deadlineAt: number; tokens: number };
  seed?: Seed;
}

/** How an attempt ended. `recorded`: its activity has written the row and the event. */
export type StepEnd = { readonly recorded: boolean } & (
  | { readonly ended: 'completed'; readonly output: Value }
  | { readonly ended: 'failed'; readonly error: StepError }
  | { readonly ended: 'cancelled' }
  /** Not done here, and what follows goes on: a gate in a clean-up. */
  | { readonly ended: 'passed_over'; readonly reason: string }
  /** Ends the run: `stop` (its row completed), or a denied gate (its row failed with `error`). */
  | { readonly ended: 'finishes'; readonly outcome: ExecutionOutcome; readonly error: StepError | null; readonly output: Value }
);

export interface BranchData {
  status: 'running' | 'completed' | 'failed' | 'cancelled';
  fiber: string | null;
  scope: Scope | null;
  error: StepError | null;
}
export interface ParallelData {
  type: 'parallel';
  branches: BranchData[];
  successes: number;
  decided: 'completed' | 'failed' | null;
  error: StepError | null;
}
export interface LoopData {
  type: 'loop';
  /** The list of `over`, once; null for `while`. */
  list: Value | null;
  count: number | null;
  /** The part of a list by reference that was read last. */
  chunk: { readonly from: number; readonly items: readonly Value[] } | null;
  next: number;
  failed: number;
  /** Results of the passes behind those that went out, and the lists of those that did. */
  results: Value[];
  stored: Value[];
  storedPasses: number;
  /** Fibers of running passes. */
  running: string[];
  /** What concurrent passes wrote, by name, with the pass that wrote it: the highest pass wins. */
  merged: { variables: Record<string, PassWrite>; outputs: Record<string, PassWrite>; threads?: PassThreads[] };
  stop: boolean;
  error: StepError | null;
}
export interface PassThreads {
  readonly pass: number;
  readonly threads: Record<string, readonly string[]>;
}
export interface PassWrite {
  readonly pass: number;
  readonly value: Value;
}
export interface TryData {
  type: 'try';
  stage: 'body' | 'catch' | 'finally' | 'over';
  handler: number | null;
  /** What the try ends with once `finally` is through; null while unwinding. */
  outcome: { readonly output: Value } | { readonly error: StepError } | null;
}
export interface BranchingData {
  type: 'branching';
  output: Value;
  slot: string | null;
}
export interface GateData {
  type: 'gate';
  approvalId: string | null;
  readonly deadlineAt: number;
  timer: string | null;
  /** Settled while its own expiry was in flight: whose answer says the same. */
  gate: GateOutcome | null;
  /** It is being closed because its step is aborted. */
  closing: boolean;
  /** How often its closing got lost. */
  losses: number;
}
export interface WaitData {
  type: 'wait';
  until: number;
}
export interface EventData {
  type: 'event';
  event: string;
  /** Every event up to this one was looked at; `asking` is the one that `match` is being evaluated for. */
  seen: number;
  asking: number | null;
  timer: string | null;
  deadlineAt: number | null;
  expired: boolean;
  told: boolean;
}
export interface ChildData {
  type: 'child';
  executionId: string | null;
  started: boolean;
  cancelSent: boolean;
}
export type StepData = ParallelData | LoopData | TryData | BranchingData | GateData | WaitData | EventData | ChildData | AgentData;

export interface Call {
  readonly fiber: string;
  readonly name: string;
  readonly instance: StepInstance;
  /** Site key of an `evaluate`. */
  readonly site?: string;
  /** Which segment it runs. */
  readonly segment?: string;
  /** One of several that a step has in flight at once: what it is for, in the step's own words. */
  readonly part?: string;
}
export interface Timer {
  readonly fiber: string;
  readonly frame: number;
  readonly purpose: 'timeout' | 'retry' | 'wait' | 'gate' | 'event' | 'cleanup' | 'max_duration';
  readonly at: number;
  readonly instance: StepInstance | null;
}
export interface InboxEvent {
  readonly seq: number;
  readonly event: string;
  readonly payload: Value;
  readonly at: number;
}
export interface ChildEnd {
  readonly status: 'completed' | 'failed' | 'cancelled';
  readonly output: Value;
  readonly error: StepError | null;
}
export interface Ending {
  outcome: ExecutionOutcome;
  readonly deadline: number;
  steps: number;
}

export const ROOT_FIBER = 'f0';

export const seedKey = (path: string, stepId: string): string => `${path}|${stepId}`;

/** The state before the input `start`. Pure; `startedAt` becomes the time of that input. */
export function initialState(start: StartData): EngineState {
  const seeds: Record<string, Seed> = {};
  for (const seed of start.seeds ?? []) seeds[seedKey(seed.iterationPath, seed.stepId)] = seed;
  return {
    engineVersion: start.engineVersion,
    execution: start.execution,
    counter: 0,
    nowMs: 0,
    isStarted: false,
    startedAt: 0,
    serial: 0,
    fibers: { [ROOT_FIBER]: rootFiber(start) },
    ready: [],
    parked: [],
    deferred: [],
    calls: {},
    timers: {},
    gates: {},
    children: {},
    earlyEnds: {},
    inbox: [],
    handledEvents: [],
    paused: false,
    ending: null,
    finished: false,
    status: 'pending',
    steps: 0,
    done: 0,
    grown: 0,
    storing: null,
    seeds,
  };
}

function rootFiber(start: StartData): Fiber {
  const scope: Scope = { variables: { ...start.variables }, outputs: {} };
  return { ...newFiber(ROOT_FIBER, null), frames: [newBlock({ owner: '', slot: '', path: '', base: 0, scope })] };
}

export function newFiber(id: string, parent: Fiber['parent']): Fiber {
  return { id, parent, frames: [], wait: { on: 'call' }, call: null, unwinds: [], cleanupTimer: null, end: null };
}

export function newBlock(fields: Pick<BlockFrame, 'owner' | 'slot' | 'path' | 'base'> & Partial<BlockFrame>): BlockFrame {
  return { k: 'block', index: 0, high: fields.base, last: { v: null }, ...fields };
}
