/** A client of the gateway's WebSocket as docs/realtime.md describes one: keeps its place in the log, and the texts that stream. */
import { WebSocket, type ClientOptions } from 'ws';

export interface Frame {
  readonly type: string;
  readonly id?: string | number;
  readonly channel?: string;
  readonly seq?: number;
  readonly cursor?: number;
  readonly code?: string;
  readonly message?: string;
  readonly turnId?: string;
  readonly attempt?: number;
  readonly part?: number;
  readonly offset?: number;
  readonly text?: string;
  readonly event?: WireEvent;
  readonly data?: { readonly [field: string]: unknown };
  readonly [field: string]: unknown;
}
export interface WireEvent {
  readonly seq: number;
  readonly kind: string;
  readonly executionId: string | null;
  readonly sessionId?: string;
  readonly turnId?: string;
  readonly stepId?: string;
  readonly iterationPath?: string;
  readonly attempt?: number;
  readonly data: { readonly [field: string]: unknown };
}

const WITHIN_MS = 25_000;

export class SocketClient {
  readonly frames: Frame[] = [];
  readonly closed: Promise<{ readonly code: number; readonly reason: string }>;
  private readonly waiters = new Set<() => void>();

  constructor(readonly socket: WebSocket) {
    socket.on('message', (data) => {
      this.frames.push(JSON.parse((data as Buffer).toString('utf8')) as Frame);
      for (const waiter of this.waiters) waiter();
    });
    socket.on('error', () => undefined);
    this.closed = new Promise((resolve) =>
      socket.once('close', (code, reason) => {
        resolve({ code, reason: reason.toString() });
        for (const waiter of this.waiters) waiter();
      }),
    );
  }

  /** Connects; rejects with `HTTP <status>` when the handshake is refused. */
  static async open(port: number, path: string, options: ClientOptions = {}): Promise<SocketClient> {
    const socket = new WebSocket(`ws://127.0.0.1:${port}${path}`, options);
    const client = new SocketClient(socket);
    await new Promise<void>((resolve, reject) => {
      socket.once('open', resolve);
      socket.once('unexpected-response', (_req, res) => {
        res.resume();
        reject(new Error(`HTTP ${res.statusCode ?? 0}`));
      });
      socket.once('error', reject);
    });
    return client;
  }

  send(frame: object): void {
    this.socket.send(JSON.stringify(frame));
  }

  /** The first frame at or behind `from` that fits, when it comes. */
  async next(fits: (frame: Frame) => boolean, from = 0): Promise<Frame> {
    const deadline = Date.now() + WITHIN_MS;
    for (let looked = from; ; ) {
      for (; looked < this.frames.length; looked++) {
        const frame = this.frames[looked] as Frame;
        if (fits(frame)) return frame;
      }
      const left = deadline - Date.now();
      if (left <= 0 || this.socket.readyState > WebSocket.OPEN) {
        const seen = this.frames.slice(-12).map(({ type, channel, seq, code }) => [type, channel, seq, code].join(' '));
        throw new Error(`no such frame; the last ones: ${seen.join(', ')}; state ${this.socket.readyState}`);
      }
      await this.changed(left);
    }
  }

  type(type: string, from = 0): Promise<Frame> {
    return this.next((frame) => frame.type === type, from);
  }

  /** The answer to a frame of ours. */
  answer(id: string | number): Promise<Frame> {
    return this.next((frame) => frame.id === id && (frame.type === 'result' || frame.type === 'error' || frame.type === 'subscribed'));
  }

  /** The seqs of the events of a channel, in the order of arrival. */
  seqs(channel: string): number[] {
    return this.frames.filter((frame) => frame.type === 'event' && frame.channel === channel).map((frame) => frame.seq ?? 0);
  }

  /** Closes and waits until it is. */
  async end(): Promise<void> {
    this.socket.terminate();
    await this.closed;
  }

  private changed(withinMs: number): Promise<void> {
    return new Promise((resolve) => {
      const done = (): void => {
        clearTimeout(timer);
        this.waiters.delete(done);
        resolve();
      };
      const timer = setTimeout(done, withinMs);
      this.waiters.add(done);
    });
  }
}
