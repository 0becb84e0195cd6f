import { Service } from '../support/service.js';
import { call, gate, loop, parallel, set, wait } from '../support/steps.js';
import { startStubServer, type StubServer } from '../support/stub-server.js';

jest.setTimeout(120_000);

describe('hand-over at a low threshold', () => {
  let stub: StubServer;
  let service: Service;
  beforeAll(async () => {
    const dynamicConfig = { 'limit.historyCount.suggestContinueAsNew': 40, 'history.workflowIdReuseMinimalInterval': '0s' };
    [stub, service] = await Promise.all([startStubServer(), Service.start({ ownServers: true, dynamicConfig })]);
  });
  beforeEach(() => stub.clear());
  afterAll(async () => {
    await service?.close();
    await stub?.close();
  });

  /** An activity of its own: short calls in a row would be one segment, and no history to hand over. */
  const costly = (id: string, path: string) => call(id, stub, path, { onCrash: 'fail' });

  /** How many Temporal runs the execution has had so far, by walking back from the current one. */
  const runsOf = async (id: string): Promise<number> => {
    const client = await service.temporalClient();
    let count = 0;
    for await (const _run of client.workflow.list({ query: `WorkflowId = '${id}'` })) count += 1;
    return count;
  };

  it('D4 keeps three gates decidable and a half-spent timer at its first instant', async () => {
    const { id } = await service.run({
      name: 'D4',
      steps: [
        parallel('p', {
          one: [gate('g1')],
          two: [gate('g2')],
          three: [gate('g3')],
          timer: [wait('w', '6s')],
          work: [loop('l', { over: 'range(30)' }, [costly('c', '/d4')])],
        }),
        call('end', stub, '/d4-end'),
      ],
    });
    await stub.called('/d4', 30);
    await service.until('several runs', async () => ((await runsOf(id)) >= 3 ? true : undefined));
    const open = await service.openApprovals(id, 3);
    expect(open.map(({ stepId }) => stepId).toSorted()).toEqual(['g1', 'g2', 'g3']);
    for (const approval of open) expect((await service.api.post(`/api/approvals/${approval.id}/approve`)).status).toBe(200);
    expect((await service.untilEnded(id)).status).toBe('completed');
    const timer = await service.step(id, 'w', 'p:b3');
    const late = Date.parse(timer.completedAt ?? '') - Date.parse((timer.output as { until: string }).until);
    expect(Math.abs(late)).toBeLessThan(500);
    expect(Date.parse((timer.output as { until: string }).until) - Date.parse(timer.startedAt ?? '')).toBe(6_000);
    expect(stub.calls('/d4')).toHaveLength(30);
    expect(stub.calls('/d4-end')).toHaveLength(1);
    await service.expectGapFreeLog(id);
  });

  it('D5 applies each of 200 events in 2 s once, over many hand-overs', async () => {
    const { id } = await service.run({
      name: 'D5',
      output: '{{ outputs.l.results }}',
      steps: [
        loop('l', { over: 'range(200)', collect: 'outputs.e.n' }, [{ id: 'e', type: 'wait_for_event', event: 'n' }]),
        set('s', { done: true }),
      ],
    });
    await service.untilStatus(id, 'waiting_event');
    const send = (n: number) =>
      service.api.post(`/api/executions/${id}/events`, { event: 'n', payload: { n }, idempotencyKey: `event-${n}` });
    for (let batch = 0; batch < 20; batch += 1) {
      const sent = await Promise.all(Array.from({ length: 10 }, (_, k) => send(batch * 10 + k)));
      expect(sent.map(({ status }) => status)).toEqual(Array(10).fill(202));
      if (batch % 5 === 0) expect((await send(batch * 10)).body).toMatchObject({ duplicate: true });
    }
    const ended = await service.untilEnded(id, 60_000);
    expect(ended.status).toBe('completed');
    expect([...(ended.output as number[])].toSorted((a, b) => a - b)).toEqual(Array.from({ length: 200 }, (_, n) => n));
    expect(await runsOf(id)).toBeGreaterThan(3);
    await service.expectGapFreeLog(id);
  });

  it('D23 takes a state along that is larger than Temporal takes: fifty passes, each in the middle of a long list', async () => {
    const { id } = await service.run([
      loop('l', { over: 'range(50)', concurrency: 50, indexVar: 'n', collect: 'outputs.m.iterations' }, [
        loop('m', { over: 'range(10000)', until: 'true' }, [wait('w', '{{ n == 0 ? 500 : 4000 }}ms')]),
      ]),
    ]);
    const ended = await service.untilEnded(id, 60_000);
    expect(ended).toMatchObject({ status: 'completed', output: { l: { results: Array(50).fill(1) } } });
    await service.until('several runs', async () => ((await runsOf(id)) >= 2 ? true : undefined));
    await service.expectGapFreeLog(id);
  });

  it('H1 runs nothing again that came before a gate, over hand-overs', async () => {
    const { id } = await service.run([
      loop('l', { over: 'range(20)' }, [costly('c', '/before')]),
      gate('g'),
      loop('m', { over: 'range(20)' }, [costly('d', '/behind')]),
    ]);
    const approval = await service.openApproval(id);
    expect((await service.api.post(`/api/approvals/${approval.id}/approve`)).status).toBe(200);
    expect((await service.untilEnded(id)).status).toBe('completed');
    expect([stub.calls('/before').length, stub.calls('/behind').length]).toEqual([20, 20]);
    expect(await runsOf(id)).toBeGreaterThan(3);
    await service.expectGapFreeLog(id);
  });

  it('waits for a child over hand-overs, and a cancel reaches it', async () => {
    await service.save(
      {
        name: 'Busy child',
        steps: [loop('l', { over: 'range(15)' }, [costly('c', '/child')]), { id: 'e', type: 'wait_for_event', event: 'go' }],
      },
      { slug: 'busy-child' },
    );
    const start = () =>
      service.run([
        parallel('p', {
          sub: [{ id: 'sub', type: 'subworkflow', workflow: 'busy-child' }],
          work: [loop('l', { over: 'range(20)' }, [costly('c', '/parent')])],
        }),
      ]);
    const childOf = (id: string) =>
      service.until(
        'the child',
        async () =>
          (await service.api.get<{ items: { id: string; status: string }[] }>(`/api/executions/${id}/children`)).body.items.find(
            ({ status }) => status === 'waiting_event',
          )?.id,
      );
    const [done, stopped] = [await start(), await start()];
    const [first, second] = [await childOf(done.id), await childOf(stopped.id)];
    await stub.called('/parent', 40);
    await service.api.post(`/api/executions/${first}/events`, { event: 'go' });
    await service.api.post(`/api/executions/${stopped.id}/cancel`);
    expect((await service.untilEnded(done.id)).status).toBe('completed');
    expect((await service.untilEnded(stopped.id)).status).toBe('cancelled');
    expect((await service.untilEnded(second)).status).toBe('cancelled');
    expect(stub.calls('/child')).toHaveLength(30);
  });
});
