import { setTimeout as sleep } from 'node:timers/promises';
import { log } from '@temporalio/activity';
import { isPlatformFault } from './step-error.js';

const FIRST_WAIT_MS = 100;
const MAX_WAIT_MS = 5_000;

/**
 * Writes down what has happened already, however long the database is away: the work is done and must not be thrown away for
 * want of it (durability §3). The caller heartbeats meanwhile. @throws what is not a platform fault
 */
export async function persist<T>(write: () => Promise<T>): Promise<T> {
  for (let waitMs = FIRST_WAIT_MS; ; waitMs = Math.min(waitMs * 2, MAX_WAIT_MS)) {
    try {
      return await write();
    } catch (error) {
      if (!isPlatformFault(error)) throw error;
      if (waitMs === MAX_WAIT_MS) log.warn('a result waits for the database', { error: (error as Error).message });
      await sleep(waitMs);
    }
  }
}
