import { setTimeout as sleep } from 'node:timers/promises';
import type { OwnServers } from '../support/service-servers.js';
import { Crowd } from '../support/mixed-runs.js';
import { Service } from '../support/service.js';
import { call, gate, wait } from '../support/steps.js';
import { startStubServer, type StubServer } from '../support/stub-server.js';

jest.setTimeout(150_000);

const WITHIN_OF_KILL_MS = 10_000;
const WITHIN_OF_RETURN_MS = 3_000;
/** D10 speaks of 60 s; SIGNALBOX_TEST_LONG_OUTAGE=1 takes them. */
const OUTAGE_MS = process.env['SIGNALBOX_TEST_LONG_OUTAGE'] === undefined ? 15_000 : 60_000;

describe('servers killed under 20 runs', () => {
  let stub: StubServer;
  let service: Service;
  let servers: OwnServers;
  beforeAll(async () => {
    [stub, service] = await Promise.all([startStubServer(), Service.start({ ownServers: true })]);
    servers = service.servers.own as OwnServers;
  });
  beforeEach(() => stub.clear());
  afterAll(async () => {
    await service?.close();
    await stub?.close();
  });

  it('Temporal: all go on within 10 s of the kill, nothing acknowledged is lost', async () => {
    const crowd = await Crowd.start(service, stub);
    await crowd.reached(0.3);
    const at = Date.now();
    await servers.killTemporal();
    await servers.startTemporal();
    await crowd.untilAllEnded();
    await crowd.expectUnharmed({ at, goneOnBy: at + WITHIN_OF_KILL_MS });
  });

  it('PostgreSQL: all go on within 10 s of the kill, the log has no gap', async () => {
    const crowd = await Crowd.start(service, stub);
    await crowd.reached(0.3);
    const at = Date.now();
    await servers.killPostgres();
    await servers.startPostgres();
    await crowd.untilAllEnded();
    await crowd.expectUnharmed({ at, goneOnBy: at + WITHIN_OF_KILL_MS });
  });

  it('D10 PostgreSQL away in mid-step: one call a step, and afterwards all events in order', async () => {
    stub.on('/d10', { delayMs: 2_000 });
    const runs = await Promise.all(
      Array.from({ length: 5 }, () =>
        service.run([call('a', stub, '/d10?run={{ execution.id }}'), call('b', stub, '/d10?run={{ execution.id }}')]),
      ),
    );
    await stub.called('/d10', 5);
    await servers.killPostgres();
    await sleep(OUTAGE_MS);
    await servers.startPostgres();
    const back = Date.now();
    for (const { id } of runs) {
      expect((await service.untilEnded(id, 60_000)).status).toBe('completed');
      const mine = stub.calls('/d10').filter(({ query }) => query['run'] === id);
      expect(mine).toHaveLength(2);
      const events = await service.expectGapFreeLog(id);
      expect(events.filter(({ kind }) => kind.startsWith('step.')).map(({ kind, stepId }) => `${kind} ${stepId}`)).toEqual([
        'step.started a',
        'step.completed a',
        'step.started b',
        'step.completed b',
      ]);
      const goneOn = events.find(({ at }) => Date.parse(at) > back);
      expect(Date.parse(goneOn?.at ?? '')).toBeLessThan(back + WITHIN_OF_RETURN_MS);
    }
  });

  it('answers 503 with Retry-After while PostgreSQL is away, and /healthz stays up', async () => {
    await servers.killPostgres();
    const answer = await service.api.get<{ code: string }>('/api/executions');
    expect([answer.status, answer.body.code]).toEqual([503, 'unavailable']);
    expect(answer.headers['retry-after']).toBeTruthy();
    expect((await service.api.get('/healthz')).status).toBe(200);
    expect((await service.api.get('/readyz')).status).toBe(503);
    await servers.startPostgres();
    await service.until('it to serve again', async () => ((await service.api.get('/api/executions')).status === 200 ? true : undefined));
  });

  it('D11 D24 H17 Temporal away: every command is answered, and takes effect once when it is back, also over a dead gateway', async () => {
    const [waits, gated, toCancel, toPause] = await Promise.all([
      service.run([{ id: 'e', type: 'wait_for_event', event: 'go' }, call('c', stub, '/d24-event')]),
      service.run([gate('g'), call('c', stub, '/d24-gate')]),
      service.run([wait('w', '60s')]),
      service.run([wait('w', '60s')]),
    ]);
    const approval = await service.openApproval(gated.id);
    for (const { id } of [waits, toCancel, toPause]) await service.untilStatus(id, 'waiting_event');
    await servers.killTemporal();

    const workflow = await service.save({ name: 'D11', steps: [call('c', stub, '/d11?run={{ execution.id }}')] });
    const started = await service.api.post<{ execution: { id: string; status: string } }>(`/api/workflows/${workflow.id}/run`, {});
    expect([started.status, started.body.execution.status]).toEqual([202, 'pending']);
    const dropped = await service.runSaved(workflow.id);
    const answers = [
      await service.api.post(`/api/executions/${dropped.id}/cancel`),
      await service.api.post(`/api/executions/${waits.id}/events`, { event: 'go', payload: 1 }),
      await service.api.post(`/api/executions/${toCancel.id}/cancel`),
      await service.api.post(`/api/executions/${toPause.id}/pause`),
      await service.api.post(`/api/approvals/${approval.id}/approve`),
    ];
    expect(answers.map(({ status }) => status)).toEqual([202, 202, 202, 202, 200]);
    expect((await service.execution(dropped.id)).status).toBe('cancelled');
    await service.gateway.kill();

    await servers.startTemporal();
    await service.startGateway();
    expect((await service.untilEnded(started.body.execution.id, 90_000)).status).toBe('completed');
    expect((await service.untilEnded(waits.id, 30_000)).status).toBe('completed');
    expect((await service.untilEnded(gated.id, 30_000)).status).toBe('completed');
    expect((await service.untilEnded(toCancel.id, 30_000)).status).toBe('cancelled');
    await service.untilStatus(toPause.id, 'paused', 30_000);
    await service.api.post(`/api/executions/${toPause.id}/cancel`);
    await service.untilEnded(toPause.id);
    expect(['/d24-event', '/d24-gate'].map((path) => stub.calls(path).length)).toEqual([1, 1]);
    expect(stub.calls('/d11').map(({ query }) => query['run'])).toEqual([started.body.execution.id]);
    await expect((await service.temporalClient()).workflow.getHandle(dropped.id).describe()).rejects.toThrow();
    await service.expectGapFreeLog(dropped.id);
  });
});
