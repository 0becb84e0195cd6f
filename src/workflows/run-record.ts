import { proxyLocalActivities } from '@temporalio/workflow';
import type { CoreActivities, Told, ToldCarry } from '../activities/contract.js';
import type { EngineEvent, Projection, StartData } from '../engine/types.js';
import { PLATFORM_RETRY } from './activity-calls.js';
import { CarriedEvents, type CarryMark } from './carried-events.js';

/** One chunk holds the events of 1,000 pure steps, so that they cost one marker; a local activity's input is not in the history. */
const FLUSH_CHUNK_BYTES = 4 * 1024 * 1024;

/** Short reads and writes of rows in the worker's own process: one marker each, and no workflow task of their own. */
export const local = proxyLocalActivities<CoreActivities>({
  startToCloseTimeout: '4s',
  localRetryThreshold: '3s',
  retry: { ...PLATFORM_RETRY, initialInterval: '100ms' },
});

/** What the engine has told and the log may not have yet: carried by every activity, flushed where none will take it along (durability §7). */
export class RunRecord {
  private readonly carried = new CarriedEvents();

  /**
   * @param projection of the engine's state, as it is when asked
   * @param onClosed told when a write finds that the execution's row has ended
   */
  constructor(
    private readonly start: Omit<StartData, 'seeds'>,
    private readonly projection: () => Projection,
    private readonly onClosed: () => void,
  ) {}

  add(events: readonly EngineEvent[]): void {
    this.carried.add(events);
  }

  addDelivered(commandId: string | undefined): void {
    if (commandId !== undefined) this.carried.addDelivered(commandId);
  }

  get bytes(): number {
    return this.carried.bytes;
  }

  /** Something waits that no issued activity carries: it would wait for the next one. */
  get hasUnhanded(): boolean {
    return this.carried.hasUnhanded;
  }

  /** What an activity is told, with the first `carryLimit` bytes of what waits and the mark to give back on its answer. */
  take(carryLimit?: number): { readonly common: Told; readonly mark: CarryMark } {
    const { carry, mark } = this.carried.take(this.projection(), carryLimit);
    return { common: this.commonWith(carry), mark };
  }

  /** The activity answered: what it carried is written. */
  acknowledge(mark: CarryMark): void {
    this.carried.acknowledge(mark);
  }

  /** The activity gave no answer: nobody knows whether it wrote what it carried. */
  forget(): void {
    this.carried.forget();
  }

  /** The same without anything to write. */
  commonAlone(): Told {
    return this.commonWith(this.projection());
  }

  /** Calls a local activity that carries all that waits, and takes its return as proof that it is written. More than a chunk is flushed first. */
  async callLocal<T>(run: (common: Told) => Promise<T>): Promise<T> {
    if (this.bytes > FLUSH_CHUNK_BYTES) await this.flush(FLUSH_CHUNK_BYTES);
    const { common, mark } = this.take();
    const result = await run(common);
    this.acknowledge(mark);
    return result;
  }

  /** Writes what is carried, in chunks, until at most so many bytes are left. */
  async flush(leftBytes = 0): Promise<void> {
    while (this.bytes > leftBytes) {
      const { common, mark } = this.take(FLUSH_CHUNK_BYTES);
      const written = await local.flush(common);
      this.acknowledge(mark);
      if (written?.closed === true) this.onClosed();
    }
  }

  private commonWith(carry: ToldCarry): Told {
    return { executionId: this.start.execution.id, engineVersion: this.start.engineVersion, carry };
  }
}
