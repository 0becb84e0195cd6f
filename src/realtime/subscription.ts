/**
 * One reader's way through a stream: a snapshot or its own cursor first, then pages until it stands at the head, then whatever is told.
 * A reader without room leaves the head: nothing is kept for it. If it has room again at once it reads on from the rows, where it was;
 * if it takes nothing for longer, it gets a snapshot.
 */
import { AppError } from '../errors.js';
import type { Delta } from '../store/deltas.js';
import type { LogFrame } from './event-hub.js';
import type { Feed, FeedFollower } from './feed.js';
import type { TurnState } from './live-turns.js';
import { turnOfEvent, turnOfMessage, type TurnMessage } from './turn-state.js';

/** Where a subscription's frames go. Nothing of it waits; `room` does. */
export interface Outlet {
  readonly isFull: boolean;
  /** Resolves when there is room, or the signal aborts. */
  room(signal: AbortSignal): Promise<void>;
  /** Runs what is large after whatever else of this kind goes to the same reader. */
  inTurn(work: () => Promise<void>): Promise<void>;
  /** Told once, before all else. */
  begun(cursor: number): void;
  snapshot(cursor: number, data: object): void;
  event(frame: LogFrame): void;
  delta(delta: Delta): void;
  reset(): void;
  lagged(): void;
}

/** What a snapshot is made of. `messages` may hold open turns. */
export interface Snapshot {
  readonly cursor: number;
  readonly data: { readonly messages?: readonly TurnMessage[]; readonly [field: string]: unknown };
}

export interface SubscriptionOptions {
  readonly feed: Feed;
  readonly outlet: Outlet;
  /** Rows as they are; `cursor` was read before them. */
  readonly readSnapshot: () => Promise<Snapshot>;
  /** The seq that the reader has. */
  readonly after?: number;
  /** Of open turns, how much of each text part the reader has, in UTF-16 units. */
  readonly texts?: { readonly [turnId: string]: { readonly [part: string]: number } };
  /** How many events a cursor may be behind. */
  readonly maxBehind?: number;
  /** How long a reader may have no room before it is given a snapshot; 250 ms. */
  readonly patienceMs?: number;
  readonly onError: (error: unknown) => void;
}

/** Further behind than that, a snapshot costs less than what was missed. */
export const MAX_BEHIND = 5_000;
const PATIENCE_MS = 250;
const RETRY_MS = 500;

const isSo = (): boolean => true;
const isNot = (): boolean => false;

export class Subscription implements FeedFollower {
  cursor = 0;
  private readonly closing = new AbortController();
  /** Of open turns, how much the reader has of each text part. At the head: only where that is more than has been told there. */
  private readonly known = new Map<string, Map<number, number>>();
  private leftHead: (() => void) | undefined;

  constructor(private readonly options: SubscriptionOptions) {}

  close(): void {
    this.closing.abort();
    this.options.feed.leave(this);
    this.leftHead?.();
  }

  /** Resolves when it was closed. @throws AppError when its rows are gone, or no longer the reader's */
  async run(): Promise<void> {
    const { feed, outlet } = this.options;
    // It is closed, as we are then.
    if (!(await feed.ready.then(isSo, isNot)) || this.isClosed) return;
    await this.begin();
    while (!this.isClosed) {
      const left = new Promise<void>((resolve) => (this.leftHead = resolve));
      if (await this.catchUp()) {
        if (this.goLive()) await left;
        if (await this.hasRoom()) continue;
      }
      await outlet.room(this.closing.signal);
      if (this.isClosed) return;
      outlet.lagged();
      await this.takeSnapshot();
    }
  }

  event(frame: LogFrame): void {
    if (this.options.outlet.isFull) {
      this.leaveHead();
      return;
    }
    this.cursor = frame.seq;
    this.options.outlet.event(frame);
  }

  delta(told: Delta): void {
    const delta = this.beyondKnown(told);
    if (delta === undefined) return;
    if (!this.options.outlet.isFull) {
      this.options.outlet.delta(delta);
      return;
    }
    this.leaveHead();
    // The feed has it already, this reader has not.
    this.known.get(delta.turnId)?.set(delta.part, delta.offset);
  }

  private get isClosed(): boolean {
    return this.closing.signal.aborted;
  }

  private async begin(): Promise<void> {
    const { feed, outlet, after, texts, maxBehind = MAX_BEHIND } = this.options;
    if (after === undefined) {
      await this.takeSnapshot((cursor) => outlet.begun(cursor));
      return;
    }
    const isKnown = feed.position - after <= maxBehind && (await feed.reaches(after).catch(() => false));
    if (this.isClosed) return;
    if (!isKnown) {
      outlet.begun(after);
      outlet.reset();
      await this.takeSnapshot();
      return;
    }
    outlet.begun(after);
    this.cursor = after;
    for (const [turnId, lengths] of Object.entries(texts ?? {}))
      this.known.set(turnId, new Map(Object.entries(lengths).map(([part, length]) => [Number(part), length])));
  }

  /** One at a time for each reader, and only when there is room: a reader that takes nothing is not given one after the other. */
  private takeSnapshot(before?: (cursor: number) => void): Promise<void> {
    const { outlet } = this.options;
    return outlet.inTurn(async () => {
      await outlet.room(this.closing.signal);
      const snapshot = await this.readSnapshot();
      if (snapshot === undefined) return;
      before?.(snapshot.cursor);
      this.tellSnapshot(snapshot);
    });
  }

  /** Tries until it has one, as PostgreSQL may be away, or is closed. @throws AppError when there is none to be had */
  private async readSnapshot(): Promise<Snapshot | undefined> {
    while (!this.isClosed) {
      const snapshot = await this.options.readSnapshot().catch((error: unknown) => {
        if (error instanceof AppError && error.code !== 'unavailable') throw error;
        this.options.onError(error);
        return undefined;
      });
      if (this.isClosed) return undefined;
      if (snapshot !== undefined) return snapshot;
      await new Promise((resolve) => setTimeout(resolve, RETRY_MS));
    }
    return undefined;
  }

  /** The rows' texts and those that stream here: the longer of each, and the streams go on from there. */
  private tellSnapshot({ cursor, data }: Snapshot): void {
    const { feed, outlet } = this.options;
    this.known.clear();
    const messages = data.messages?.map((message) => {
      const shown = feed.withLiveText(message);
      this.learn(turnOfMessage(shown));
      return shown;
    });
    outlet.snapshot(cursor, messages === undefined ? data : { ...data, messages });
    this.cursor = cursor;
  }

  /** @returns whether it has come to the head; false when it has no room */
  private async catchUp(): Promise<boolean> {
    const { feed, outlet } = this.options;
    while (this.cursor < feed.position) {
      const page = await feed.page(this.cursor).catch((error: unknown) => {
        this.options.onError(error);
        return [];
      });
      for (const frame of page) {
        if (this.isClosed || (outlet.isFull && !(await this.hasRoom()))) return false;
        outlet.event(frame);
        this.cursor = frame.seq;
        this.learn(turnOfEvent(frame));
      }
      if (page.length === 0) await new Promise((resolve) => setTimeout(resolve, RETRY_MS));
      if (this.isClosed) return false;
    }
    return !this.isClosed;
  }

  /** Whether there is room within the time that a reader gets. */
  private async hasRoom(): Promise<boolean> {
    const patience = AbortSignal.any([this.closing.signal, AbortSignal.timeout(this.options.patienceMs ?? PATIENCE_MS)]);
    await this.options.outlet.room(patience);
    return !this.options.outlet.isFull;
  }

  /**
   * From here on everything is told; first what streamed while it caught up. A reader that came from another gateway may know more of a
   * text than this one does yet: that stays known, and is not told again.
   */
  private goLive(): boolean {
    const { feed, outlet } = this.options;
    if (!feed.join(this)) return false;
    const known = new Map(this.known);
    this.known.clear();
    for (const { turnId, attempt, texts } of feed.turns.open()) {
      const lengths = known.get(turnId);
      if (lengths === undefined) continue;
      for (const [part, text] of texts) {
        const offset = lengths.get(part) ?? 0;
        if (text.length > offset) outlet.delta({ sessionId: '', turnId, attempt, part, offset, text: text.slice(offset) });
      }
      const ahead = [...lengths].filter(([part, length]) => length > (texts.get(part)?.length ?? 0));
      if (ahead.length > 0) this.known.set(turnId, new Map(ahead));
    }
    return true;
  }

  /** The part of a piece that the reader does not have. */
  private beyondKnown(delta: Delta): Delta | undefined {
    const lengths = this.known.get(delta.turnId);
    const length = lengths?.get(delta.part);
    if (lengths === undefined || length === undefined) return delta;
    if (delta.offset + delta.text.length <= length) return undefined;
    lengths.delete(delta.part);
    return delta.offset >= length ? delta : { ...delta, offset: length, text: delta.text.slice(length - delta.offset) };
  }

  private learn(turn: TurnState | undefined): void {
    if (turn === undefined || !turn.isOpen) return;
    const known = this.known.get(turn.turnId) ?? new Map<number, number>();
    for (const [part, text] of turn.texts) known.set(part, Math.max(known.get(part) ?? 0, text.length));
    this.known.set(turn.turnId, known);
  }

  /** What it has of the texts is what the feed has, or more. */
  private leaveHead(): void {
    const { feed } = this.options;
    feed.leave(this);
    for (const turn of feed.turns.open()) this.learn({ ...turn, isOpen: true });
    this.leftHead?.();
  }
}
