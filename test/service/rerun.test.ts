import type { Execution } from '../support/service-shapes.js';
import { Service } from '../support/service.js';
import { call, gate, loop, set } from '../support/steps.js';
import { startStubServer, type StubServer } from '../support/stub-server.js';

jest.setTimeout(60_000);

describe('rerun', () => {
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

  const rerun = async (id: string, body: object): Promise<Execution> => {
    const answer = await service.api.post<{ execution: Execution }>(`/api/executions/${id}/rerun`, body);
    if (answer.status !== 202) throw new Error(`rerun answered ${answer.status}: ${answer.text}`);
    return await service.untilEnded(answer.body.execution.id);
  };
  const six = () => [
    call('s1', stub, '/s1'),
    call('s2', stub, '/s2'),
    set('v', { seen: '{{ outputs.s2.body.n }}' }),
    call('s4', stub, '/s4', {}, { body: { seen: '{{ variables.seen }}', in: '{{ variables.x }}' } }),
    call('s5', stub, '/s5'),
    call('s6', stub, '/s6'),
  ];

  it('D15 from step 4 of 6 calls nothing before it and seeds what was recorded', async () => {
    stub.on('/s2', (_call, nth) => ({ body: { n: nth + 1 } }));
    stub.on('/s4', [{ status: 500 }, { status: 200 }]);
    const first = await service.runToEnd({ name: 'D15', variables: { x: { type: 'string', default: 'a' } }, steps: six() });
    expect(first).toMatchObject({ status: 'failed', error: { stepId: 's4' } });
    const second = await rerun(first.id, { fromStepId: 's4', variables: { x: 'b' } });
    expect(second).toMatchObject({ status: 'completed', rerunOf: { executionId: first.id, stepId: 's4' }, trigger: { type: 'rerun' } });
    expect(['/s1', '/s2', '/s4', '/s5', '/s6'].map((path) => stub.calls(path).length)).toEqual([1, 1, 2, 1, 1]);
    expect(stub.calls('/s4')[1]?.json).toEqual({ seen: 1, in: 'b' });
    const rows = await service.steps(second.id);
    expect(rows.filter(({ seeded }) => seeded === true).map(({ stepId }) => stepId)).toEqual(['s1', 's2', 'v']);
    const events = await service.expectGapFreeLog(second.id);
    expect(events.filter(({ stepId }) => stepId === 's1' || stepId === 's2' || stepId === 'v')).toEqual([]);
    const original = await service.api.get<{ execution: { reruns?: unknown } }>(`/api/executions/${first.id}`);
    expect(original.text).toContain(second.id);
    expect(new Set([stub.calls('/s4')[0], stub.calls('/s4')[1]].map((made) => made?.headers['idempotency-key'])).size).toBe(2);
  });

  it('D15 from one pass of a loop calls no pass before it', async () => {
    stub.on('/pass', ({ query }, nth) => (query['n'] === '2' && nth < 3 ? { status: 500 } : { body: { n: Number(query['n']) } }));
    const first = await service.runToEnd([
      loop('l', { over: '[0, 1, 2, 3, 4]', collect: 'outputs.c.body.n' }, [call('c', stub, '/pass?n={{ loop.item }}')]),
      set('s', { r: '{{ outputs.l.results }}' }),
    ]);
    expect(first).toMatchObject({ status: 'failed', error: { stepId: 'c', iterationPath: 'l:i2' } });
    const second = await rerun(first.id, { fromStepId: 'c', iterationPath: 'l:i2' });
    expect(second.status).toBe('completed');
    expect(stub.calls('/pass').map(({ query }) => query['n'])).toEqual(['0', '1', '2', '2', '3', '4']);
    expect((await service.step(second.id, 's')).output).toEqual({ r: [0, 1, 2, 3, 4] });
  });

  it('D15 without a step runs the whole again', async () => {
    const first = await service.runToEnd([call('a', stub, '/whole'), call('b', stub, '/whole')]);
    const second = await rerun(first.id, {});
    expect(second).toMatchObject({ status: 'completed', rerunOf: { executionId: first.id } });
    expect(stub.calls('/whole')).toHaveLength(4);
  });

  it('E11 takes the latest version when asked', async () => {
    stub.on('/bad', { status: 500 });
    const definition = (version: string, path: string) => ({ name: 'E11', version, steps: [call('a', stub, '/a'), call('b', stub, path)] });
    await service.save(definition('1.0.0', '/bad'), { slug: 'e11' });
    const first = await service.runToEnd({ ...definition('1.0.0', '/bad') });
    expect(first.status).toBe('failed');
    await service.api.put(`/api/workflows/${first.workflowId}`, { version: '1.1.0', data: definition('1.1.0', '/good') });
    const second = await rerun(first.id, { fromStepId: 'b', version: 'latest' });
    expect(second).toMatchObject({ status: 'completed', version: '1.1.0' });
    expect(stub.calls('/a')).toHaveLength(1);
  });

  it('refuses a step that the run never had', async () => {
    const first = await service.runToEnd([call('a', stub, '/a')]);
    const answer = await service.api.refused(`/api/executions/${first.id}/rerun`, { fromStepId: 'nothing' });
    expect([409, 422]).toContain(answer.status);
  });

  it('H20 may not start behind an approved gate with other variables; with the same it may', async () => {
    const { id } = await service.run({
      name: 'H20',
      variables: { x: { type: 'string', default: 'a' } },
      steps: [gate('g'), call('after', stub, '/after', {}, { body: { g: '{{ outputs.g.decision }}' } })],
    });
    const approval = await service.openApproval(id);
    await service.api.post(`/api/approvals/${approval.id}/approve`);
    await service.untilEnded(id);
    const refused = await service.api.refused(`/api/executions/${id}/rerun`, { fromStepId: 'after', variables: { x: 'b' } });
    expect([refused.status, refused.body.code, refused.body['reason']]).toEqual([409, 'rerun_not_possible', 'approval_needed']);
    expect(refused.text).toContain('"g"');
    const second = await rerun(id, { fromStepId: 'after' });
    expect(second.status).toBe('completed');
    expect(stub.calls('/after').map(({ json }) => json)).toEqual([{ g: 'approved' }, { g: 'approved' }]);
  });
});
