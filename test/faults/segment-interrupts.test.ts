import { openDatabase } from '../../src/store/database.js';
import { Service } from '../support/service.js';
import { call, loop } from '../support/steps.js';
import { startStubServer, type StubServer } from '../support/stub-server.js';

jest.setTimeout(60_000);

describe('a light stretch of 60 steps, interrupted at step 40', () => {
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

  /** Asked of a segment by its host: no event tells of it. */
  const isHalted = async (id: string): Promise<boolean> => {
    const db = openDatabase(service.servers.databaseUrl, { poolSize: 1 });
    try {
      return (await db.rows({ name: 'halted', text: 'SELECT 1 FROM segments WHERE execution_id = $1 AND halt' }, [id])).length > 0;
    } finally {
      await db.close();
    }
  };
  const sixty = () => Array.from({ length: 60 }, (_, index) => call(`s${index + 1}`, stub, `/work?n=${index + 1}`));
  const numbers = () => stub.calls('/work').map(({ query }) => Number(query['n']));
  const upTo = (last: number) => Array.from({ length: last }, (_, index) => index + 1);

  it('D19, D14 by a pause: the call in flight ends, 41 has no row until it is resumed', async () => {
    let isPaused = false;
    stub.on('/work', async (made) => {
      if (made.query['n'] === '40' && !isPaused) {
        isPaused = true;
        await service.api.post(`/api/executions/${made.headers['idempotency-key']?.split('/')[0] ?? ''}/pause`);
      }
      return { body: { n: Number(made.query['n']) } };
    });
    const { id } = await service.run(sixty());
    await service.untilStatus(id, 'paused');
    expect(numbers()).toEqual(upTo(40));
    const rows = await service.steps(id);
    expect(rows.map(({ stepId }) => stepId)).toEqual(upTo(40).map((n) => `s${n}`));
    expect(rows.every(({ status }) => status === 'completed')).toBe(true);
    await service.api.post(`/api/executions/${id}/resume`);
    expect((await service.untilEnded(id)).status).toBe('completed');
    expect(numbers()).toEqual(upTo(60));
    await service.expectGapFreeLog(id);
  });

  it("D14 by an operator's raw pause signal, and resumed by one", async () => {
    stub.on('/work', async (made) => {
      if (made.query['n'] === '40') {
        const id = made.headers['idempotency-key']?.split('/')[0] ?? '';
        await (await service.temporalClient()).workflow.getHandle(id).signal('pause', {});
        await service.until('the halt of its segment', async () => (await isHalted(id)) || undefined);
      }
      return {};
    });
    const { id } = await service.run(sixty());
    await service.untilStatus(id, 'paused');
    expect(numbers()).toEqual(upTo(40));
    stub.on('/work', {});
    await (await service.temporalClient()).workflow.getHandle(id).signal('resume', {});
    expect((await service.untilEnded(id)).status).toBe('completed');
    expect(numbers()).toEqual(upTo(60));
  });

  it('D19, D9 by a cancel: aborted in 2 s, and `finally` sees the output of step 12', async () => {
    stub.on('/work', (made) => (made.query['n'] === '40' ? { fault: 'hang' } : { body: { n: Number(made.query['n']) } }));
    const { id } = await service.run([
      { id: 't', type: 'try', steps: sixty(), finally: [call('cleanup', stub, '/cleanup?twelve={{ outputs.s12.body.n }}')] },
    ]);
    await stub.called('/work', 40);
    const at = Date.now();
    await service.api.post(`/api/executions/${id}/cancel`);
    await stub.aborted('/work');
    expect(Date.now() - at).toBeLessThan(2_000);
    expect((await service.untilEnded(id)).status).toBe('cancelled');
    expect(numbers()).toEqual(upTo(40));
    expect(stub.calls('/cleanup').map(({ query }) => query['twelve'])).toEqual(['12']);
    expect(await service.step(id, 's40', 't:try')).toMatchObject({ status: 'cancelled' });
    await service.expectGapFreeLog(id);
  });

  it('D19 by a time limit around it: the call is aborted, the steps before stay as they were', async () => {
    stub.on('/work', (made) => (made.query['n'] === '4' ? { fault: 'hang' } : { body: { n: Number(made.query['n']) } }));
    const { id } = await service.run([
      {
        ...loop('l', { over: 'range(9)', timeout: '4s', onError: 'continue' }, [call('c', stub, '/work?n={{ loop.item }}')]),
      },
      call('after', stub, '/after'),
    ]);
    expect((await service.untilEnded(id)).status).toBe('completed');
    await stub.aborted('/work');
    expect(numbers()).toEqual([0, 1, 2, 3, 4]);
    expect(await service.step(id, 'l')).toMatchObject({ status: 'failed', error: { code: 'step_timeout' } });
    expect(stub.calls('/after')).toHaveLength(1);
    await service.expectGapFreeLog(id);
  });

  it('D6 a 5 MB output is passed by reference within it, and read in place', async () => {
    stub.on('/big', { body: { list: Array.from({ length: 5_000 }, (_, n) => ({ n, text: 'x'.repeat(1_000) })) } });
    const { id } = await service.run([
      call('big', stub, '/big'),
      {
        id: 'if',
        type: 'conditional',
        condition: 'length(outputs.big.body.list) == 5000',
        then: [call('yes', stub, '/yes?last={{ last(outputs.big.body.list).n }}')],
      },
      loop('l', { over: 'slice(outputs.big.body.list, 0, 3)' }, [call('each', stub, '/each?n={{ loop.item.n }}')]),
    ]);
    expect((await service.untilEnded(id)).status).toBe('completed');
    expect(stub.calls('/yes').map(({ query }) => query['last'])).toEqual(['4999']);
    expect(stub.calls('/each').map(({ query }) => query['n'])).toEqual(['0', '1', '2']);
    const history = await service.historyText(id);
    expect(history.includes('sha256')).toBe(true);
    expect(history.length).toBeLessThan(100_000);
  });
});
