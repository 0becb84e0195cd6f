/** One reader of a list: its rows as they are, then each change, numbered from the snapshot on. A reader without room starts over. */
import type { LogFrame } from './event-hub.js';
import type { ListChange } from './list-change.js';
import type { ListFollower, ListWatch } from './list-watch.js';
import type { Outlet } from './subscription.js';

export interface ListSubscriptionOptions {
  readonly watch: ListWatch;
  readonly outlet: Outlet;
  readonly follower: (change: (change: ListChange) => void) => ListFollower;
  readonly readItems: () => Promise<object>;
  /** Whether the client named a cursor: lists have none that outlives a subscription. */
  readonly hasCursor: boolean;
  readonly onError: (error: unknown) => void;
}

const RETRY_MS = 500;

export class ListSubscription {
  private readonly closing = new AbortController();
  private leave: (() => void) | undefined;
  /** Changes while the rows are being read; undefined: told at once. */
  private early: ListChange[] | undefined;
  private seq = 0;
  /** A snapshot is to come, which will have whatever changes until it is read. */
  private isWaiting = true;

  constructor(private readonly options: ListSubscriptionOptions) {}

  close(): void {
    this.closing.abort();
    this.leave?.();
  }

  async run(): Promise<void> {
    const { outlet, hasCursor } = this.options;
    await this.insist(async () => {
      this.leave = await this.options.watch.follow(this.options.follower((change) => this.take(change)));
    });
    if (this.closing.signal.aborted) {
      this.leave?.();
      return;
    }
    await this.snapshot(() => {
      outlet.begun(this.seq);
      if (hasCursor) outlet.reset();
    });
  }

  private take(change: ListChange): void {
    if (this.isWaiting) return;
    if (this.early !== undefined) {
      this.early.push(change);
      return;
    }
    if (this.options.outlet.isFull) void this.startOver();
    else this.tell(change);
  }

  private tell(change: ListChange): void {
    this.seq += 1;
    const frame: LogFrame = { seq: this.seq, kind: change.kind, json: JSON.stringify({ seq: this.seq, ...change }) };
    this.options.outlet.event(frame);
  }

  private async startOver(): Promise<void> {
    this.isWaiting = true;
    const { outlet } = this.options;
    await outlet.room(this.closing.signal);
    await this.snapshot(() => outlet.lagged());
  }

  /** One at a time for each reader, and only when there is room. What changes while the rows are read is told behind them. */
  private snapshot(before: () => void): Promise<void> {
    const { outlet, readItems } = this.options;
    return outlet.inTurn(async () => {
      await outlet.room(this.closing.signal);
      this.early = [];
      this.isWaiting = false;
      let items: object = {};
      await this.insist(async () => {
        items = await readItems();
      });
      if (this.closing.signal.aborted) return;
      before();
      outlet.snapshot(this.seq, items);
      const early = this.early;
      this.early = undefined;
      for (const change of early) this.take(change);
    });
  }

  /** PostgreSQL may be away. */
  private async insist(work: () => Promise<void>): Promise<void> {
    while (!this.closing.signal.aborted) {
      try {
        await work();
        return;
      } catch (error) {
        this.options.onError(error);
        await new Promise((resolve) => setTimeout(resolve, RETRY_MS));
      }
    }
  }
}
