import type { Pool } from 'pg';

/** The channel on which processes tell each other which streams have grown. */
export const WAKE_CHANNEL = 'signalbox_wake';
/** PostgreSQL takes payloads below 8,000 bytes. */
const MAX_PAYLOAD = 7_900;
const GATHER_MS = 10;

/**
 * Tells every process that streams have grown: after the commit, one NOTIFY in 10 ms at most (it takes a lock of the whole database at
 * commit). What comes within 10 ms goes along, so that the start and the end of a short step wake the readers once. Lost ones are
 * harmless: readers sweep.
 */
export class Notifier {
  private readonly waiting = new Set<string>();
  private timer: NodeJS.Timeout | undefined;
  private sending: Promise<void> = Promise.resolve();

  constructor(private readonly pool: Pool) {}

  wake(streamIds: Iterable<string>): void {
    for (const id of streamIds) this.waiting.add(id);
    if (this.waiting.size === 0 || this.timer !== undefined) return;
    this.timer = setTimeout(() => this.flush(), GATHER_MS);
  }

  /** Sends what waits and resolves when it is sent. */
  async close(): Promise<void> {
    clearTimeout(this.timer);
    this.flush();
    await this.sending;
  }

  private flush(): void {
    this.timer = undefined;
    const payloads = payloadsOf(this.waiting);
    this.waiting.clear();
    if (payloads.length === 0) return;
    this.sending = this.pool
      .query({
        name: 'notify',
        // A hint need not survive a crash: without a flush of its own it does not queue before the next step's commit.
        text: "SELECT count(pg_notify($1, payload)) FROM (SELECT set_config('synchronous_commit', 'off', true)) AS hint, unnest($2::text[]) AS payload",
        values: [WAKE_CHANNEL, payloads],
      })
      .then(
        () => undefined,
        () => undefined,
      ); // a hint: the sweep of the readers makes up for it
  }
}

/** Ids joined by commas, cut to the size of a payload. Pure. */
export function payloadsOf(streamIds: Iterable<string>): string[] {
  const payloads: string[] = [];
  let current = '';
  for (const id of streamIds) {
    if (current.length + id.length + 1 > MAX_PAYLOAD) {
      payloads.push(current);
      current = '';
    }
    current = current === '' ? id : `${current},${id}`;
  }
  if (current !== '') payloads.push(current);
  return payloads;
}
