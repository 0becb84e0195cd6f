import { Service } from '../support/service.js';
import { call, gate, loop, set } from '../support/steps.js';
import { startStubServer, type StubServer } from '../support/stub-server.js';

jest.setTimeout(120_000);

describe('large values and long runs', () => {
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

  it('D6 uses a 5 MB output in a prompt, a condition and a loop; the history holds references only', async () => {
    const NEEDLE = 'needle-in-the-large-value';
    const items = Array.from({ length: 5 }, (_, n) => ({ n, blob: `${NEEDLE}${'x'.repeat(1_000_000)}` }));
    stub.on('/big', { body: { items, text: 'a short text' } });
    const ended = await service.runToEnd({
      name: 'D6',
      steps: [
        call('big', stub, '/big'),
        {
          id: 'cond',
          type: 'conditional',
          condition: 'length(outputs.big.body.items) == 5 && contains(outputs.big.body.items[4].blob, "needle")',
          then: [set('yes', { fine: true })],
          else: [set('no', { fine: false })],
        },
        loop('each', { over: 'outputs.big.body.items', collect: 'length(loop.item.blob)' }, [
          call('one', stub, '/item', {}, { body: { n: '{{ loop.item.n }}' } }),
        ]),
        { id: 'ask', type: 'agent_prompt', prompt: 'Say something about {{ outputs.big.body.items[0].blob }}', await_timeout_ms: 60_000 },
        call('sent', stub, '/whole', {}, { body: '{{ outputs.big.body }}' }),
      ],
      output: '{{ [variables.fine, outputs.each.results] }}',
    });
    expect(ended).toMatchObject({ status: 'completed', output: [true, Array(5).fill(1_000_000 + NEEDLE.length)] });
    expect(stub.calls('/item').map(({ json }) => json)).toEqual([0, 1, 2, 3, 4].map((n) => ({ n })));
    expect(stub.calls('/whole')[0]?.json).toEqual({ items, text: 'a short text' });
    const { output } = await service.step(ended.id, 'big');
    const reference = {
      ref: expect.stringMatching(/^val_/),
      bytes: expect.any(Number),
      sha256: expect.any(String),
      preview: expect.any(String),
    };
    expect(output).toEqual(reference);
    const whole = await service.api.get<{ body?: { items: unknown } } | { value?: unknown }>(
      `/api/values/${(output as { ref: string }).ref}`,
    );
    expect(whole.status).toBe(200);
    expect(whole.text.length).toBeGreaterThan(5_000_000);
    const history = await service.historyText(ended.id);
    expect(history.length).toBeLessThan(400_000);
    // Only previews may show the text, and each holds at most a few of its characters.
    expect(history).not.toContain('x'.repeat(2_000));
    expect(history).toContain('sha256');
  });

  it('D7 costs no history for pure steps beyond one marker per 1,000', async () => {
    const pure = (passes: number) => ({
      name: `D7 ${passes}`,
      constraints: { maxSteps: 20_000 },
      steps: [loop('l', { over: `range(${passes})`, maxIterations: 10_000, collect: 'null' }, [set('s', { n: '{{ loop.index }}' })])],
      output: '{{ variables.n }}',
    });
    const small = await service.runToEnd(pure(10));
    const started = Date.now();
    const large = await service.untilEnded((await service.run(pure(9_999))).id, 60_000);
    console.log(`D7: 9,999 passes took ${Date.now() - started} ms`);
    expect([small.output, large.output]).toEqual([9, 9_998]);
    const shape = async (id: string) => {
      const history = await service.history(id);
      const markers = history.filter(({ markerRecordedEventAttributes: marker }) => marker !== null && marker !== undefined).length;
      return { markers, others: history.length - markers };
    };
    const [few, many] = [await shape(small.id), await shape(large.id)];
    expect(many.markers - few.markers).toBeLessThanOrEqual(10);
    // The list of 10,000 and the results go by reference (an activity each), and writing for over 4 s costs a heartbeat of the workflow task.
    expect(many.others - few.others).toBeLessThanOrEqual(15);
    const events = await service.expectGapFreeLog(large.id);
    expect(events.filter(({ kind, stepId }) => kind === 'step.completed' && stepId === 's')).toHaveLength(9_999);
  });

  it('D7 fails with `max_steps_exceeded` after that many step instances, containers counted', async () => {
    const ended = await service.runToEnd({
      name: 'D7 limit',
      constraints: { maxSteps: 10 },
      steps: [
        {
          id: 't',
          type: 'try',
          steps: [loop('l', { over: 'range(100)' }, [set('s', { n: '{{ loop.index }}' })])],
          catch: [{ codes: ['*'], steps: [set('never', { a: 1 })] }],
        },
      ],
    });
    expect(ended).toMatchObject({ status: 'failed', error: { code: 'max_steps_exceeded' } });
    const rows = await service.steps(ended.id);
    expect(rows.filter(({ stepId }) => stepId === 's')).toHaveLength(8);
    expect(rows.some(({ stepId }) => stepId === 'never')).toBe(false);
  });

  it('D22 leaves data of the shape of a reference data', async () => {
    stub.on('/big', { body: { secret: 'y'.repeat(40_000) } });
    const other = await service.person('other', { role: 'editor' });
    const theirs = await service.run([call('c', stub, '/big')], {}, { client: other.client });
    await service.untilEnded(theirs.id, undefined, other.client);
    const { items } = (
      await other.client.get<{ items: { stepId: string; output: { ref: string } }[] }>(`/api/executions/${theirs.id}/steps`)
    ).body;
    const stolen = items.find(({ stepId }) => stepId === 'c')?.output;
    expect(stolen?.ref).toMatch(/^val_/);
    const { id } = await service.run([
      { id: 'e', type: 'wait_for_event', event: 'hook' },
      call('echo', stub, '/echo', {}, { body: '{{ outputs.e }}' }),
      set('s', { size: '{{ length(outputs.e.preview) }}', inner: '{{ outputs.e.secret }}' }),
    ]);
    await service.untilStatus(id, 'waiting_event');
    await service.api.post(`/api/executions/${id}/events`, { event: 'hook', payload: stolen });
    expect((await service.untilEnded(id)).status).toBe('completed');
    expect(stub.calls('/echo')[0]?.json).toEqual(stolen);
    expect((await service.step(id, 's')).output).toMatchObject({ inner: null });
  });

  it('keeps a large value readable behind a gate', async () => {
    stub.on('/big', { body: { list: Array.from({ length: 2_000 }, (_, n) => `item ${n} ${'z'.repeat(20)}`) } });
    const { id } = await service.run([
      call('big', stub, '/big'),
      gate('g', { prompt: 'There are {{ length(outputs.big.body.list) }} items' }),
      call('after', stub, '/after', {}, { body: { last: '{{ outputs.big.body.list[1999] }}' } }),
    ]);
    const approval = await service.openApproval(id);
    expect(approval.prompt).toBe('There are 2000 items');
    await service.api.post(`/api/approvals/${approval.id}/approve`);
    expect((await service.untilEnded(id)).status).toBe('completed');
    expect(stub.calls('/after')[0]?.json).toEqual({ last: `item 1999 ${'z'.repeat(20)}` });
  });
});
