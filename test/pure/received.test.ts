import type { Common, RunIdentity, Told } from '../../src/activities/contract.js';
import { createReadRun, received, receivedWithRun } from '../../src/activities/received.js';
import { AppError } from '../../src/errors.js';

const RUN: RunIdentity = { ownerId: 'usr_1', sessionId: 'ses_1', workflowName: 'Test', planHash: 'sha256:1', planFormat: 1 };
const TOLD: Told = {
  executionId: 'exe_1',
  engineVersion: 1,
  carry: { counter: 2, status: 'running', progress: { done: 0, total: 1, current: [] } },
};

describe('what an activity is told', () => {
  it('is put together with the run of its execution, and with the lists that were empty', async () => {
    const activity = receivedWithRun(
      createReadRun(async () => RUN),
      async (call: Common & { readonly extra: number }) => call,
    );
    expect(await activity({ ...TOLD, extra: 7 })).toEqual({
      ...TOLD,
      ...RUN,
      extra: 7,
      carry: { ...TOLD.carry, events: [], delivered: [] },
    });
  });

  it('keeps the lists that were sent', async () => {
    const sent: Told = { ...TOLD, carry: { ...TOLD.carry, delivered: ['cmd_1'] } };
    const call = await received(
      async (given: { readonly executionId: string; readonly engineVersion: number; readonly carry: Common['carry'] }) => given,
    )(sent);
    expect(call.carry).toEqual({ ...TOLD.carry, events: [], delivered: ['cmd_1'] });
  });

  it('reads a run once, and not its neighbour for it', async () => {
    const asked: string[] = [];
    const readRun = createReadRun(async (id) => (asked.push(id), { ...RUN, ownerId: `owner of ${id}` }));
    for (const id of ['exe_1', 'exe_2', 'exe_1', 'exe_2']) expect((await readRun(id)).ownerId).toBe(`owner of ${id}`);
    expect(asked).toEqual(['exe_1', 'exe_2']);
  });

  it('asks again after the database was away, and says so as a fault that is retried', async () => {
    let isAway = true;
    const readRun = createReadRun(async () => {
      if (isAway) throw new AppError('unavailable', 'PostgreSQL is away', {} as never);
      return RUN;
    });
    await expect(readRun('exe_1')).rejects.toMatchObject({ type: 'unavailable', nonRetryable: false });
    isAway = false;
    expect(await readRun('exe_1')).toEqual(RUN);
  });

  it('gives up at once when the execution has no row', async () => {
    await expect(createReadRun(async () => undefined)('exe_1')).rejects.toMatchObject({ type: 'execution_unknown', nonRetryable: true });
  });
});
