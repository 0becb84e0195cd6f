/**
 * Readers of the event log, of executions and of sessions. Rows are the truth: a wake-up says only that there may be more, and readers ask for what
 * follows their own position. Readers of one stream that stand at the same place share one read and one serialisation.
 * A reader is never pushed to: it pulls a page when it has room, so a slow one costs one page and goes back to the rows.
 */

/** One event, written out once for all readers. */
export interface LogFrame {
  readonly seq: number;
  readonly kind: string;
  /** The Event as JSON text. */
  readonly json: string;
}

/** Events of a stream behind `after` (exclusive), oldest first, at most `limit`. */
export type ReadFrames = (streamId: string, after: number, limit: number) => Promise<readonly LogFrame[]>;

/** Where a log stands; undefined when there is none. `closed`: nothing follows `lastSeq`. */
export type ReadPlace = (streamId: string) => Promise<{ readonly lastSeq: number; readonly closed: boolean } | undefined>;

/** The last seq of each of these logs, in one question. */
export type ReadLastSeqs = (streamIds: readonly string[]) => Promise<ReadonlyMap<string, number>>;

export interface EventHubOptions {
  readonly read: ReadFrames;
  readonly place: ReadPlace;
  readonly lastSeqs: ReadLastSeqs;
  /** Told of a failed read; it is tried again at the next sweep. */
  readonly onError?: (error: unknown) => void;
}

const PAGE = 50;
/** Characters of the newest frames kept for each stream that is followed. */
const WINDOW_CHARACTERS = 256 * 1024;
const TERMINAL_KINDS: ReadonlySet<string> = new Set(['execution.completed', 'execution.failed', 'execution.cancelled']);

/** Whether nothing follows an event of this kind in the log of an execution. Pure. */
const isTerminalKind = (kind: string): boolean => TERMINAL_KINDS.has(kind);

/** Whether nothing follows this event in its stream: sessions outlive the executions that they show. Pure. */
const endsStream = (streamId: string, kind: string): boolean => isTerminalKind(kind) && !isSessionId(streamId);

/** Streams are of executions or of sessions, told by their ids. Pure. */
export const isSessionId = (streamId: string): boolean => streamId.startsWith('ses_');

/** What is shared by the readers of one stream. */
class Topic {
  followers = 0;
  /** Counts wake-ups: a read that began before one does not answer for it. */
  generation = 0;
  /** The newest that anybody has read; -1 after a read that failed. */
  newestRead = 0;
  private window: LogFrame[] = [];
  private windowCharacters = 0;
  private readonly reading = new Map<number, Promise<readonly LogFrame[]>>();
  private readonly waiting = new Set<() => void>();

  constructor(private readonly readRows: (after: number) => Promise<readonly LogFrame[]>) {}

  wake(): void {
    this.generation++;
    this.reading.clear();
    const waiting = [...this.waiting];
    this.waiting.clear();
    for (const resolve of waiting) resolve();
  }

  /** What follows `after`: from the window where it reaches that far, else from the rows. */
  async page(after: number): Promise<readonly LogFrame[]> {
    const first = this.window[0];
    const last = this.window[this.window.length - 1];
    if (first !== undefined && last !== undefined && after >= first.seq - 1 && after < last.seq) {
      const from = this.window.findIndex((frame) => frame.seq > after);
      return this.window.slice(from, from + PAGE);
    }
    const shared = this.reading.get(after) ?? this.startReading(after);
    return shared;
  }

  /** Resolves at the next wake-up after `generation`, or when the signal aborts. */
  changed(generation: number, signal: AbortSignal): Promise<void> {
    if (generation !== this.generation || signal.aborted) return Promise.resolve();
    return new Promise((resolve) => {
      const done = (): void => {
        this.waiting.delete(done);
        signal.removeEventListener('abort', done);
        resolve();
      };
      this.waiting.add(done);
      signal.addEventListener('abort', done, { once: true });
    });
  }

  private startReading(after: number): Promise<readonly LogFrame[]> {
    const reading = this.read(after).finally(() => {
      if (this.reading.get(after) === reading) this.reading.delete(after);
    });
    this.reading.set(after, reading);
    return reading;
  }

  private async read(after: number): Promise<readonly LogFrame[]> {
    try {
      const frames = await this.readRows(after);
      this.keep(after, frames);
      const newest = frames[frames.length - 1]?.seq ?? after;
      if (newest > this.newestRead) {
        this.newestRead = newest;
        // Some may wait at a place whose wake-up was lost; the sweep will not tell them of what is now read.
        this.wake();
      }
      return frames;
    } catch (error) {
      this.newestRead = -1;
      throw error;
    }
  }

  /** The window has no gap and moves only forward: readers far behind do not hold it back. */
  private keep(after: number, frames: readonly LogFrame[]): void {
    const last = this.window[this.window.length - 1];
    if (last !== undefined && after < last.seq) return;
    if (last !== undefined && after > last.seq) {
      this.window = [];
      this.windowCharacters = 0;
    }
    for (const frame of frames) {
      this.window.push(frame);
      this.windowCharacters += frame.json.length;
    }
    let dropped = 0;
    for (; this.windowCharacters > WINDOW_CHARACTERS && dropped < this.window.length; dropped++) {
      this.windowCharacters -= (this.window[dropped] as LogFrame).json.length;
    }
    this.window.splice(0, dropped);
  }
}

export class EventHub {
  private readonly topics = new Map<string, Topic>();
  private closed = false;

  constructor(private readonly options: EventHubOptions) {}

  /** There may be more of this stream. Costs nothing when nobody follows it. */
  wake(streamId: string): void {
    this.topics.get(streamId)?.wake();
  }

  /** Looks for what no wake-up told of: one question for all that is followed, however much that is. */
  async sweep(): Promise<void> {
    if (this.topics.size === 0) return;
    try {
      const lastSeqs = await this.options.lastSeqs([...this.topics.keys()]);
      for (const [id, topic] of this.topics) if ((lastSeqs.get(id) ?? 0) > topic.newestRead) topic.wake();
    } catch (error) {
      this.options.onError?.(error);
    }
  }

  /**
   * Where a reader that asks for what follows `after` begins: an id from the future (of a database that was set back) begins at the
   * end. `isAtEnd`: nothing will ever follow.
   */
  async place(streamId: string, after: number): Promise<{ readonly after: number; readonly isAtEnd: boolean }> {
    const place = await this.options.place(streamId);
    if (place === undefined) return { after, isAtEnd: false };
    return { after: Math.min(after, place.lastSeq), isAtEnd: place.closed && after >= place.lastSeq };
  }

  /** One page of what follows `after`, none when nothing does. @throws what the read throws */
  async page(streamId: string, after: number): Promise<readonly LogFrame[]> {
    const topic = this.join(streamId);
    try {
      return await topic.page(after);
    } finally {
      this.leave(streamId, topic);
    }
  }

  /**
   * A stream from behind `after`, page by page, until its terminal event, the signal, or `close`.
   * The next page is read when the last one is taken. A failed read is tried again at the next sweep.
   */
  async *follow(streamId: string, after: number, signal: AbortSignal): AsyncGenerator<readonly LogFrame[]> {
    const topic = this.join(streamId);
    let position = after;
    try {
      while (!this.closed && !signal.aborted) {
        const generation = topic.generation;
        const page = await this.tryPage(topic, position);
        if (page !== undefined && page.length > 0) {
          yield page;
          const last = page[page.length - 1] as LogFrame;
          if (endsStream(streamId, last.kind)) return;
          position = last.seq;
        } else {
          await topic.changed(generation, signal);
        }
      }
    } finally {
      this.leave(streamId, topic);
    }
  }

  /** Ends every follower. */
  close(): void {
    this.closed = true;
    for (const topic of this.topics.values()) topic.wake();
  }

  private async tryPage(topic: Topic, after: number): Promise<readonly LogFrame[] | undefined> {
    try {
      return await topic.page(after);
    } catch (error) {
      this.options.onError?.(error);
      return undefined;
    }
  }

  private join(streamId: string): Topic {
    const topic = this.topics.get(streamId) ?? new Topic((after) => this.options.read(streamId, after, PAGE));
    this.topics.set(streamId, topic);
    topic.followers++;
    return topic;
  }

  private leave(streamId: string, topic: Topic): void {
    topic.followers--;
    if (topic.followers === 0) this.topics.delete(streamId);
  }
}
