import { Service } from '../support/service.js';
import { call, gate } from '../support/steps.js';
import { startStubServer, type StubServer } from '../support/stub-server.js';

jest.setTimeout(60_000);

describe('concurrency limits', () => {
  let stub: StubServer;
  let service: Service;
  beforeAll(async () => {
    [stub, service] = await Promise.all([
      startStubServer(),
      Service.start({ env: { SIGNALBOX_MAX_ACTIVE_PER_USER: '10', SIGNALBOX_MAX_ACTIVE: '14' } }),
    ]);
    stub.on('/hang', { fault: 'hang' });
  });
  afterAll(async () => {
    await service?.close();
    await stub?.close();
  });

  it('D16 refuses the 11th active one of a user, not counting those that wait', async () => {
    const parked = await service.save({ name: 'D16 parked', steps: [gate('g')] });
    const busy = await service.save({ name: 'D16 busy', steps: [call('c', stub, '/hang')] });
    for (let n = 0; n < 5; n += 1) await service.untilStatus((await service.runSaved(parked.id)).id, 'waiting_approval');
    const running: string[] = [];
    for (let n = 0; n < 10; n += 1) running.push((await service.runSaved(busy.id)).id);
    const refused = await service.api.refused(`/api/workflows/${busy.id}/run`);
    expect([refused.status, refused.body.code]).toEqual([429, 'concurrency_limit']);
    expect(refused.body).toMatchObject({ reason: 'per_user_limit_exceeded', activeUser: 10, activeGlobal: 10 });
    expect(Number(refused.headers['retry-after'])).toBeGreaterThan(0);

    const other = await service.person('other', { role: 'editor' });
    const theirs = await service.save({ name: 'D16 other', steps: [call('c', stub, '/hang')] }, { client: other.client });
    for (let n = 0; n < 4; n += 1) await service.runSaved(theirs.id, {}, { client: other.client });
    const global = await other.client.refused(`/api/workflows/${theirs.id}/run`);
    expect([global.status, global.body['reason'], global.body['activeGlobal']]).toEqual([429, 'global_limit_exceeded', 14]);

    await service.api.post(`/api/executions/${running[0]}/cancel`);
    await service.untilEnded(running[0] ?? '');
    expect((await service.api.post(`/api/workflows/${busy.id}/run`)).status).toBe(202);
  });

  it('D16 holds the limit against starts at the same moment', async () => {
    const person = await service.person('crowd', { role: 'editor' });
    await Promise.all(
      (await service.api.get<{ items: { id: string }[] }>('/api/executions?status=running&limit=200')).body.items.map(({ id }) =>
        service.api.post(`/api/executions/${id}/cancel`),
      ),
    );
    const workflow = await service.save({ name: 'D16 crowd', steps: [call('c', stub, '/hang')] }, { client: person.client });
    const answers = await Promise.all(Array.from({ length: 30 }, () => person.client.post(`/api/workflows/${workflow.id}/run`)));
    expect(answers.filter(({ status }) => status === 202).length).toBeLessThanOrEqual(10);
    expect(answers.filter(({ status }) => status === 429).length).toBeGreaterThanOrEqual(20);
  });
});
