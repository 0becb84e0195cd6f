import { WorkingCall } from '../working-call.js';

const LONGEST_TIMER_MS = 2_147_483_647;

/** What may end a segment from outside while it works, and heartbeats. */
export class Interruption {
  private readonly call = new WorkingCall();
  private readonly controller = new AbortController();
  private limit: NodeJS.Timeout | undefined;
  private isOutOfTime = false;
  private around: NodeJS.Timeout | undefined;
  private hasReachedLimit = false;

  /**
   * @param stopping aborted when the worker begins to stop: time is left for what is in flight
   * @param onChange told of each that comes
   */
  constructor(
    private readonly stopping: AbortSignal | undefined,
    private readonly onChange: () => void,
  ) {
    this.call.signal.addEventListener('abort', this.onAbort, { once: true });
    this.stopping?.addEventListener('abort', this.onChange, { once: true });
    if (this.call.signal.aborted) this.onAbort();
  }

  /** When the run's own time is over, in ms. */
  endAt(endsAt: number): void {
    const leftMs = Math.max(0, endsAt - Date.now());
    if (leftMs <= LONGEST_TIMER_MS) this.limit = setTimeout(this.onOutOfTime, leftMs);
  }

  /** When the time limit of a container around the segment comes, in ms. The host keeps it too, but its cancel comes with a heartbeat. */
  limitAt(endsAt: number): void {
    const leftMs = Math.max(0, endsAt - Date.now());
    if (leftMs <= LONGEST_TIMER_MS) this.around = setTimeout(this.onLimit, leftMs);
  }

  /** The time of a container around the segment is over. */
  get isOverLimit(): boolean {
    return this.hasReachedLimit;
  }

  /** Aborted when nothing must be waited for any longer. */
  get signal(): AbortSignal {
    return this.controller.signal;
  }

  /** The segment's calls are not wanted any more. */
  get isAborted(): boolean {
    return this.call.isCancelRequested || this.isOutOfTime || this.hasReachedLimit;
  }

  /** What to throw when this attempt must go. */
  handOver(): Error | undefined {
    return this.call.handOver();
  }

  get isStopping(): boolean {
    return this.stopping?.aborted === true;
  }

  close(): void {
    clearTimeout(this.limit);
    clearTimeout(this.around);
    this.stopping?.removeEventListener('abort', this.onChange);
    this.call.close();
  }

  private readonly onAbort = (): void => {
    this.controller.abort(new Error('The segment is interrupted'));
    this.onChange();
  };

  private readonly onOutOfTime = (): void => {
    this.isOutOfTime = true;
    this.onAbort();
  };

  private readonly onLimit = (): void => {
    this.hasReachedLimit = true;
    this.onAbort();
  };
}
