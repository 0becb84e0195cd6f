import type { Database } from '../store/database.js';
import { deliveryIdOf } from '../store/deliveries.js';

const KEPT = 10_000;
/** A line does not wait longer for what it would say besides. */
const PATIENCE_MS = 1_000;

/**
 * Which delivery started an execution, for the process's log: whoever knows what a sender sent, or the time of a tick, finds every line of what
 * came of it. Kept once read, as it never changes; nothing is known before there is a database to read it from.
 */
export class DeliveryIds {
  private readonly known = new Map<string, string | null>();
  private readonly reading = new Map<string, Promise<string | null>>();
  private db: Database | undefined;

  readFrom(db: Database): void {
    this.db = db;
  }

  /** At once where it is known. Null: no delivery has started it, or nobody can tell now. */
  of(executionId: string): string | null | Promise<string | null> {
    const known = this.known.get(executionId);
    if (known !== undefined || this.db === undefined) return known ?? null;
    let reading = this.reading.get(executionId);
    if (reading === undefined) {
      reading = this.read(this.db, executionId).finally(() => this.reading.delete(executionId));
      this.reading.set(executionId, reading);
    }
    return reading;
  }

  private async read(db: Database, executionId: string): Promise<string | null> {
    let timer: NodeJS.Timeout | undefined;
    const late = new Promise<undefined>((resolve) => {
      timer = setTimeout(() => resolve(undefined), PATIENCE_MS);
    });
    // A row that cannot be read costs its line this one field: the line is written, and the next one tries again.
    const found = await Promise.race([deliveryIdOf(db, executionId).catch(() => undefined), late]).finally(() => clearTimeout(timer));
    if (found === undefined) return null;
    if (this.known.size >= KEPT) this.known.delete(this.known.keys().next().value as string);
    this.known.set(executionId, found);
    return found;
  }
}
