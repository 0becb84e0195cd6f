import { getValue } from '../../src/operations/get-value.js';
import { pageOf } from '../../src/operations/page-of.js';
import type { Principal } from '../../src/operations/principal.js';
import {
  getExecution,
  listChildren,
  listEvents,
  listExecutions,
  listSteps,
  listWorkflowExecutions,
} from '../../src/operations/read-executions.js';
import { runWorkflow } from '../../src/operations/start-execution.js';
import { startChild } from '../../src/operations/start-child.js';
import { syncWorkflow } from '../../src/operations/sync-workflow.js';
import { testRunDry } from '../../src/operations/test-run.js';
import { recordEvents } from '../../src/store/projection.js';
import { aBench, aDefinition, aPerson, type TestBench } from './support.js';
import { aRunning, carryOf } from './running.js';

describe('reading', () => {
  let bench: TestBench;
  let ana: Principal;
  beforeAll(async () => {
    bench = await aBench({ limits: { activePerUser: 0, active: 0 } });
  });
  beforeEach(async () => {
    ana = await aPerson(bench);
  });
  afterAll(() => bench.close());

  it('shows steps in definition order, then passes as numbers, then attempts, with their names', async () => {
    await syncWorkflow(bench, ana, {
      name: 'ordered',
      data: aDefinition({
        steps: [
          { id: '_9', type: 'set', values: {} },
          { id: 'l', type: 'loop', over: [1], steps: [{ id: '_10', name: 'Ten', type: 'set', values: {} }] },
          { id: '_1', type: 'set', values: {} },
        ],
      }),
    });
    const {
      execution: { id },
    } = await runWorkflow(bench, ana, { id: 'ordered' });
    const instances: [string, string, number][] = [
      ['_1', '', 1],
      ['_10', 'l:i10', 1],
      ['_10', 'l:i9', 2],
      ['_10', 'l:i9', 1],
      ['l', '', 1],
      ['_9', '', 1],
    ];
    await recordEvents(
      bench.db,
      id,
      carryOf('running'),
      instances.map(([stepId, iterationPath, attempt]) => ({
        kind: 'step.started',
        ordinal: '0',
        at: 1_000,
        instance: { stepId, iterationPath, attempt },
        stepType: 'set',
        data: {},
        record: { input: { v: null } },
      })),
    );
    const { items } = await listSteps(bench, ana, { id });
    expect(items.map(({ stepId, iterationPath, attempt }) => [stepId, iterationPath, attempt])).toEqual([
      ['_9', '', 1],
      ['l', '', 1],
      ['_10', 'l:i9', 1],
      ['_10', 'l:i9', 2],
      ['_10', 'l:i10', 1],
      ['_1', '', 1],
    ]);
    expect(items[2]).toMatchObject({ name: 'Ten', type: 'set', status: 'running', seeded: false });
  });

  it('pages through the log by its numbers, and knows when there is no more', async () => {
    const id = await aRunning(bench, ana);
    await recordEvents(
      bench.db,
      id,
      carryOf('running', 2),
      [1, 2, 3].map((n) => ({ kind: 'execution.waiting', ordinal: String(n), at: n, instance: null, data: { n } })),
    );
    const first = await listEvents(bench, ana, { id, limit: 2 });
    expect(first).toMatchObject({ cursor: '2', hasMore: true, items: [{ seq: 1, kind: 'execution.started' }, { seq: 2 }] });
    expect(await listEvents(bench, ana, { id, limit: 2, after: 2 })).toMatchObject({
      cursor: '4',
      hasMore: false,
      items: [{ seq: 3 }, { seq: 4 }],
    });
    expect(await listEvents(bench, ana, { id, limit: 2, after: 4 })).toEqual({ items: [], cursor: '4', hasMore: false });
  });

  it('lists executions newest first, by page and filter', async () => {
    const ids = [await aRunning(bench, ana), await aRunning(bench, ana, 'waiting_event'), await aRunning(bench, ana)].toReversed();
    const first = await listExecutions(bench, ana, { limit: 2 });
    const rest = await listExecutions(bench, ana, { limit: 2, cursor: first.cursor ?? '' });
    expect([...first.items, ...rest.items].map(({ id }) => id)).toEqual(ids);
    expect((await listExecutions(bench, ana, { limit: 9, status: 'waiting_event' })).items.map(({ id }) => id)).toEqual([ids[1]]);
    expect((await listExecutions(bench, ana, { limit: 9, workflowId: 'greet' })).items).toHaveLength(3);
    expect((await listWorkflowExecutions(bench, ana, { id: 'greet', limit: 9 })).items).toHaveLength(3);
  });

  it('shows children on their parent, with the way back', async () => {
    const parent = await aRunning(bench, ana);
    const { executionId } = await startChild(bench, {
      parent: { executionId: parent, stepId: 'sub', iterationPath: 'l:i0', attempt: 1, awaited: true },
      workflow: 'greet',
      input: { v: {} },
      depth: 1,
    });
    expect((await listChildren(bench, ana, { id: parent, limit: 9 })).items).toEqual([
      expect.objectContaining({ id: executionId, parent: { executionId: parent, stepId: 'sub', iterationPath: 'l:i0' } }),
    ]);
  });

  it('keeps rows and values from everybody else, admins too', async () => {
    await syncWorkflow(bench, ana, { name: 'big', data: aDefinition({ variables: { big: { type: 'string' } } }) });
    const { execution } = await runWorkflow(bench, ana, { id: 'big', variables: { big: 'x'.repeat(40_000) } });
    const { ref } = execution.variables['big'] as { ref: string };
    const bo = await aPerson(bench, { role: 'admin' });
    expect(await getValue(bench, ana, { ref })).toBe('x'.repeat(40_000));
    await expect(getValue(bench, bo, { ref })).rejects.toMatchObject({ code: 'not_found' });
    for (const call of [getExecution, listSteps])
      await expect(call(bench, bo, { id: execution.id })).rejects.toMatchObject({ code: 'not_found' });
    await expect(listEvents(bench, bo, { id: execution.id, limit: 1 })).rejects.toMatchObject({ code: 'not_found' });
    expect((await listExecutions(bench, bo, { limit: 9 })).items).toEqual([]);
  });

  describe('dry run', () => {
    const data = aDefinition({
      steps: [
        { id: 'call', type: 'tool', tool: 'http:request', arguments: { url: 'https://example.test' } },
        { id: 'w', type: 'wait', duration: '2d' },
        { id: 'after', type: 'set', values: { got: '{{outputs.call.body}}' } },
      ],
    });

    it('tells the timeline of the very engine, with mocks and a virtual clock', async () => {
      const run = await testRunDry(bench, ana, { data, mocks: { call: { output: { body: 'hi' } } } });
      expect(run).toMatchObject({ status: 'completed', output: { call: { body: 'hi' }, after: { got: 'hi' } }, error: null });
      expect(run.steps.map(({ stepId, status }) => [stepId, status])).toEqual([
        ['call', 'completed'],
        ['w', 'completed'],
        ['after', 'completed'],
      ]);
    });
    it('names mocks that fit no step or no shape', async () => {
      await expect(testRunDry(bench, ana, { data, mocks: { nobody: { output: 1 }, call: { result: 1 } } })).rejects.toMatchObject({
        code: 'validation_failed',
        data: { problems: [{ path: '/mocks/nobody' }, { path: '/mocks/call' }] },
      });
    });
  });
});

describe('a page of a short list', () => {
  const all = ['c', 'b', 'a'].map((id) => ({ id }));
  it.each([
    ['the first', { limit: 2 }, ['c', 'b'], 'b', true],
    ['the next', { limit: 2, cursor: 'b' }, ['a'], null, false],
    ['behind a cursor that is none', { limit: 2, cursor: 'zz' }, [], null, false],
  ])('gives %s', (_what, request, ids, cursor, hasMore) => {
    const page = pageOf(all, request);
    expect([page.items.map(({ id }) => id), page.cursor, page.hasMore]).toEqual([ids, cursor, hasMore]);
  });
});
