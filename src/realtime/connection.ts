/** One WebSocket: its frames, its subscriptions, its rights. */
import type { RawData, WebSocket } from 'ws';
import { AppError } from '../errors.js';
import type { Principal } from '../operations/principal.js';
import { parseClientFrame, type ClientFrame, type FrameId } from './client-frames.js';
import { FrameRate } from './frame-rate.js';
import { Outbox } from './outbox.js';
import { toFrame, type ServerFrame } from './server-frames.js';

/** What a subscription needs to be ended by. */
export interface OpenSubscription {
  readonly id: FrameId;
  close(): void;
}

/** What the gateway does for a connection. */
export interface ConnectionHost {
  /** Begins a subscription; its frames go to `outbox`. @throws AppError not_found, bad_request */
  subscribe(connection: Connection, frame: Extract<ClientFrame, { type: 'subscribe' }>): Promise<OpenSubscription>;
  /** Answers `send`, `stop`, `decide` with the fields of the result. @throws AppError of the operation */
  act(principal: Principal, frame: Extract<ClientFrame, { type: 'send' | 'stop' | 'decide' }>): Promise<object>;
  subscriptionOpened(): void;
  subscriptionClosed(): void;
  onFault(error: unknown, what: string): void;
}

/** Of one socket. */
export const MAX_SUBSCRIPTIONS = 100;
const FRAME_BURST = 200;
const FRAMES_PER_SECOND = 50;
/** Frames that were not taken; whoever sends so many is cut off. */
const MAX_REFUSED = 10_000;
/** Frames above the rate are looked into up to this size, so that the answer bears their id. */
const LOOKED_INTO_BYTES = 1_024;
const POLICY_VIOLATION = 1008;

export class Connection {
  readonly outbox: Outbox;
  /** When it last said anything. */
  seenAtMs = Date.now();
  private readonly subscriptions = new Map<string, OpenSubscription>();
  /** Subscriptions on their way, by channel: a later frame about the same one waits for it. */
  private readonly opening = new Map<string, Promise<void>>();
  private readonly rate = new FrameRate(FRAME_BURST, FRAMES_PER_SECOND);
  private refused = 0;

  constructor(
    readonly socket: WebSocket,
    public principal: Principal,
    private readonly host: ConnectionHost,
    maxWaitingBytes?: number,
  ) {
    this.outbox = new Outbox(socket, maxWaitingBytes);
    socket.on('message', (data, isBinary) => this.receive(data, isBinary));
    socket.on('pong', () => (this.seenAtMs = Date.now()));
    socket.once('close', () => this.unsubscribeAll());
  }

  send(frame: ServerFrame): void {
    this.outbox.send(toFrame(frame));
  }

  /** Ends it with a reason that the client can read. */
  end(code: number, reason: string): void {
    this.unsubscribeAll();
    this.socket.close(code, reason);
  }

  private get isOpen(): boolean {
    return this.socket.readyState === this.socket.OPEN;
  }

  private receive(data: RawData, isBinary: boolean): void {
    this.seenAtMs = Date.now();
    if (!this.isOpen) return;
    if (!this.rate.take()) {
      this.refuseForRate(data, isBinary);
      return;
    }
    if (isBinary) {
      this.refuse({ type: 'error', code: 'bad_request', message: 'Expected text frames of JSON' });
      return;
    }
    const parsed = parseClientFrame(textOf(data));
    if (parsed.ok) void this.handle(parsed.frame);
    else {
      const { ok: _ok, ...fault } = parsed;
      this.refuse({ type: 'error', ...fault });
    }
  }

  /** A client may wait for the answer to each of its frames. A ping is answered all the same: it asks whether anybody is there. */
  private refuseForRate(data: RawData, isBinary: boolean): void {
    const parsed = isBinary || bytesOf(data) > LOOKED_INTO_BYTES ? undefined : parseClientFrame(textOf(data));
    const { type, id }: { readonly type?: string; readonly id?: FrameId } = parsed?.ok === true ? parsed.frame : { ...parsed };
    if (type === 'ping') {
      if (!this.outbox.isFull) this.send({ type: 'pong' });
      return;
    }
    const told = id === undefined ? {} : { id };
    this.refuse({ type: 'error', ...told, code: 'rate_limited', message: `More than ${FRAMES_PER_SECOND} frames a second` });
  }

  private refuse(frame: Extract<ServerFrame, { type: 'error' }>): void {
    this.refused += 1;
    if (this.refused > MAX_REFUSED) this.end(POLICY_VIOLATION, 'too many refused frames');
    // Answers to a flood are not worth a buffer.
    else if (!this.outbox.isFull) this.send(frame);
  }

  private async handle(frame: ClientFrame): Promise<void> {
    if (frame.type === 'ping') {
      this.send({ type: 'pong' });
      return;
    }
    try {
      if (frame.type === 'subscribe') await this.subscribe(frame);
      else if (frame.type === 'unsubscribe') await this.unsubscribe(frame.id);
      else this.send({ ...(await this.host.act(this.principal, frame)), type: 'result', id: frame.id });
    } catch (error) {
      this.tellFault(frame.id, error);
    }
  }

  /** A subscription cannot go on: its reader is told, and it is no more. */
  endSubscription(id: FrameId, error: unknown): void {
    this.tellFault(id, error);
    this.dropById(id);
  }

  private tellFault(id: FrameId, error: unknown): void {
    if (error instanceof AppError) {
      this.send({ ...error.data, type: 'error', id, code: error.code, message: error.message });
      return;
    }
    this.host.onFault(error, 'a frame could not be answered');
    this.send({ type: 'error', id, code: 'internal_error', message: 'The frame could not be answered' });
  }

  /** A channel has one subscription: a second `subscribe` replaces the first, which is how a client starts over. */
  private async subscribe(frame: Extract<ClientFrame, { type: 'subscribe' }>): Promise<void> {
    const { channel } = frame;
    const known = this.subscriptions.has(channel) || this.opening.has(channel);
    if (!known && this.subscriptions.size + this.opening.size >= MAX_SUBSCRIPTIONS)
      throw new AppError('rate_limited', `A socket has at most ${MAX_SUBSCRIPTIONS} subscriptions`, { retryAfterSeconds: 0 });
    const before = this.opening.get(channel);
    const opening = (async () => {
      await before;
      this.drop(channel);
      const opened = await this.host.subscribe(this, frame);
      if (!this.isOpen) {
        opened.close();
        return;
      }
      this.subscriptions.set(channel, opened);
      this.host.subscriptionOpened();
    })();
    const settled = opening
      .catch(() => undefined)
      .finally(() => {
        if (this.opening.get(channel) === settled) this.opening.delete(channel);
      });
    this.opening.set(channel, settled);
    await opening;
  }

  private async unsubscribe(id: FrameId): Promise<void> {
    if (this.dropById(id)) return;
    await Promise.all(this.opening.values());
    if (!this.dropById(id)) throw new AppError('not_found', `No subscription ${id}`, { kind: 'subscription', id: String(id) });
  }

  private dropById(id: FrameId): boolean {
    for (const [channel, subscription] of this.subscriptions) {
      if (subscription.id !== id) continue;
      this.drop(channel);
      return true;
    }
    return false;
  }

  private drop(channel: string): void {
    const subscription = this.subscriptions.get(channel);
    if (subscription === undefined) return;
    this.subscriptions.delete(channel);
    subscription.close();
    this.host.subscriptionClosed();
  }

  private unsubscribeAll(): void {
    for (const channel of this.subscriptions.keys()) this.drop(channel);
  }
}

function bytesOf(data: RawData): number {
  return Array.isArray(data) ? data.reduce((sum, piece) => sum + piece.length, 0) : data.byteLength;
}

function textOf(data: RawData): string {
  if (Array.isArray(data)) return Buffer.concat(data).toString('utf8');
  return Buffer.isBuffer(data) ? data.toString('utf8') : Buffer.from(data).toString('utf8');
}
