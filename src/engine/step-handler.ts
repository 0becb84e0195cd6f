/** What every step type brings to the machine. Its functions change the frame and say what follows; the machine acts on it. */
import type { PlanStep, Value } from '../definition/runtime.js';
import type { At } from './run.js';
import type { BlockFrame, ChildEnd, FiberEnd, StepEnd, Timer } from './state.js';
import type { ActivityResult, GateOutcome, StepError } from './types.js';

/** `wait`: the fiber is blocked, its `wait` says on what. `on`: look at the top frame again. */
export type Next = { readonly go: 'wait' } | { readonly go: 'on' } | { readonly go: 'ended'; readonly end: StepEnd };

export const WAIT: Next = { go: 'wait' };
export const ON: Next = { go: 'on' };
export const ended = (end: StepEnd): Next => ({ go: 'ended', end });
export const completed = (output: Value, recorded = false): Next => ended({ ended: 'completed', output, recorded });
export const failed = (error: StepError, recorded = false): Next => ended({ ended: 'failed', error, recorded });
export const cancelled = (recorded = false): Next => ended({ ended: 'cancelled', recorded });

/** How a block of a container ended inside the container's own fiber. */
export type BlockEnd = { readonly ended: 'completed'; readonly output: Value } | { readonly ended: 'failed'; readonly error: StepError };

/** `gone`: nothing of it is left. `waiting`: an answer is still to come. `on`: frames were pushed (a `finally`). */
export type Aborted = 'gone' | 'waiting' | 'on';

export interface StepHandler<S extends PlanStep> {
  /** Starts an attempt. May run again from the beginning after an `evaluate`. */
  begin(at: At<S>): Next;
  /** Goes on after a wake: a child ended, an event came, an `evaluate` was answered. */
  proceed(at: At<S>): Next;
  /** Whether what it would start next may run in a segment: nothing of it is in flight. */
  mayGoOnInSegment?(at: At<S>): boolean;
  /** Takes apart what still runs of it, as often as it is called, until `gone`. */
  abort(at: At<S>): Aborted;
  /** `part`: which of several calls in flight. */
  answered?(at: At<S>, result: ActivityResult, part?: string): Next;
  blockEnded?(at: At<S>, block: BlockFrame, end: BlockEnd): Next;
  childEnded?(at: At<S>, slot: number, end: FiberEnd): void;
  timer?(at: At<S>, purpose: Timer['purpose'], id: string): Next;
  gate?(at: At<S>, gate: GateOutcome): Next;
  childStarted?(at: At<S>): Next;
  childExecutionEnded?(at: At<S>, end: ChildEnd): Next;
}

/** For steps that never wait. */
export const NEVER_WAITS = {
  proceed: (): Next => WAIT,
  abort: (): Aborted => 'gone',
};
