import { Service } from '../support/service.js';
import { call, loop, parallel, set, wait } from '../support/steps.js';
import { startStubServer, type StubServer } from '../support/stub-server.js';

jest.setTimeout(60_000);
const DAY_MS = 86_400_000;

describe('waiting on the real service', () => {
  let stub: StubServer;
  let service: Service;
  beforeAll(async () => {
    [stub, service] = await Promise.all([startStubServer(), Service.start()]);
  });
  afterAll(async () => {
    await service?.close();
    await stub?.close();
  });

  const post = (id: string, event: string, payload: unknown, idempotencyKey?: string) =>
    service.api.post<{ accepted: boolean; duplicate: boolean }>(`/api/executions/${id}/events`, {
      event,
      payload,
      ...(idempotencyKey === undefined ? {} : { idempotencyKey }),
    });

  it('L36 resumes a second later, and at once for an instant in the past', async () => {
    const past = '2020-01-01T00:00:00.000Z';
    const ended = await service.runToEnd([wait('w', '1s'), { id: 'p', type: 'wait', until: past }]);
    expect(ended.status).toBe('completed');
    const [w, p] = [await service.step(ended.id, 'w'), await service.step(ended.id, 'p')];
    const took = Date.parse(w.completedAt ?? '') - Date.parse(w.startedAt ?? '');
    expect(took).toBeGreaterThanOrEqual(990);
    expect(took).toBeLessThan(2_000);
    expect(Date.parse((w.output as { until: string }).until) - Date.parse(w.startedAt ?? '')).toBe(1_000);
    expect(p.output).toEqual({ until: past });
    expect(Date.parse(p.completedAt ?? '') - Date.parse(p.startedAt ?? '')).toBeLessThan(100);
  });

  it('L37 passes 30 days at once in a dry run, within `maxDuration`', async () => {
    const dry = async (constraints: object) => {
      const { status, body } = await service.api.post<{
        status: string;
        output: { w: { until: string } } | null;
        error: { code: string } | null;
        steps: readonly unknown[];
        events: readonly { at: string }[];
      }>('/api/workflows/test-run', { mode: 'dry', data: { name: 'L37', constraints, steps: [wait('w', '30d')] } });
      expect(status).toBe(200);
      return body;
    };
    const allowed = await dry({ maxDuration: '31d' });
    expect(allowed).toMatchObject({ status: 'completed', error: null });
    const started = Date.parse(allowed.events[0]?.at ?? '');
    expect(Date.parse(allowed.output?.w.until ?? '') - started).toBe(30 * DAY_MS);
    const refused = await dry({});
    expect(refused).toMatchObject({ status: 'failed', error: { code: 'max_duration_exceeded' } });
    expect(Date.parse(refused.events.at(-1)?.at ?? '') - Date.parse(refused.events[0]?.at ?? '')).toBe(7 * DAY_MS);
  });

  it('L38 takes the event that matches and keeps another for whom it fits', async () => {
    const waitFor = (id: string, wanted: string) => ({
      id,
      type: 'wait_for_event',
      event: 'paid',
      match: `event.payload.id == ${wanted}`,
      timeout: '20s',
    });
    const { id } = await service.run(
      { name: 'L38', variables: { id: { type: 'string' } }, steps: [waitFor('right', 'variables.id'), waitFor('other', '"wrong"')] },
      { id: 'a' },
    );
    await service.untilStatus(id, 'waiting_event');
    expect((await post(id, 'paid', { id: 'wrong', n: 1 })).status).toBe(202);
    expect((await post(id, 'paid', { id: 'a', n: 2 })).body).toMatchObject({ accepted: true, duplicate: false });
    expect((await service.untilEnded(id)).status).toBe('completed');
    expect((await service.step(id, 'right')).output).toEqual({ id: 'a', n: 2 });
    expect((await service.step(id, 'other')).output).toEqual({ id: 'wrong', n: 1 });
  });

  it('L38 fails with `event_timeout` when none comes', async () => {
    const ended = await service.runToEnd([{ id: 'e', type: 'wait_for_event', event: 'paid', timeout: '1s' }]);
    expect(ended).toMatchObject({ status: 'failed', error: { code: 'event_timeout', stepId: 'e' } });
  });

  it('L39 keeps an early event and applies one key once', async () => {
    stub.on('/slow', { delayMs: 1_000 });
    const { id } = await service.run([
      call('c', stub, '/slow'),
      { id: 'e', type: 'wait_for_event', event: 'go' },
      { id: 'f', type: 'wait_for_event', event: 'go', timeout: '1s', onError: 'continue' },
    ]);
    await stub.called('/slow');
    expect((await post(id, 'go', { n: 1 }, 'k')).body).toMatchObject({ accepted: true, duplicate: false });
    expect((await post(id, 'go', { n: 1 }, 'k')).body).toMatchObject({ accepted: true, duplicate: true });
    const other = await post(id, 'go', { n: 2 }, 'k');
    expect([other.status, (other.body as unknown as { code: string }).code]).toEqual([409, 'idempotency_key_reused']);
    await service.untilEnded(id);
    expect((await service.step(id, 'e')).output).toEqual({ n: 1 });
    expect((await service.step(id, 'f')).error?.code).toBe('event_timeout');
    expect((await post(id, 'go', {})).status).toBe(409);
  });

  it('shows running while any branch works and waiting_event when all wait', async () => {
    stub.on('/busy', { delayMs: 1_200 });
    const { id } = await service.run([
      parallel('p', { a: [call('c', stub, '/busy'), { id: 'e', type: 'wait_for_event', event: 'x' }], b: [wait('w', '4s')] }),
    ]);
    await stub.called('/busy');
    expect((await service.execution(id)).status).toBe('running');
    await service.untilStatus(id, 'waiting_event');
    const waiting = await service.untilKind(id, 'execution.waiting');
    expect(JSON.stringify(waiting.data)).toContain('"x"');
    await post(id, 'x', null);
    expect((await service.untilEnded(id)).status).toBe('completed');
  });

  it('refuses more than 1,000 early events with `event_backlog_full`', async () => {
    const { id } = await service.run([wait('w', '30s')]);
    const payload = { blob: 'x'.repeat(20_000) };
    const statuses: number[] = [];
    for (let n = 0; n < 14; n += 1) statuses.push((await post(id, 'never', { ...payload, n })).status);
    expect(statuses.slice(0, 10)).toEqual(Array(10).fill(202));
    expect(statuses.at(-1)).toBe(429);
    await service.api.post(`/api/executions/${id}/cancel`);
    await service.untilEnded(id);
  });

  it('applies early events in the order they came', async () => {
    stub.on('/hold', { delayMs: 800 });
    const { id } = await service.run([
      call('c', stub, '/hold'),
      loop('l', { over: 'range(5)', collect: 'outputs.e.n' }, [{ id: 'e', type: 'wait_for_event', event: 'n' }]),
      set('s', { r: '{{ outputs.l.results }}' }),
    ]);
    await stub.called('/hold');
    for (let n = 0; n < 5; n += 1) await post(id, 'n', { n });
    await service.untilEnded(id);
    expect((await service.step(id, 's')).output).toEqual({ r: [0, 1, 2, 3, 4] });
  });
});
