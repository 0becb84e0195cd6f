/**
 * A stream as this gateway tells it: one reader at its head for all that follow it here, so that two hundred sockets cost one read and one
 * serialisation. Events and deltas come in one order: a turn's start before its text, its end after it. Nothing is read for a stream
 * that nobody follows.
 */
import type { Delta } from '../store/deltas.js';
import type { EventHub, LogFrame } from './event-hub.js';
import { LiveTurns, type TurnState } from './live-turns.js';
import { turnOfEvent, turnOfMessage, withTexts, type TurnMessage } from './turn-state.js';

/** Who is at the head of a feed. Both are called in order, and may leave. */
export interface FeedFollower {
  /** The seq of the last event that it has. */
  readonly cursor: number;
  event(frame: LogFrame): void;
  delta(delta: Delta): void;
}

/** What feeds ask of the rows. */
export interface FeedSource {
  /** Open turns of a session. */
  readonly openTurns: (sessionId: string) => Promise<readonly TurnState[]>;
  readonly findTurn: (turnId: string) => Promise<TurnState | undefined>;
}

export interface FeedOptions {
  readonly hub: EventHub;
  readonly source: FeedSource;
  /** The stream's id. */
  readonly id: string;
  readonly hasTurns: boolean;
  readonly onDropped: (delta: Delta) => void;
  readonly onError: (error: unknown) => void;
  readonly retryMs?: number;
}

const RETRY_MS = 500;

export class Feed {
  readonly turns: LiveTurns;
  /** The seq of the last event that was told. */
  position = 0;
  /** Resolves when it stands at the head; rejects when it was closed before. */
  readonly ready: Promise<void>;
  private readonly followers = new Set<FeedFollower>();
  private readonly closing = new AbortController();

  constructor(private readonly options: FeedOptions) {
    const { hub, source, id, retryMs } = options;
    this.turns = new LiveTurns({
      find: source.findTurn,
      lookAtLog: () => hub.wake(id),
      emit: (delta) => {
        for (const follower of this.followers) follower.delta(delta);
      },
      onDropped: options.onDropped,
      ...(retryMs === undefined ? {} : { retryMs }),
    });
    this.ready = this.begin();
    this.ready.then(() => this.run()).catch(options.onError);
  }

  /**
   * A message as its row has it, or further where that has streamed here; what follows of its text begins where this ends. A turn whose start
   * is still to be told here is left to that: its text comes behind it.
   */
  withLiveText<M extends TurnMessage>(message: M): M {
    const turn = turnOfMessage(message);
    if (turn?.isOpen !== true) return message;
    if (message.seq === undefined || message.seq < this.position) this.turns.adopt(turn);
    return withTexts(message, this.turns.textsOf(turn.turnId));
  }

  /** Follows from now on. @returns false when the follower has yet to read up to the head */
  join(follower: FeedFollower): boolean {
    if (follower.cursor < this.position) return false;
    this.followers.add(follower);
    return true;
  }

  leave(follower: FeedFollower): void {
    this.followers.delete(follower);
  }

  /** Whether the stream has come so far: another gateway may have told of more than this one knows yet. */
  async reaches(after: number): Promise<boolean> {
    if (after <= this.position) return true;
    const { hub, id } = this.options;
    return (await hub.place(id, after)).after === after;
  }

  /** What follows `after`, of what was told. */
  async page(after: number): Promise<readonly LogFrame[]> {
    return this.options.hub.page(this.options.id, after);
  }

  close(): void {
    this.closing.abort();
    this.turns.close();
    this.followers.clear();
  }

  /** The place first, then the turns: what opens in between is told by an event behind the place. */
  private async begin(): Promise<void> {
    for (;;) {
      this.closing.signal.throwIfAborted();
      try {
        const { hub, id, hasTurns, source } = this.options;
        this.position = (await hub.place(id, Number.MAX_SAFE_INTEGER)).after;
        if (hasTurns) for (const turn of await source.openTurns(id)) this.turns.adopt(turn);
        return;
      } catch (error) {
        this.options.onError(error);
        await new Promise((resolve) => setTimeout(resolve, RETRY_MS));
      }
    }
  }

  private async run(): Promise<void> {
    const { hub, id, hasTurns } = this.options;
    for await (const page of hub.follow(id, this.position, this.closing.signal)) {
      for (const frame of page) this.tell(frame, hasTurns);
    }
  }

  private tell(frame: LogFrame, hasTurns: boolean): void {
    this.position = frame.seq;
    for (const follower of this.followers) if (frame.seq > follower.cursor) follower.event(frame);
    // A turn's message is told before its start, and its text after that.
    const turn = hasTurns && frame.kind !== 'message.created' ? turnOfEvent(frame) : undefined;
    if (turn !== undefined) this.turns.tell(turn);
  }
}
