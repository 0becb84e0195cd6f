import { setTimeout as sleep } from 'node:timers/promises';
import { Crowd } from '../support/mixed-runs.js';
import { Service } from '../support/service.js';
import { call, loop } from '../support/steps.js';
import { startStubServer, type StubServer } from '../support/stub-server.js';

jest.setTimeout(120_000);

/** After a SIGKILL with an immediate start again. */
const WITHIN_OF_KILL_MS = 10_000;
/** After an absence longer than every timeout that would notice it. */
const WITHIN_OF_RETURN_MS = 3_000;

describe('processes of ours killed in the middle of 20 runs', () => {
  let stub: StubServer;
  let service: Service;
  beforeAll(async () => {
    [stub, service] = await Promise.all([startStubServer(), Service.start()]);
  });
  beforeEach(() => stub.clear());
  afterAll(async () => {
    await service?.close();
    await stub?.close();
  });

  it('a worker that is started again at once: all go on within 10 s, none repeats a finished step', async () => {
    const crowd = await Crowd.start(service, stub);
    await crowd.reached(0.3);
    const at = Date.now();
    await service.worker.kill();
    await service.startWorker();
    await crowd.untilAllEnded();
    await crowd.expectUnharmed({ at, goneOnBy: at + WITHIN_OF_KILL_MS });
  });

  it('a worker that is away for 12 s: /readyz misses it within 10 s, and all go on within 3 s of its return', async () => {
    const ready = (status: number) =>
      service.until(`/readyz to say ${status}`, async () => ((await service.api.get('/readyz')).status === status ? true : undefined));
    const crowd = await Crowd.start(service, stub);
    await crowd.reached(0.3);
    await ready(200);
    const at = Date.now();
    await service.worker.kill();
    await ready(503);
    expect(Date.now() - at).toBeLessThan(10_000);
    expect((await service.api.get('/readyz')).body).toMatchObject({
      ready: false,
      postgres: { ok: true },
      temporal: { ok: true },
      worker: { ok: false },
    });
    await sleep(at + 12_000 - Date.now());
    await service.startWorker();
    const back = Date.now();
    await ready(200);
    await crowd.untilAllEnded();
    await crowd.expectUnharmed({ at, goneOnBy: back + WITHIN_OF_RETURN_MS });
  });

  it('a gateway: the runs do not even notice, and readers resume by Last-Event-ID', async () => {
    const crowd = await Crowd.start(service, stub);
    await crowd.reached(0.3);
    const at = Date.now();
    await service.gateway.kill();
    await service.startGateway();
    await crowd.untilAllEnded();
    await crowd.expectUnharmed({ at, goneOnBy: at + WITHIN_OF_KILL_MS });
  });

  it('D1 a worker in the third of five calls: the third at most again and under its key', async () => {
    stub.on('/d1', (_call, nth) => (nth === 2 ? { delayMs: 20_000 } : {}));
    const { id } = await service.run([loop('l', { over: 'range(5)' }, [call('c', stub, '/d1?n={{ loop.item }}')])]);
    await stub.called('/d1', 3);
    await service.worker.kill();
    await service.startWorker();
    expect((await service.untilEnded(id)).status).toBe('completed');
    const calls = stub.calls('/d1');
    expect(calls.map(({ query }) => query['n'])).toEqual(['0', '1', '2', '2', '3', '4']);
    expect(calls[2]?.headers['idempotency-key']).toBe(calls[3]?.headers['idempotency-key']);
    expect(new Set(calls.map(({ headers }) => headers['idempotency-key'])).size).toBe(5);
    await service.expectGapFreeLog(id);
  });
});
