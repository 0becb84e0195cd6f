/** What waits to go out on one socket: counted until the kernel has it, so that a reader that takes nothing is known by its size. */
import type { WebSocket } from 'ws';

/** Above it a reader has no room; below the quarter it has again. */
export const MAX_WAITING_BYTES = 1024 * 1024;

export class Outbox {
  private waiting = 0;
  private readonly waiters = new Set<() => void>();
  private turn: Promise<void> = Promise.resolve();

  constructor(
    private readonly socket: WebSocket,
    private readonly maxBytes = MAX_WAITING_BYTES,
  ) {
    socket.once('close', () => this.wake());
  }

  get isFull(): boolean {
    return this.waiting > this.maxBytes;
  }

  /** Bytes that the kernel does not have yet. */
  get waitingBytes(): number {
    return this.waiting;
  }

  send(frame: Buffer): void {
    if (this.socket.readyState !== this.socket.OPEN) return;
    this.waiting += frame.length;
    this.socket.send(frame, { binary: false }, () => {
      this.waiting -= frame.length;
      if (this.waiting <= this.maxBytes / 4) this.wake();
    });
  }

  /** Resolves when there is room, the socket has closed, or the signal aborts. */
  room(signal: AbortSignal): Promise<void> {
    if (this.waiting <= this.maxBytes / 4 || signal.aborted || this.socket.readyState !== this.socket.OPEN) return Promise.resolve();
    return new Promise((resolve) => {
      const done = (): void => {
        this.waiters.delete(done);
        signal.removeEventListener('abort', done);
        resolve();
      };
      this.waiters.add(done);
      signal.addEventListener('abort', done, { once: true });
    });
  }

  /** One at a time. */
  inTurn(work: () => Promise<void>): Promise<void> {
    const done = this.turn.then(work);
    this.turn = done.catch(() => undefined);
    return done;
  }

  private wake(): void {
    for (const waiter of this.waiters) waiter();
  }
}
