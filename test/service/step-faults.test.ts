import { Service } from '../support/service.js';
import { call, loop } from '../support/steps.js';
import { startStubServer, type StubServer } from '../support/stub-server.js';

jest.setTimeout(60_000);

describe('faults of steps on the real service', () => {
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

  describe('retry', () => {
    it('L27 repeats under one key with growing pauses, and shows each attempt', async () => {
      stub.on('/l27', [{ status: 503 }, { status: 503 }, { status: 200, body: 'fine' }]);
      const ended = await service.runToEnd([call('c', stub, '/l27', { retry: { maxAttempts: 3, initialInterval: 200, backoff: 3 } })]);
      expect(ended.status).toBe('completed');
      const calls = stub.calls('/l27');
      expect(calls).toHaveLength(3);
      expect(new Set(calls.map(({ headers }) => headers['idempotency-key'])).size).toBe(1);
      expect(calls[0]?.headers['idempotency-key']).toBeTruthy();
      const [first = 0, second = 0, third = 0] = calls.map(({ at }) => at);
      expect(third - second).toBeGreaterThan(second - first);
      const events = await service.expectGapFreeLog(ended.id);
      expect(events.filter(({ kind }) => kind === 'step.retrying')).toHaveLength(2);
      expect((await service.steps(ended.id)).map(({ attempt, status }) => [attempt, status])).toEqual([
        [1, 'failed'],
        [2, 'failed'],
        [3, 'completed'],
      ]);
    });

    it('L28 does not repeat a 400 unless told to', async () => {
      stub.on('/l28a', { status: 400 });
      const ended = await service.runToEnd([call('c', stub, '/l28a', { retry: { maxAttempts: 3, initialInterval: 50 } })]);
      expect(ended).toMatchObject({ status: 'failed', error: { code: 'http_400', stepId: 'c', attempt: 1, retryable: false } });
      expect(stub.calls('/l28a')).toHaveLength(1);
    });

    it('L28 waits as long as Retry-After says', async () => {
      stub.on('/l28b', [{ status: 429, headers: { 'retry-after': '2' } }, { status: 200 }]);
      const ended = await service.runToEnd([call('c', stub, '/l28b', { retry: { maxAttempts: 2, initialInterval: 50 } })]);
      expect(ended.status).toBe('completed');
      const [first = 0, second = 0] = stub.calls('/l28b').map(({ at }) => at);
      expect(second - first).toBeGreaterThanOrEqual(1_990);
      expect(second - first).toBeLessThan(3_000);
    });

    it('L28 repeats what `on` names by prefix', async () => {
      stub.on('/l28c', [{ status: 503 }, { status: 200 }]);
      const ended = await service.runToEnd([call('c', stub, '/l28c', { retry: { maxAttempts: 2, initialInterval: 50, on: ['http_5*'] } })]);
      expect(ended.status).toBe('completed');
      expect(stub.calls('/l28c')).toHaveLength(2);
    });
  });

  describe('timeout', () => {
    it('L29 fails the step and closes its connection', async () => {
      stub.on('/l29a', { delayMs: 5_000 });
      const ended = await service.runToEnd([call('c', stub, '/l29a', { timeout: '1s' })]);
      expect(ended).toMatchObject({ status: 'failed', error: { code: 'step_timeout', stepId: 'c' } });
      const [closed] = await stub.aborted('/l29a');
      expect(closed?.aborted).toBe(true);
      expect(Date.parse(ended.completedAt ?? '') - (closed?.at ?? 0)).toBeLessThan(3_000);
    });

    it('L29 of a loop ends what runs inside as cancelled', async () => {
      stub.on('/l29b', { delayMs: 600 });
      const ended = await service.runToEnd([loop('l', { over: '[1, 2, 3, 4, 5]', timeout: '1s' }, [call('c', stub, '/l29b')])]);
      expect(ended).toMatchObject({ status: 'failed', error: { code: 'step_timeout', stepId: 'l' } });
      const rows = (await service.steps(ended.id)).filter(({ stepId }) => stepId === 'c');
      expect(rows.map(({ iterationPath, status }) => [iterationPath, status])).toEqual([
        ['l:i0', 'completed'],
        ['l:i1', 'cancelled'],
      ]);
    });
  });

  describe('notify', () => {
    it('L42 counts as delivered only what the receiver accepted', async () => {
      stub.on('/hook', [{ status: 500 }, { status: 200 }]);
      const step = { id: 'n', type: 'notify', content: 'done', target: `webhook:${stub.url}/hook` };
      const refused = await service.runToEnd([step]);
      expect(refused).toMatchObject({ status: 'failed', error: { code: 'notify_failed', stepId: 'n' } });
      const accepted = await service.runToEnd([step]);
      expect(accepted.status).toBe('completed');
      expect((await service.step(accepted.id, 'n')).output).toMatchObject({ target: `webhook:${stub.url}/hook`, delivered: true });
      expect(stub.calls('/hook')[1]?.json).toMatchObject({
        content: 'done',
        executionId: accepted.id,
        stepId: 'n',
        workflowName: accepted.workflowName,
        at: expect.any(String),
      });
    });

    it('L30 leaves a failed step with `onError` continue failed, publishes nothing and goes on', async () => {
      stub.on('/l30', { status: 404 });
      const ended = await service.runToEnd({
        name: 'L30',
        steps: [call('c', stub, '/l30', { onError: 'continue' }), call('d', stub, '/fine')],
        output: '{{ outputs.c }}',
      });
      expect(ended).toMatchObject({ status: 'completed', output: null });
      expect((await service.step(ended.id, 'c')).status).toBe('failed');
    });
  });

  describe('stop', () => {
    it('L40 failed: code `stopped` with its message, no row of later steps', async () => {
      const ended = await service.runToEnd([{ id: 's', type: 'stop', outcome: 'failed', message: 'no' }, call('later', stub, '/later')]);
      expect(ended).toMatchObject({ status: 'failed', error: { code: 'stopped', message: 'no' } });
      expect((await service.steps(ended.id)).map(({ stepId }) => stepId)).toEqual(['s']);
      expect(stub.calls('/later')).toHaveLength(0);
    });

    it('L40 completed: the output as given', async () => {
      const ended = await service.runToEnd([{ id: 's', type: 'stop', outcome: 'completed', output: { a: [1] } }]);
      expect(ended).toMatchObject({ status: 'completed', output: { a: [1] } });
    });

    it('L40 cancelled: ends cancelled, Completed in Temporal', async () => {
      const ended = await service.runToEnd([{ id: 's', type: 'stop', outcome: 'cancelled' }]);
      expect(ended.status).toBe('cancelled');
      await service.until('Temporal to close the run', async () =>
        (await service.temporalStatus(ended.id)) === 'COMPLETED' ? true : undefined,
      );
    });
  });
});
