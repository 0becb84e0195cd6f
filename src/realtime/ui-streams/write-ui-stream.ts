/** Follows a run through the session that shows it, and writes it in a UI format until the run has ended or the reader has gone. */
import type { ServerResponse } from 'node:http';
import type { Json } from '../../definition/value.js';
import type { Delta } from '../../store/deltas.js';
import type { LogFrame } from '../event-hub.js';
import type { Feeds } from '../feeds.js';
import { keepAlive, openEventStream } from '../server-sent-events.js';
import { Subscription, type Outlet, type Snapshot } from '../subscription.js';
import { Narration, type NarratedEvent, type NarratedMessage, type NarratedStep, type RunOutcome } from './narration.js';
import type { UiFormat } from './ui-format.js';

/** The run and the session's messages, as rows have them. */
export interface RunSnapshot {
  readonly cursor: number;
  /** Of an ended run; null while it goes on. */
  readonly outcome: RunOutcome | null;
  readonly steps: readonly NarratedStep[];
  readonly messages: readonly NarratedMessage[];
}

export interface UiStreamOptions {
  readonly feeds: Feeds;
  readonly run: { readonly executionId: string; readonly sessionId: string };
  readonly format: UiFormat;
  readonly readRun: () => Promise<RunSnapshot>;
  /** Ends the stream once the reader may not go on. @returns what ends the watching */
  readonly whileAllowed: (end: () => void) => () => void;
  readonly onError: (error: unknown) => void;
  readonly heartbeatMs?: number;
}

/** Bytes that a reader may leave untaken. */
const MAX_WAITING_BYTES = 1024 * 1024;

/** Resolves when the stream has ended, or its reader. */
export async function writeUiStream(res: ServerResponse, options: UiStreamOptions): Promise<void> {
  const { feeds, run, format, readRun, onError } = options;
  openEventStream(res, format.headers);
  const outlet = new UiOutlet(res, run.executionId, format, () => subscription.close());
  const readSnapshot = async (): Promise<Snapshot> => {
    const { cursor, ...data } = await readRun();
    return { cursor, data };
  };
  const subscription = new Subscription({ feed: feeds.open(run.sessionId), outlet, readSnapshot, onError });
  const stopKeeping = keepAlive(res, options, () => res.destroy());
  res.once('close', () => subscription.close());
  try {
    await subscription.run();
  } finally {
    stopKeeping();
    subscription.close();
    feeds.release(run.sessionId);
    res.end();
  }
}

class UiOutlet implements Outlet {
  private readonly narration: Narration;

  constructor(
    private readonly res: ServerResponse,
    private readonly executionId: string,
    private readonly format: UiFormat,
    private readonly ended: () => void,
  ) {
    this.narration = new Narration(executionId, (told) => void res.write(format.encode(told)));
  }

  get isFull(): boolean {
    return this.res.writableLength > MAX_WAITING_BYTES;
  }

  room(signal: AbortSignal): Promise<void> {
    if (!this.res.writableNeedDrain || signal.aborted) return Promise.resolve();
    return new Promise((resolve) => {
      const done = (): void => {
        this.res.off('drain', done);
        signal.removeEventListener('abort', done);
        resolve();
      };
      this.res.once('drain', done);
      signal.addEventListener('abort', done, { once: true });
    });
  }

  inTurn(work: () => Promise<void>): Promise<void> {
    return work();
  }

  begun(): void {
    this.narration.begin();
  }

  snapshot(_cursor: number, data: object): void {
    const { outcome, steps, messages } = data as Omit<RunSnapshot, 'cursor'>;
    for (const step of steps) this.narration.step(step);
    for (const message of messages) this.narration.message(message);
    if (outcome !== null) this.narration.end(outcome);
    this.endIfOver();
  }

  event(frame: LogFrame): void {
    const event = JSON.parse(frame.json) as NarratedEvent & {
      readonly executionId: string | null;
      readonly data: { readonly message?: Json } | null;
    };
    const message = event.data?.message as NarratedMessage | undefined;
    if (message !== undefined && (frame.kind.startsWith('message.') || frame.kind.startsWith('turn.'))) this.narration.message(message);
    else if (event.executionId === this.executionId) this.narration.event(event);
    this.endIfOver();
  }

  delta(delta: Delta): void {
    this.narration.delta(delta);
  }

  /** A slow reader is told from a snapshot what it missed: nothing of that is told twice. */
  reset(): void {}
  lagged(): void {}

  private endIfOver(): void {
    if (!this.narration.isOver) return;
    this.res.write(this.format.end);
    this.ended();
  }
}
