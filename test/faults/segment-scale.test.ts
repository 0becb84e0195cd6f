import { payloadBytes, runsOf } from '../support/payload-sizes.js';
import { Service } from '../support/service.js';
import { call, loop, parallel } from '../support/steps.js';
import { startStubServer, type StubServer } from '../support/stub-server.js';

jest.setTimeout(300_000);

const LIMIT_BYTES = 1_048_576;

describe('long and wide runs of light steps', () => {
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

  it('D3, D23 a loop of 5,000 calls with 600-byte results: one execution over several Temporal runs, each call once, payloads small', async () => {
    stub.on('/item', { body: 'x'.repeat(600) });
    const { id } = await service.run([
      loop('l', { over: 'range(5000)', collect: 'outputs.c.body' }, [call('c', stub, '/item?n={{ loop.index }}')]),
    ]);
    const ended = await service.untilEnded(id, 240_000);
    expect({ status: ended.status, error: ended.error }).toEqual({ status: 'completed', error: null });
    const numbers = stub.calls('/item').map(({ query }) => Number(query['n']));
    expect(numbers).toHaveLength(5_000);
    expect(numbers.every((n, index) => n === index)).toBe(true);
    const events = await service.expectGapFreeLog(id);
    expect(events.filter(({ kind, stepId }) => kind === 'step.completed' && stepId === 'c')).toHaveLength(5_000);
    const runs = await runsOf(await service.temporalClient(), id);
    expect(runs.length).toBeGreaterThan(1);
    expect(Math.max(...runs.flatMap(({ events: all }) => all.flatMap(payloadBytes)))).toBeLessThan(LIMIT_BYTES);
    console.log(`D3: ${runs.length} runs, ${runs.reduce((sum, { events: all }) => sum + all.length, 0)} history events`);
  });

  it('D23 a parallel of 50 over a scope of 150 KB', async () => {
    stub.on('/part', { body: 'y'.repeat(29_000) });
    const parts = Array.from({ length: 6 }, (_, index) => call(`part${index}`, stub, '/part'));
    const branches = Object.fromEntries(
      Array.from({ length: 50 }, (_, index) => [
        `b${index}`,
        [call(`c${index}`, stub, `/branch?n=${index}&length={{ length(outputs.part${index % 6}.body) }}`)],
      ]),
    );
    const { id } = await service.run([...parts, parallel('p', branches)]);
    const ended = await service.untilEnded(id, 60_000);
    expect({ status: ended.status, error: ended.error }).toEqual({ status: 'completed', error: null });
    const made = stub.calls('/branch');
    expect(made).toHaveLength(50);
    expect(new Set(made.map(({ query }) => query['n'])).size).toBe(50);
    expect(new Set(made.map(({ query }) => query['length']))).toEqual(new Set(['29000']));
    const [run] = await runsOf(await service.temporalClient(), id);
    expect(Math.max(...(run?.events ?? []).flatMap(payloadBytes))).toBeLessThan(LIMIT_BYTES);
  });

  it('D23 a loop of 50, each pass a parallel of 50: 2,500 calls, at most 500 of them at once', async () => {
    const branches = Object.fromEntries(
      Array.from({ length: 50 }, (_, index) => [`b${index}`, [call(`c${index}`, stub, `/inner?n={{ loop.index }}-${index}`)]]),
    );
    const { id } = await service.run([loop('l', { over: 'range(50)', concurrency: 50, collect: '1' }, [parallel('p', branches)])]);
    const ended = await service.untilEnded(id, 240_000);
    expect({ status: ended.status, error: ended.error }).toEqual({ status: 'completed', error: null });
    expect(new Set(stub.calls('/inner').map(({ query }) => query['n'])).size).toBe(2_500);
    expect(stub.calls('/inner')).toHaveLength(2_500);
    expect(stub.maxOpen('/inner')).toBeLessThanOrEqual(500);
    await service.expectGapFreeLog(id);
    const runs = await runsOf(await service.temporalClient(), id);
    expect(Math.max(...runs.flatMap(({ events }) => events.flatMap(payloadBytes)))).toBeLessThan(LIMIT_BYTES);
  });
});
