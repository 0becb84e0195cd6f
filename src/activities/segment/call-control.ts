import type { StepFault } from '../../tools/step-fault.js';
import type { WorkControl } from '../step-attempt.js';

const LONGEST_TIMER_MS = 2_147_483_647;

/** What ends one call of a segment early: a cancel, its own time limit, or that this attempt of the segment stops. */
export class CallControl implements WorkControl {
  private readonly controller = new AbortController();
  private limit: NodeJS.Timeout | undefined;
  private deadline: number | undefined;
  private stopped: Error | undefined;
  private isCancelled = false;

  /** @param orderedAt of a call that an earlier attempt may have begun, in ms: only what is left of its time limit counts; null for others */
  constructor(private readonly orderedAt: number | null) {}

  get signal(): AbortSignal {
    return this.controller.signal;
  }

  get isCancelRequested(): boolean {
    return this.isCancelled;
  }

  /** The call is not wanted any more: it ends as cancelled. */
  cancel(): void {
    this.isCancelled = true;
    this.controller.abort(new Error('The call was cancelled'));
  }

  /** Whoever has the segment next makes the call again. */
  letGo(why: Error): void {
    this.stopped = why;
    this.controller.abort(why);
  }

  handOver(): Error | undefined {
    return this.stopped;
  }

  /** Counted once, however often the work is tried. */
  limitTo(timeoutMs: number, fault: StepFault): void {
    this.deadline ??= (this.orderedAt ?? Date.now()) + timeoutMs;
    const leftMs = Math.min(Math.max(0, this.deadline - Date.now()), LONGEST_TIMER_MS);
    this.limit = setTimeout(() => this.controller.abort(fault), leftMs);
  }

  finishWork(): void {
    clearTimeout(this.limit);
  }
}
