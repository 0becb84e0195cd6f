import { Service } from '../support/service.js';
import type { Execution } from '../support/service-shapes.js';
import { call, loop } from '../support/steps.js';
import { startStubServer, type StubServer } from '../support/stub-server.js';

jest.setTimeout(120_000);

const PASSES = 200;
/** These never succeed until the receiver is mended. */
const BROKEN = [50, 110, 170];

describe('a wide loop against a receiver that is often busy', () => {
  let stub: StubServer;
  let service: Service;
  beforeAll(async () => {
    [stub, service] = await Promise.all([startStubServer(), Service.start()]);
  });
  afterAll(async () => {
    await service?.close();
    await stub?.close();
  });

  /** What the receiver has written down, by the key under which it was asked. */
  const written = new Map<string, number>();
  let isMended = false;
  const receive = () =>
    stub.on('/write', ({ query, headers }) => {
      const n = Number(query['n']);
      const key = headers['idempotency-key'] ?? '';
      if (BROKEN.includes(n) && !isMended) return { status: 500, body: { why: 'broken' } };
      const asked = stub.calls('/write').filter((made) => made.headers['idempotency-key'] === key).length;
      // Every seventh is busy at first: 15 %.
      if (n % 7 === 3 && asked === 1 && !isMended) return { status: 503, headers: { 'retry-after': '1' }, delayMs: 20 };
      written.set(key, n);
      return { delayMs: 50, body: { n } };
    });

  it('E7 retries what is busy, keeps the failures apart, survives a restart, and reruns from the first failed pass', async () => {
    receive();
    const { id } = await service.run([
      loop('l', { over: `range(${PASSES})`, concurrency: 20, onItemError: 'continue', collect: 'outputs.w.body.n' }, [
        call('w', stub, '/write?n={{ loop.item }}', { retry: { maxAttempts: 3, initialInterval: '100ms', on: ['http_503'] } }),
      ]),
    ]);
    await stub.called('/write', 60);
    await service.worker.kill('SIGTERM');
    await service.startWorker();
    const ended = await service.untilEnded(id, 90_000);
    expect({ status: ended.status, error: ended.error }).toEqual({ status: 'completed', error: null });
    expect(stub.maxOpen('/write')).toBeLessThanOrEqual(20);
    const output = outputOf(ended);
    expect(output).toMatchObject({ iterations: PASSES, failed: BROKEN.length });
    expect(output.results.map((result) => (typeof result === 'number' ? result : result?.error.code))).toEqual(
      Array.from({ length: PASSES }, (_, n) => (BROKEN.includes(n) ? 'http_500' : n)),
    );
    const failed = (await service.steps(id)).filter(({ stepId, status }) => stepId === 'w' && status === 'failed');
    expect(failed.filter(({ error }) => error?.code === 'http_500').map(({ iterationPath }) => iterationPath)).toEqual(
      BROKEN.map((n) => `l:i${n}`),
    );
    // One write for each pass: a repeat came under the same key.
    expect([...written.values()].toSorted((a, b) => a - b)).toEqual(
      Array.from({ length: PASSES }, (_, n) => n).filter((n) => !BROKEN.includes(n)),
    );
    await service.expectGapFreeLog(id);

    isMended = true;
    written.clear();
    stub.clear();
    const first = BROKEN[0] as number;
    const answer = await service.api.post<{ execution: Execution }>(`/api/executions/${id}/rerun`, {
      fromStepId: 'w',
      iterationPath: `l:i${first}`,
    });
    expect(answer.status).toBe(202);
    const again = await service.untilEnded(answer.body.execution.id, 60_000);
    expect({ status: again.status, error: again.error }).toEqual({ status: 'completed', error: null });
    expect(outputOf(again)).toMatchObject({ iterations: PASSES, failed: 0 });
    const called = stub.calls('/write').map(({ query }) => Number(query['n']));
    expect(Math.min(...called)).toBe(first);
    expect(new Set(called)).toEqual(new Set(Array.from({ length: PASSES - first }, (_, index) => first + index)));
  });
});

const outputOf = ({ output }: Execution) =>
  (output as unknown as { l: { iterations: number; failed: number; results: readonly (number | { error: { code: string } } | null)[] } }).l;
