/** The feeds that somebody follows on this gateway, each once. */
import type { Delta } from '../store/deltas.js';
import type { Database } from '../store/database.js';
import { parseDeltas } from '../store/deltas.js';
import { openTurnMessages, turnMessage } from '../store/session-view.js';
import { isSessionId, type EventHub } from './event-hub.js';
import { Feed, type FeedSource } from './feed.js';
import type { TurnState } from './live-turns.js';
import { turnOfMessage, type TurnMessage } from './turn-state.js';

export interface FeedsOptions {
  readonly hub: EventHub;
  readonly source: FeedSource;
  readonly onDropped: (delta: Delta) => void;
  readonly onError: (error: unknown) => void;
}

/** What feeds ask of PostgreSQL. */
export const createFeedSource = (db: Database): FeedSource => ({
  openTurns: async (sessionId) => (await openTurnMessages(db, sessionId)).flatMap((message) => turnOfMessage(message) ?? []),
  findTurn: async (turnId): Promise<TurnState | undefined> => {
    const message = await turnMessage(db, turnId);
    return message === undefined ? undefined : turnOfMessage(message);
  },
});

export class Feeds {
  private readonly feeds = new Map<string, { readonly feed: Feed; users: number }>();

  constructor(private readonly options: FeedsOptions) {}

  /** The feed of a session or an execution; `release` it when done. */
  open(id: string): Feed {
    const { hub, source, onDropped, onError } = this.options;
    let held = this.feeds.get(id);
    if (held === undefined) {
      held = { feed: new Feed({ hub, source, id, hasTurns: isSessionId(id), onDropped, onError }), users: 0 };
      this.feeds.set(id, held);
    }
    held.users += 1;
    return held.feed;
  }

  release(id: string): void {
    const held = this.feeds.get(id);
    if (held === undefined) return;
    held.users -= 1;
    if (held.users > 0) return;
    this.feeds.delete(id);
    held.feed.close();
  }

  /** A batch of a worker's has arrived. */
  takeDeltas(payload: string): void {
    if (this.feeds.size === 0) return;
    for (const delta of parseDeltas(payload)) this.feeds.get(delta.sessionId)?.feed.turns.take(delta);
  }

  /** Messages as rows have them, with what has streamed here beyond their checkpoint. Deltas go on where they end. */
  withLiveText<M extends TurnMessage>(sessionId: string, messages: readonly M[]): readonly M[] {
    const feed = this.feeds.get(sessionId)?.feed;
    return feed === undefined ? messages : messages.map((message) => feed.withLiveText(message));
  }

  close(): void {
    for (const { feed } of this.feeds.values()) feed.close();
    this.feeds.clear();
  }
}
