import { append, readEvents, readSessionEvents, streamState } from '../../src/store/event-log.js';
import { openDatabase } from '../../src/store/database.js';
import { settleExecution } from '../../src/store/end-execution.js';
import { anEvent, anInstance, started, useDatabase } from './builders.js';

describe('the event log', () => {
  const { db, url } = useDatabase();

  it('R1: gives 1..n without a gap to 50 appenders of two processes, and repeats of a key add nothing', async () => {
    const execution = await started(db());
    const other = openDatabase(url());
    const appenders = Array.from({ length: 50 }, (_, appender) => async () => {
      for (let round = 0; round < 4; round += 1) {
        // Every second appender repeats what its neighbour appends.
        const ordinal = `${appender - (appender % 2)}-${round}`;
        await append(appender % 3 === 0 ? other : db(), execution.id, [
          anEvent({ ordinal }),
          anEvent({ ordinal: `${appender}-${round}-own` }),
        ]);
      }
    });
    await Promise.all(appenders.map((run) => run()));
    await other.close();
    const events = await readEvents(db(), execution.id, 0, 1_000);
    expect(events.map((event) => event.seq)).toEqual(Array.from({ length: 1 + 25 * 4 + 50 * 4 }, (_, index) => index + 1));
    expect(await streamState(db(), execution.id)).toMatchObject({ lastSeq: events.length, closed: false });
  });

  it("shows an execution's events in its session in the same order, without a gap", async () => {
    const execution = await started(db());
    await Promise.all(Array.from({ length: 20 }, (_, index) => append(db(), execution.id, [anEvent({ ordinal: String(index) })])));
    const own = await readEvents(db(), execution.id, 0, 100);
    const inSession = await readSessionEvents(db(), execution.sessionId, 0, 100);
    expect(inSession.map((event) => event.seq)).toEqual(own.map((event) => event.seq));
    expect(inSession.map(({ kind, data }) => ({ kind, data }))).toEqual(own.map(({ kind, data }) => ({ kind, data })));
  });

  it('numbers two executions of one session in one row', async () => {
    const first = await started(db());
    const second = await started(db(), { sessionId: first.sessionId });
    await Promise.all([first, second].flatMap(({ id }) => [1, 2, 3].map((n) => append(db(), id, [anEvent({ ordinal: String(n) })]))));
    const seqs = (await readSessionEvents(db(), first.sessionId, 0, 100)).map((event) => event.seq);
    expect(seqs).toEqual([1, 2, 3, 4, 5, 6, 7, 8]);
  });

  it('tells events of one kind apart by attempt, path and ordinal', async () => {
    const execution = await started(db());
    const seqs = await append(db(), execution.id, [
      anEvent(),
      anEvent({ ordinal: '2' }),
      anEvent({ instance: anInstance({ attempt: 2 }) }),
      anEvent({ instance: anInstance({ iterationPath: 'l:i0' }) }),
      anEvent(),
    ]);
    expect(seqs).toEqual([2, 3, 4, 5, null]);
  });

  it('takes nothing behind the terminal event', async () => {
    const execution = await started(db());
    await settleExecution(db(), execution.id, null, { status: 'completed', output: { v: 1 }, error: null, reason: null, requested: false });
    expect(await append(db(), execution.id, [anEvent(), anEvent({ ordinal: '2' })])).toEqual([null, null]);
    const kinds = (await readEvents(db(), execution.id, 0, 10)).map((event) => event.kind);
    expect(kinds).toEqual(['execution.started', 'execution.completed']);
    expect(await streamState(db(), execution.id)).toMatchObject({ closed: true, lastSeq: 2 });
  });

  it('keeps what users wrote: order of keys, large numbers; and replaces what PostgreSQL cannot hold', async () => {
    const execution = await started(db());
    const data = { z: 1, a: 'x\0y', b: '\\u0000', c: '\ud800', n: 12_345_678_901_234, list: [{ y: 1, x: 2 }] };
    await append(db(), execution.id, [anEvent({ data })]);
    const [, event] = await readEvents(db(), execution.id, 0, 10);
    expect(JSON.stringify(event?.data)).toBe(JSON.stringify({ ...data, a: 'x\ufffdy', c: '\ufffd' }));
  });

  it('reads on after a seq', async () => {
    const execution = await started(db());
    await append(
      db(),
      execution.id,
      ['1', '2', '3'].map((ordinal) => anEvent({ ordinal })),
    );
    expect((await readEvents(db(), execution.id, 2, 1)).map((event) => event.seq)).toEqual([3]);
  });
});
