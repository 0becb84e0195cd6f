/**
 * Tokens on their way from workers to gateways: by NOTIFY, in batches, never through rows or Temporal's history. A batch that is lost
 * costs nothing: the text is checkpointed on the message's row, and whoever meets a gap reads it there.
 */
import type { Pool } from 'pg';
import { toStorableText } from './json-text.js';

/** The channel on which workers tell gateways the pieces of text that models say. */
export const DELTA_CHANNEL = 'signalbox_deltas';

/** A piece of one text part of a streaming turn. The same (turnId, attempt, part, offset) is the same piece. */
export interface Delta {
  readonly sessionId: string;
  readonly turnId: string;
  /** `turn.attempt`. */
  readonly attempt: number;
  /** The index in the message's `parts`. */
  readonly part: number;
  /** Where the piece begins in that part's text, in UTF-16 units. */
  readonly offset: number;
  readonly text: string;
}

export interface DeltaSender {
  /**
   * Tells every gateway, within 15 ms. Never throws and never waits: what cannot be sent is dropped, as the message's checkpoint has
   * it too. The turn's message is in its row before (readers look for it there).
   */
  send(delta: Delta): void;
  /** Sends what waits and resolves when it is sent. */
  close(): Promise<void>;
}

/** One for each process: all its turns share the batches. */
export const createDeltaSender = (pool: Pick<Pool, 'query'>, options: DeltaSenderOptions = {}): DeltaSender => new Sender(pool, options);

export interface DeltaSenderOptions {
  readonly quietMs?: number;
}

/** PostgreSQL takes payloads below 8,000 bytes. */
const MAX_PAYLOAD_BYTES = 7_900;
/** Left for a piece's ids and brackets. */
const MAX_TEXT_BYTES = 7_400;
const QUIET_MS = 12;
/** What waits while PostgreSQL does not answer; above it all of it is dropped. */
const MAX_WAITING_CHARACTERS = 1024 * 1024;

const NOTIFY = {
  name: 'notify_deltas',
  // Hints need not survive a crash: without a flush of their own they do not queue before the next step's commit.
  text: "SELECT count(pg_notify($1, payload)) FROM (SELECT set_config('synchronous_commit', 'off', true)) AS hint, unnest($2::text[]) AS payload",
};

class Sender implements DeltaSender {
  private waiting: Delta[] = [];
  /** Of each turn and part, the place of its newest in `waiting`. */
  private readonly newest = new Map<string, number>();
  private waitingCharacters = 0;
  private timer: NodeJS.Timeout | undefined;
  private sending: Promise<void> | undefined;
  private lastSentAt = 0;

  constructor(
    private readonly pool: Pick<Pool, 'query'>,
    private readonly options: DeltaSenderOptions,
  ) {}

  send(delta: Delta): void {
    if (delta.text === '') return;
    if (this.waitingCharacters > MAX_WAITING_CHARACTERS) this.take();
    const key = `${delta.turnId} ${delta.part}`;
    const place = this.newest.get(key);
    const last = place === undefined ? undefined : this.waiting[place];
    if (place !== undefined && last !== undefined && follows(last, delta)) this.waiting[place] = { ...last, text: last.text + delta.text };
    else this.newest.set(key, this.waiting.push(delta) - 1);
    this.waitingCharacters += delta.text.length;
    this.schedule();
  }

  async close(): Promise<void> {
    while (this.sending !== undefined || this.waiting.length > 0) {
      if (this.sending === undefined) this.flush();
      await this.sending;
    }
  }

  /** The first goes at once; one batch at a time, so that their order is that of sending. */
  private schedule(): void {
    if (this.timer !== undefined || this.sending !== undefined || this.waiting.length === 0) return;
    const delay = Math.max(0, this.lastSentAt + (this.options.quietMs ?? QUIET_MS) - Date.now());
    this.timer = setTimeout(() => this.flush(), delay);
  }

  private flush(): void {
    clearTimeout(this.timer);
    this.timer = undefined;
    const payloads = toPayloads(this.take());
    if (payloads.length === 0) return;
    this.lastSentAt = Date.now();
    this.sending = this.tell(payloads).finally(() => {
      this.sending = undefined;
      this.schedule();
    });
  }

  private async tell(payloads: readonly string[]): Promise<void> {
    try {
      await this.pool.query({ ...NOTIFY, values: [DELTA_CHANNEL, payloads] });
    } catch {
      // A batch that PostgreSQL did not take is made up for by the checkpoint.
    }
  }

  private take(): Delta[] {
    const taken = this.waiting;
    this.waiting = [];
    this.newest.clear();
    this.waitingCharacters = 0;
    return taken;
  }
}

/** Only what joins on becomes one piece: another is sent as it is, and readers see the gap. */
const follows = (last: Delta, next: Delta): boolean => last.attempt === next.attempt && last.offset + last.text.length === next.offset;

type Packed = readonly [sessionId: string, turnId: string, attempt: number, part: number, offset: number, text: string];

/** Batches as NOTIFY takes them: JSON lists, each below the limit. Long pieces are cut, never within a pair of surrogates. Pure. */
export function toPayloads(deltas: readonly Delta[]): string[] {
  const payloads: string[] = [];
  let items: string[] = [];
  let bytes = 2;
  for (const delta of deltas.flatMap(cut)) {
    const item = JSON.stringify([delta.sessionId, delta.turnId, delta.attempt, delta.part, delta.offset, delta.text] satisfies Packed);
    const size = Buffer.byteLength(item) + 1;
    if (items.length > 0 && bytes + size > MAX_PAYLOAD_BYTES) {
      payloads.push(`[${items.join(',')}]`);
      items = [];
      bytes = 2;
    }
    items.push(item);
    bytes += size;
  }
  if (items.length > 0) payloads.push(`[${items.join(',')}]`);
  return payloads;
}

function cut(delta: Delta): Delta[] {
  const pieces: Delta[] = [];
  let { offset, text } = delta;
  while (Buffer.byteLength(JSON.stringify(text)) > MAX_TEXT_BYTES) {
    // JSON writes a unit in six bytes at most.
    let length = Math.min(text.length - 1, Math.floor(MAX_TEXT_BYTES / 6) - 1);
    if (isHighSurrogate(text.charCodeAt(length - 1))) length -= 1;
    pieces.push({ ...delta, offset, text: text.slice(0, length) });
    offset += length;
    text = text.slice(length);
  }
  pieces.push({ ...delta, offset, text });
  return pieces;
}

/** A payload's pieces; none when it is not one of ours. Pure. */
export function parseDeltas(payload: string): Delta[] {
  const list = parseJson(payload);
  return Array.isArray(list) ? list.filter(isPacked).map(toDelta) : [];
}

const toDelta = ([sessionId, turnId, attempt, part, offset, text]: Packed): Delta => ({ sessionId, turnId, attempt, part, offset, text });

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

function isPacked(item: unknown): item is Packed {
  if (!Array.isArray(item) || item.length !== 6) return false;
  const [sessionId, turnId, attempt, part, offset, text] = item as unknown[];
  const isCount = (value: unknown): boolean => Number.isSafeInteger(value) && Number(value) >= 0;
  return (
    typeof sessionId === 'string' &&
    typeof turnId === 'string' &&
    isCount(attempt) &&
    isCount(part) &&
    isCount(offset) &&
    typeof text === 'string'
  );
}

const isHighSurrogate = (unit: number): boolean => unit >= 0xd800 && unit <= 0xdbff;

/**
 * What of a stream of text may be told now: characters that PostgreSQL stores (others become U+FFFD, one unit each), so that deltas
 * and the message's row agree to the unit. The first half of a surrogate pair is held back until its other half comes. Pure.
 * @param held what the last call held back, '' at first; at the end of the stream give '' as chunk and tell the rest as it is
 */
export function takeStorable(held: string, chunk: string): { readonly text: string; readonly held: string } {
  const all = held + chunk;
  const isHalf = chunk !== '' && isHighSurrogate(all.charCodeAt(all.length - 1));
  const whole = isHalf ? all.slice(0, -1) : all;
  return { text: toStorableText(whole), held: isHalf ? all.slice(-1) : '' };
}
