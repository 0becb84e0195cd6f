import type { Execution } from '../support/service-shapes.js';
import { freshName, Service } from '../support/service.js';
import { call, set, wait } from '../support/steps.js';
import { startStubServer, type StubServer } from '../support/stub-server.js';

jest.setTimeout(60_000);

describe('subworkflow on the real service', () => {
  let stub: StubServer;
  let service: Service;
  beforeAll(async () => {
    [stub, service] = await Promise.all([startStubServer(), Service.start()]);
    stub.on('/404', { status: 404 });
  });
  afterAll(async () => {
    await service?.close();
    await stub?.close();
  });

  const children = async (id: string): Promise<readonly Execution[]> =>
    (await service.api.get<{ items: Execution[] }>(`/api/executions/${id}/children`)).body.items;

  it('L32 gives the child its input and publishes its output; both are linked', async () => {
    await service.save(
      {
        name: 'Double',
        variables: { n: { type: 'number', required: true } },
        steps: [set('s', { r: '{{ n * 2 }}' })],
        output: '{{ variables.r }}',
      },
      { slug: 'double' },
    );
    const ended = await service.runToEnd(
      {
        name: 'L32',
        variables: { n: { type: 'number' } },
        steps: [{ id: 'sub', type: 'subworkflow', workflow: 'double', input: { n: '{{ n }}' } }],
        output: '{{ outputs.sub }}',
      },
      { n: 2 },
    );
    expect(ended).toMatchObject({ status: 'completed', output: 4 });
    const [child, ...others] = await children(ended.id);
    expect(others).toEqual([]);
    expect(child).toMatchObject({
      trigger: { type: 'subworkflow' },
      parent: { executionId: ended.id, stepId: 'sub', iterationPath: '' },
      variables: { n: 2 },
      status: 'completed',
      output: 4,
    });
    expect(child?.sessionId).not.toBe(ended.sessionId);
    await service.expectGapFreeLog(child?.id ?? '');
  });

  it('L32 fails with `subworkflow_failed` that names the child; a handler catches it', async () => {
    await service.save({ name: 'Breaks', steps: [call('c', stub, '/404')] }, { slug: 'breaks' });
    const ended = await service.runToEnd({
      name: 'L32 caught',
      output: '{{ variables.e }}',
      steps: [
        {
          id: 't',
          type: 'try',
          steps: [{ id: 'sub', type: 'subworkflow', workflow: 'breaks' }],
          catch: [{ codes: ['subworkflow_failed'], as: 'err', steps: [set('h', { e: '{{ err }}' })] }],
        },
      ],
    });
    const [child] = await children(ended.id);
    expect(ended).toMatchObject({
      status: 'completed',
      output: {
        code: 'subworkflow_failed',
        stepId: 'sub',
        details: { executionId: child?.id, status: 'failed', error: { code: 'http_404' } },
      },
    });
  });

  it('fails with workflow_disabled where the workflow is disabled, and a `catch` may go on', async () => {
    const workflow = await service.save({ name: 'Off', steps: [set('s', { x: 1 })] }, { slug: 'off' });
    await service.api.put(`/api/workflows/${workflow.id}`, { enabled: false });
    const ended = await service.runToEnd([
      {
        id: 't',
        type: 'try',
        steps: [{ id: 'sub', type: 'subworkflow', workflow: 'off' }],
        catch: [{ codes: ['workflow_disabled'], as: 'e', steps: [set('h', { e: '{{ e }}' })] }],
      },
    ]);
    expect(ended).toMatchObject({ status: 'completed', output: { h: { e: { stepId: 'sub', details: { workflowId: workflow.id } } } } });
    expect(await children(ended.id)).toEqual([]);
  });

  it('L33 stops a recursion at `maxDepth`, counting the root', async () => {
    await service.save({ name: 'Deep', steps: [set('s', { x: 1 })] }, { slug: 'deep' });
    const workflow = await service.save(
      { name: 'Deep', constraints: { maxDepth: 5 }, steps: [{ id: 'again', type: 'subworkflow', workflow: 'deep' }] },
      { slug: 'deep' },
    );
    const root = await service.untilEnded((await service.runSaved(workflow.id)).id);
    const chain = [root];
    for (let [child] = await children(root.id); child !== undefined; [child] = await children(child.id)) chain.push(child);
    expect(chain).toHaveLength(5);
    expect(chain.map(({ status }) => status)).toEqual(Array(5).fill('failed'));
    expect(chain.at(-1)?.error).toMatchObject({ code: 'depth_exceeded', stepId: 'again' });
    expect(root.error?.code).toBe('subworkflow_failed');
  });

  it('L34 pins a version where one is named, else takes the one that is current when the step starts', async () => {
    const versioned = (version: string) => ({ name: 'Versioned', version, steps: [set('s', { v: version })], output: '{{ variables.v }}' });
    await service.save(versioned('1.0.0'), { slug: 'versioned' });
    const { id } = await service.run({
      name: freshName('L34'),
      output: '{{ [outputs.pinned, outputs.current] }}',
      steps: [
        { id: 'go', type: 'wait_for_event', event: 'go' },
        { id: 'pinned', type: 'subworkflow', workflow: 'versioned', version: '1.0.0' },
        { id: 'current', type: 'subworkflow', workflow: 'versioned' },
      ],
    });
    await service.untilStatus(id, 'waiting_event');
    await service.save(versioned('1.1.0'), { slug: 'versioned' });
    expect((await service.api.post(`/api/executions/${id}/events`, { event: 'go' })).status).toBe(202);
    expect((await service.untilEnded(id)).output).toEqual(['1.0.0', '1.1.0']);
  });

  it('L35 goes on at once without awaiting; a cancel of the parent leaves that child and ends an awaited one', async () => {
    await service.save({ name: 'Sleeper', steps: [wait('w', '60s')] }, { slug: 'sleeper' });
    const { id } = await service.run([
      { id: 'free', type: 'subworkflow', workflow: 'sleeper', await: false },
      { id: 'held', type: 'subworkflow', workflow: 'sleeper' },
    ]);
    await service.until('two children', async () => {
      const found = await children(id);
      return found.length === 2 && found.every(({ status }) => status === 'waiting_event') ? found : undefined;
    });
    const freeId = ((await service.step(id, 'free')).output as { executionId: string }).executionId;
    const heldId = (await children(id)).find((child) => child.id !== freeId)?.id ?? '';
    expect((await service.api.post(`/api/executions/${id}/cancel`)).status).toBe(202);
    expect((await service.untilEnded(id)).status).toBe('cancelled');
    expect((await service.untilEnded(heldId)).status).toBe('cancelled');
    expect((await service.execution(freeId)).status).toBe('waiting_event');
    await service.api.post(`/api/executions/${freeId}/cancel`);
    expect((await service.untilEnded(freeId)).status).toBe('cancelled');
  });
});
