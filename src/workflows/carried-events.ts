import type { ToldCarry } from '../activities/contract.js';
import type { EngineEvent, Projection } from '../engine/types.js';

/** What one activity was given to write; acknowledged when it answers. */
export interface CarryMark {
  readonly events: number;
  readonly delivered: number;
}

/**
 * The events and command acknowledgements not yet known to be written, oldest first. Every activity carries all of them
 * (durability §7): whichever runs first writes them, in the engine's order, and the log drops repeats by key.
 */
export class CarriedEvents {
  private events: { readonly event: EngineEvent; readonly bytes: number }[] = [];
  private delivered: string[] = [];
  private totalBytes = 0;
  private writtenEvents = 0;
  private writtenDelivered = 0;
  /** How far any issued activity has been given the lists. */
  private handed: CarryMark = { events: 0, delivered: 0 };

  add(events: readonly EngineEvent[]): void {
    for (const event of events) {
      const bytes = JSON.stringify(event).length;
      this.events.push({ event, bytes });
      this.totalBytes += bytes;
    }
  }

  addDelivered(commandId: string): void {
    this.delivered.push(commandId);
    this.totalBytes += commandId.length;
  }

  /** True when something waits that no running activity carries: a reader would have to wait for the next one. */
  get hasUnhanded(): boolean {
    return this.end.events > this.handed.events || this.end.delivered > this.handed.delivered;
  }

  get bytes(): number {
    return this.totalBytes;
  }

  /** The first `limit` bytes of events (at least one) and everything to acknowledge, with the mark to give back on the answer. */
  take(projection: Projection, limit = Number.POSITIVE_INFINITY): { carry: ToldCarry; mark: CarryMark } {
    let bytes = 0;
    let count = 0;
    for (const entry of this.events) {
      if (count > 0 && bytes + entry.bytes > limit) break;
      bytes += entry.bytes;
      count += 1;
    }
    const mark = { events: this.writtenEvents + count, delivered: this.end.delivered };
    this.handed = { events: Math.max(this.handed.events, mark.events), delivered: mark.delivered };
    return {
      carry: {
        ...projection,
        ...(count === 0 ? {} : { events: this.events.slice(0, count).map(({ event }) => event) }),
        ...(this.delivered.length === 0 ? {} : { delivered: [...this.delivered] }),
      },
      mark,
    };
  }

  acknowledge(mark: CarryMark): void {
    if (mark.events > this.writtenEvents) {
      for (const { bytes } of this.events.splice(0, mark.events - this.writtenEvents)) this.totalBytes -= bytes;
      this.writtenEvents = mark.events;
    }
    if (mark.delivered > this.writtenDelivered) {
      for (const id of this.delivered.splice(0, mark.delivered - this.writtenDelivered)) this.totalBytes -= id.length;
      this.writtenDelivered = mark.delivered;
    }
  }

  /** An activity ended without proof that it wrote what it carried: the next one carries it again, or a flush does. */
  forget(): void {
    this.handed = { events: this.writtenEvents, delivered: this.writtenDelivered };
  }

  private get end(): CarryMark {
    return { events: this.writtenEvents + this.events.length, delivered: this.writtenDelivered + this.delivered.length };
  }
}
