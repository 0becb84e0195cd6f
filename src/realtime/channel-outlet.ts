/** A subscription's frames on its socket. */
import type { Delta } from '../store/deltas.js';
import type { FrameId } from './client-frames.js';
import type { Connection } from './connection.js';
import type { LogFrame } from './event-hub.js';
import { toDeltaFrame, toEventFrame, toFrame } from './server-frames.js';
import type { Outlet } from './subscription.js';

export class ChannelOutlet implements Outlet {
  constructor(
    private readonly connection: Connection,
    private readonly of: { readonly id: FrameId; readonly channel: string },
    private readonly metrics: { readonly lagged: { inc(): void } },
  ) {}

  get isFull(): boolean {
    return this.connection.outbox.isFull;
  }

  room(signal: AbortSignal): Promise<void> {
    return this.connection.outbox.room(signal);
  }

  inTurn(work: () => Promise<void>): Promise<void> {
    return this.connection.outbox.inTurn(work);
  }

  begun(cursor: number): void {
    const { id, channel } = this.of;
    this.connection.send({ type: 'subscribed', id, channel, cursor });
  }

  snapshot(cursor: number, data: object): void {
    this.connection.outbox.send(toFrame({ type: 'snapshot', channel: this.of.channel, cursor, data }));
  }

  event(frame: LogFrame): void {
    this.connection.outbox.send(toEventFrame(this.of.channel, frame));
  }

  delta(delta: Delta): void {
    this.connection.outbox.send(toDeltaFrame(this.of.channel, delta));
  }

  reset(): void {
    this.connection.send({ type: 'reset', channel: this.of.channel });
  }

  lagged(): void {
    this.metrics.lagged.inc();
    this.connection.send({ type: 'lagged', channel: this.of.channel });
  }
}
