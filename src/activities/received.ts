/** What the host leaves out of a call, put back in: what is empty, and what the run's row says for its whole life. */
import { ApplicationFailure } from '@temporalio/common';
import type { Call, Common, RunIdentity, Told } from './contract.js';
import { isPlatformFault, tryAgain } from './step-error.js';
import { WorkingCall } from './working-call.js';

/** Reads the facts of a run's row that never change; undefined when there is none. */
export type LoadRun = (executionId: string) => Promise<RunIdentity | undefined>;
/** Gives at once what is known already. @throws ApplicationFailure, retryable while the row cannot be read */
export type ReadRun = (executionId: string) => RunIdentity | Promise<RunIdentity>;

/** A call as it is sent. */
type Sent<C extends Call> = Omit<C, keyof Common> & Told;

/** For activities that need nothing of the run's row. Lists that are empty are not sent. */
export const received =
  <C extends Call & { readonly ownerId?: never }, R>(activity: (call: C) => Promise<R>) =>
  (sent: Sent<C>): Promise<R> =>
    activity(unpacked(sent) as unknown as C);

/** For activities that ask who owns the run, or for its plan. */
export const receivedWithRun =
  <C extends Common, R>(readRun: ReadRun, activity: (call: C) => Promise<R>) =>
  async (sent: Sent<C>): Promise<R> =>
    await activity({ ...unpacked(sent), ...(await readRun(sent.executionId)) } as unknown as C);

function unpacked(sent: Told): Call {
  const { events = [], delivered = [] } = sent.carry;
  return { ...sent, carry: { ...sent.carry, events, delivered } };
}

const CACHED_RUNS = 1_000;

/** Reads a run's facts once in this process: without them a step's call is smaller by half, and the server keeps each call in the history. */
export function createReadRun(load: LoadRun): ReadRun {
  const known = new Map<string, RunIdentity>();

  async function read(executionId: string): Promise<RunIdentity> {
    const run = await load(executionId).catch((error: unknown) => {
      throw isPlatformFault(error) ? tryAgain('unavailable', (error as Error).message, error) : error;
    });
    // Deleted under its workflow: no attempt will find it, and the host ends.
    if (run === undefined) throw ApplicationFailure.nonRetryable(`Execution ${executionId} has no row`, 'execution_unknown');
    if (known.size >= CACHED_RUNS) known.delete(known.keys().next().value as string);
    known.set(executionId, run);
    return run;
  }

  return (executionId) => known.get(executionId) ?? read(executionId);
}

/** The same for activities that have a heartbeat: it goes on while the database is away. */
export const heartbeating =
  (readRun: ReadRun): ReadRun =>
  (executionId) => {
    const run = readRun(executionId);
    if (!(run instanceof Promise)) return run;
    const call = new WorkingCall();
    return run.finally(() => call.close());
  };
