/** Everything that tells readers of the log, put together: server.ts has one, tests as many as they like behind one database. */
import type { OperationDeps } from '../operations/deps.js';
import { Listener, type Wake } from '../store/listener.js';
import { EventHub } from './event-hub.js';
import { createFeedSource, Feeds } from './feeds.js';
import { ListWatch } from './list-watch.js';
import { createLogReader } from './log-reader.js';
import { RightsWatch } from './rights-watch.js';

export interface RealtimeOptions {
  readonly connectionString: string;
  readonly operations: Pick<OperationDeps, 'db'>;
  /** Told that something may have been written, whatever it is. */
  readonly onWake?: () => void;
  /** Told that keys, people or logins have changed, or may have: what is remembered of them is worth nothing. */
  readonly onRights?: () => void;
  /** How often rights are looked at without being told. */
  readonly recheckMs?: number;
  readonly log: { debug(fields: object, message: string): void; warn(fields: object, message: string): void };
}

export class Realtime {
  readonly hub: EventHub;
  readonly feeds: Feeds;
  readonly lists: ListWatch;
  readonly rights: RightsWatch;
  private readonly listener: Listener;

  constructor({ connectionString, operations: { db }, log, onWake, onRights, recheckMs }: RealtimeOptions) {
    const onError = (error: unknown): void => log.debug({ error }, 'a log could not be read; it is tried again');
    this.hub = new EventHub({ ...createLogReader(db), onError });
    this.feeds = new Feeds({
      hub: this.hub,
      source: createFeedSource(db),
      onDropped: ({ turnId, sessionId }) => log.warn({ turnId, sessionId }, 'text of an unknown turn was dropped'),
      onError,
    });
    this.lists = new ListWatch({ db, onError });
    this.rights = new RightsWatch({
      db,
      onError: (error) => log.debug({ error }, 'rights could not be looked at; they are at the next look'),
      ...(recheckMs === undefined ? {} : { everyMs: recheckMs }),
    });
    this.listener = new Listener({
      connectionString,
      onWake: (wake) => {
        this.wake(wake);
        onWake?.();
      },
      onDeltas: (payload) => this.feeds.takeDeltas(payload),
      onRights: () => {
        onRights?.();
        this.rights.look();
      },
      onConnectionLost: (error) =>
        log.warn({ error: error.message }, 'the connection that hears of new events was lost; sweeps replace it'),
    });
  }

  /** Opens the connection that hears of new events and deltas, and keeps trying while PostgreSQL is away. */
  start(): Promise<void> {
    return this.listener.start();
  }

  /** Ends every reader. */
  async close(): Promise<void> {
    this.hub.close();
    this.feeds.close();
    this.lists.close();
    this.rights.close();
    await this.listener.close();
  }

  private wake(wake: Wake): void {
    if (wake === 'all') {
      void this.hub.sweep();
      this.lists.sweep();
      return;
    }
    for (const id of wake) this.hub.wake(id);
    this.lists.wake(wake);
  }
}
