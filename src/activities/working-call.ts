import { Context } from '@temporalio/activity';
import type { StepFault } from '../tools/step-fault.js';
import { tryAgain } from './step-error.js';

const HEARTBEAT_MS = 500;

/**
 * One attempt of an activity while it works: heartbeats, which also bring cancellation, and one signal for everything that
 * ends the work early. Why it was aborted decides what follows: only a cancel that somebody asked for settles the step.
 */
export class WorkingCall {
  private readonly context = Context.current();
  private readonly controller = new AbortController();
  private readonly heartbeat: NodeJS.Timeout | undefined;
  private limit: NodeJS.Timeout | undefined;
  private readonly onCancel = () => this.controller.abort(this.context.cancellationSignal.reason ?? new Error('cancelled'));

  constructor() {
    if (!this.context.info.isLocal) {
      // None at the start: most steps end within the first interval, and a heartbeat costs the server as much as a step.
      this.heartbeat = setInterval(() => this.context.heartbeat(), HEARTBEAT_MS);
    }
    if (this.context.cancellationSignal.aborted) this.onCancel();
    else this.context.cancellationSignal.addEventListener('abort', this.onCancel, { once: true });
  }

  /** Aborted by cancellation, by the worker's shutdown and by the step's time limit. */
  get signal(): AbortSignal {
    return this.controller.signal;
  }

  /** The step's own time limit, from now on. After a crash only what is left of it counts. */
  limitTo(timeoutMs: number | null, fault: StepFault): void {
    if (timeoutMs === null) return;
    const { attempt, scheduledTimestampMs } = this.context.info;
    const gone = attempt > 1 ? Math.max(0, Date.now() - scheduledTimestampMs) : 0;
    this.limit = setTimeout(() => this.controller.abort(fault), Math.max(0, timeoutMs - gone));
  }

  get isCancelRequested(): boolean {
    return this.context.cancellationDetails?.cancelRequested === true;
  }

  /** What to throw when the work was aborted and nobody asked for a cancel: another worker takes it over. */
  handOver(): Error | undefined {
    if (!this.context.cancellationSignal.aborted || this.isCancelRequested) return undefined;
    return tryAgain('worker_stopping', 'The worker lets go of this activity');
  }

  /** The work is over: later aborts are no longer heard, heartbeats go on. */
  finishWork(): void {
    clearTimeout(this.limit);
    this.context.cancellationSignal.removeEventListener('abort', this.onCancel);
  }

  close(): void {
    this.finishWork();
    clearInterval(this.heartbeat);
  }
}
