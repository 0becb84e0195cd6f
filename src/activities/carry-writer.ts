import type { Database } from '../store/database.js';
import { recordEvents } from '../store/projection.js';
import type { Common } from './contract.js';

/** Writes what an activity carries, for those that have no other record to put it with. The host takes any answer as proof. */
export interface CarryWriter {
  write(input: Common): Promise<void>;
}

export const createCarryWriter = (db: Database): CarryWriter => ({
  async write({ executionId, carry }) {
    if (carry.events.length === 0 && carry.delivered.length === 0) return;
    await recordEvents(db, executionId, carry);
  },
});
