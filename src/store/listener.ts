import { Client } from 'pg';
import { DELTA_CHANNEL } from './deltas.js';
import { WAKE_CHANNEL } from './notifier.js';
import { RIGHTS_CHANNEL } from './rights.js';

/** Streams that have grown; `all`: perhaps any (a sweep, or a connection that was away). */
export type Wake = readonly string[] | 'all';

export interface ListenerOptions {
  readonly connectionString: string;
  readonly onWake: (wake: Wake) => void;
  /** A batch of deltas (store/deltas.ts) has come. Without it they are not listened for. */
  readonly onDeltas?: (payload: string) => void;
  /** Keys, people or logins have changed, or may have while nothing was heard. Without it they are not listened for. */
  readonly onRights?: () => void;
  /** How often to look without being told; 1,000 ms. */
  readonly sweepMs?: number;
  readonly onConnectionLost?: (error: Error) => void;
}

const RECONNECT_MS = 500;

/**
 * Hears of growing streams over one connection of its own. What it hears are hints, which may be lost: it sweeps every second and
 * after each connection, so a reader that asks the rows after its last seq on every wake misses nothing.
 */
export class Listener {
  private client: Client | undefined;
  private sweeping: NodeJS.Timeout | undefined;
  private reconnecting: NodeJS.Timeout | undefined;
  private closed = false;

  constructor(private readonly options: ListenerOptions) {}

  /** Resolves after the first try to connect; trying goes on until `close`. */
  async start(): Promise<void> {
    this.sweeping = setInterval(() => this.options.onWake('all'), this.options.sweepMs ?? 1_000);
    this.sweeping.unref();
    await this.connect();
  }

  /** Whether hints arrive now. */
  get isConnected(): boolean {
    return this.client !== undefined;
  }

  async close(): Promise<void> {
    this.closed = true;
    clearInterval(this.sweeping);
    clearTimeout(this.reconnecting);
    const client = this.client;
    this.client = undefined;
    await client?.end().catch(() => undefined);
  }

  private async connect(): Promise<void> {
    const client = new Client({ connectionString: this.options.connectionString, connectionTimeoutMillis: 5_000, keepAlive: true });
    client.on('error', (error) => this.lost(client, error));
    client.on('end', () => this.lost(client, new Error('The connection ended')));
    client.on('notification', ({ channel, payload }) => {
      if (channel === DELTA_CHANNEL) this.options.onDeltas?.(payload ?? '');
      else if (channel === RIGHTS_CHANNEL) this.options.onRights?.();
      else this.options.onWake((payload ?? '').split(','));
    });
    try {
      await client.connect();
      await client.query(`LISTEN ${WAKE_CHANNEL}`);
      if (this.options.onDeltas !== undefined) await client.query(`LISTEN ${DELTA_CHANNEL}`);
      if (this.options.onRights !== undefined) await client.query(`LISTEN ${RIGHTS_CHANNEL}`);
      if (this.closed) return await client.end();
      this.client = client;
      this.options.onWake('all');
      this.options.onRights?.();
    } catch (error) {
      client.end().catch(() => undefined);
      this.lost(client, error instanceof Error ? error : new Error(String(error)));
    }
  }

  /** Told once or more for each connection, also for one that never came. */
  private lost(client: Client, error: Error): void {
    const isCurrent = this.client === client || this.client === undefined;
    if (this.closed || !isCurrent || this.reconnecting !== undefined) return;
    this.client = undefined;
    this.options.onConnectionLost?.(error);
    this.reconnecting = setTimeout(() => {
      this.reconnecting = undefined;
      void this.connect();
    }, RECONNECT_MS);
  }
}
