/** Server-sent events (WHATWG HTML §9.2) from pages of the log: paced by the reader, kept alive by comments. */
import type { ServerResponse } from 'node:http';
import type { LogFrame } from './event-hub.js';

export interface EventStreamOptions {
  /** The pages to write; the signal aborts when the reader goes or may not go on. */
  readonly pages: (signal: AbortSignal) => AsyncIterable<readonly LogFrame[]>;
  readonly heartbeatMs?: number;
  /** A reader that takes nothing for so long is cut off; it resumes from the rows. */
  readonly stalledMs?: number;
  /** Ends the stream once the reader may not go on (its key was revoked, say). @returns what ends the watching */
  readonly whileAllowed?: (end: () => void) => () => void;
}

export const EVENT_STREAM_TYPE = 'text/event-stream';
const HEARTBEAT_MS = 15_000;
const STALLED_MS = 60_000;
const STALLED_BEATS = 4;
/** What a browser waits before it connects again. */
const RETRY_MS = 1_000;

/** Writes the stream to its end and ends the response. Resolves also when the reader went away. */
export async function writeEventStream(res: ServerResponse, options: EventStreamOptions): Promise<void> {
  const reader = new AbortController();
  const gone = (): void => reader.abort();
  res.once('close', gone).on('error', gone);
  openEventStream(res);
  const stopKeeping = keepAlive(res, options, gone);
  try {
    for await (const page of options.pages(reader.signal)) {
      for (const frame of page) {
        if (reader.signal.aborted) return;
        if (!res.write(toServerSentEvent(frame))) await drained(res, options.stalledMs ?? STALLED_MS);
      }
    }
  } finally {
    stopKeeping();
    res.end();
  }
}

/** The head of a stream of events, for browsers and for proxies. */
export function openEventStream(res: ServerResponse, headers: { readonly [name: string]: string } = {}): void {
  res.writeHead(200, {
    'Content-Type': `${EVENT_STREAM_TYPE}; charset=utf-8`,
    'Cache-Control': 'no-cache, no-transform',
    // Proxies that buffer would hold events back.
    'X-Accel-Buffering': 'no',
    ...headers,
  });
  res.write(`retry: ${RETRY_MS}\n\n`);
}

/** One event. JSON text holds no line break, so one `data:` line is enough. Pure. */
export const toServerSentEvent = (frame: LogFrame): string => `id: ${frame.seq}\nevent: ${frame.kind}\ndata: ${frame.json}\n\n`;

/** Comments that keep the line up, and an eye on the reader's rights. @returns what ends both */
export function keepAlive(
  res: ServerResponse,
  options: Pick<EventStreamOptions, 'heartbeatMs' | 'whileAllowed'>,
  stop: () => void,
): () => void {
  let unread = 0;
  const beat = (): void => {
    unread = res.writableNeedDrain ? unread + 1 : 0;
    // A reader with unread bytes knows that the line is up; one that has had them for long is gone.
    if (unread === 0) res.write(': heartbeat\n\n');
    else if (unread >= STALLED_BEATS) stop();
  };
  const timer = setInterval(beat, options.heartbeatMs ?? HEARTBEAT_MS).unref();
  const unwatch = options.whileAllowed?.(stop);
  return () => {
    clearInterval(timer);
    unwatch?.();
  };
}

/** Waits for room. A reader that stalls for too long is cut off. */
function drained(res: ServerResponse, stalledMs: number): Promise<void> {
  return new Promise((resolve) => {
    const timer = setTimeout(() => res.destroy(), stalledMs);
    const done = (): void => {
      clearTimeout(timer);
      res.off('drain', done).off('close', done);
      resolve();
    };
    res.once('drain', done).once('close', done);
    if (res.destroyed) done();
  });
}
