import type { Carry } from '../engine/types.js';
import { hasCode } from '../errors.js';
import { toJsonText } from './json-text.js';
import type { Notifier } from './notifier.js';
import { statement, type Queryable } from './statement.js';

/** What the execution's row and its commands take from a carry; its events are part of the operation. */
export type Head = Pick<Carry, 'counter' | 'progress' | 'delivered'> & {
  /** Null: how far a segment has come since the projection of that counter. */
  readonly status: Carry['status'] | null;
};

/** An operation of `signalbox_write` (prisma/migrations, write_functions), as JSON. */
export interface WriteOp {
  readonly op: 'append' | 'begin' | 'end' | 'segment';
  readonly [field: string]: unknown;
}

interface Waiting {
  readonly head: Head | null;
  /** The operation as JSON. */
  readonly text: string;
  readonly resolve: (result: unknown) => void;
  readonly reject: (error: unknown) => void;
}

interface Written {
  readonly written: { readonly session: string | null; readonly results: readonly unknown[] };
}

const WRITE = statement('signalbox_write', 'SELECT signalbox_write($1, $2, $3) AS written');
const MAX_BATCH = 200;
const MAX_BATCH_CHARACTERS = 1024 * 1024;

/**
 * Everything that activities record, one writer for each execution: what waits while a call is under way goes together in the
 * next one (one statement, one transaction), in the order in which it came.
 */
export class StreamWriter {
  private readonly queues = new Map<string, Waiting[]>();
  private readonly running = new Map<string, Promise<void>>();

  constructor(
    private readonly db: Queryable,
    private readonly notifier: Notifier,
  ) {}

  /** @returns the operation's result as `signalbox_write` gives it; @throws AppError `unavailable` */
  write<R>(executionId: string, head: Head | null, op: WriteOp): Promise<R> {
    return new Promise<R>((resolve, reject) => {
      const waiting: Waiting = { head, text: toJsonText(op), resolve: (result) => resolve(result as R), reject };
      const queue = this.queues.get(executionId);
      if (queue === undefined) this.queues.set(executionId, [waiting]);
      else queue.push(waiting);
      if (!this.running.has(executionId)) this.running.set(executionId, this.run(executionId));
    });
  }

  /** Resolves when nothing is under way. */
  async drain(): Promise<void> {
    while (this.running.size > 0) await Promise.all(this.running.values());
  }

  private async run(executionId: string): Promise<void> {
    await Promise.resolve(); // what the same turn of the loop adds goes along
    for (let batch = this.take(executionId); batch.length > 0; batch = this.take(executionId)) await this.send(executionId, batch);
    this.queues.delete(executionId);
    this.running.delete(executionId);
  }

  private take(executionId: string): Waiting[] {
    const queue = this.queues.get(executionId) ?? [];
    let characters = 0;
    let count = 0;
    for (const { text } of queue.slice(0, MAX_BATCH)) {
      characters += text.length;
      if (count > 0 && characters > MAX_BATCH_CHARACTERS) break;
      count += 1;
    }
    return queue.splice(0, count);
  }

  private async send(executionId: string, batch: readonly Waiting[]): Promise<void> {
    try {
      const { session, results } = await this.call(executionId, batch);
      this.notifier.wake(session === null ? [executionId] : [executionId, session]);
      batch.forEach((waiting, index) => waiting.resolve(results[index]));
    } catch (error) {
      if (batch.length > 1 && !hasCode(error, 'unavailable')) {
        // One of them cannot be written: it alone shall fail.
        for (const waiting of batch) await this.send(executionId, [waiting]);
      } else {
        for (const waiting of batch) waiting.reject(error);
      }
    }
  }

  private async call(executionId: string, batch: readonly Waiting[]): Promise<Written['written']> {
    const head = mergeHeads(batch.map((waiting) => waiting.head));
    const values = [executionId, head === null ? null : toJsonText(head), `[${batch.map((waiting) => waiting.text).join(',')}]`];
    const [row] = await this.db.rows<Written>(WRITE, values);
    if (row === undefined) throw new Error('signalbox_write gave no row');
    return row.written;
  }
}

/** The newest projection, and every command that any of them knows to be applied. Pure. */
export function mergeHeads(heads: readonly (Head | null)[]): Head | null {
  let newest: Head | null = null;
  const delivered = new Set<string>();
  for (const head of heads) {
    if (head === null) continue;
    newest = newest === null ? head : newerOf(newest, head);
    for (const id of head.delivered) delivered.add(id);
  }
  return newest === null ? null : { counter: newest.counter, status: newest.status, progress: newest.progress, delivered: [...delivered] };
}

/** A segment's progress is newer than the projection of the same counter, and says nothing else. */
function newerOf(known: Head, head: Head): Head {
  if (head.counter !== known.counter) return head.counter > known.counter ? head : known;
  if (head.status !== null && known.status !== null) return known;
  const [whole, part] = head.status === null ? [known, head] : [head, known];
  return { ...whole, progress: part.progress };
}
