import { setTimeout as sleep } from 'node:timers/promises';
import { log } from '@temporalio/activity';
import { isPlatformFault } from './step-error.js';

const FIRST_WAIT_MS = 100;
/** Work must go on within 3 s of the database's return. */
const MAX_WAIT_MS = 2_000;

/**
 * Writes down what has happened already, however long the database is away: the work is done and must not be thrown away for
 * want of it (durability §3). The caller heartbeats meanwhile. @throws what is not a platform fault
 */
export const persist = <T>(write: () => Promise<T>): Promise<T> => insist(write, undefined);

/** The same for what comes before the work: an abort ends the waiting, with the fault that was waited for. */
export const persistUnlessAborted = <T>(write: () => Promise<T>, signal: AbortSignal): Promise<T> => insist(write, signal);

async function insist<T>(write: () => Promise<T>, signal: AbortSignal | undefined): Promise<T> {
  for (let waitMs = FIRST_WAIT_MS; ; waitMs = Math.min(waitMs * 2, MAX_WAIT_MS)) {
    try {
      return await write();
    } catch (error) {
      if (!isPlatformFault(error) || signal?.aborted === true) throw error;
      if (waitMs === MAX_WAIT_MS) log.warn('a record waits for the database', { error: (error as Error).message });
      await sleep(waitMs, undefined, { signal }).catch(() => undefined);
    }
  }
}
