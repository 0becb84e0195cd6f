import { ENGINE_VERSION, type StartData } from '../../src/engine/types.js';
import type { Principal } from '../../src/operations/principal.js';
import { getExecution, getExecutionDefinition, listEvents, listExecutions } from '../../src/operations/read-executions.js';
import { deleteWorkflow } from '../../src/operations/delete-workflow.js';
import { startChild } from '../../src/operations/start-child.js';
import { runWorkflow } from '../../src/operations/start-execution.js';
import { syncWorkflow } from '../../src/operations/sync-workflow.js';
import { testRunLive } from '../../src/operations/test-run.js';
import { updateWorkflow } from '../../src/operations/update-workflow.js';
import { listAudit } from '../../src/store/audit.js';
import { beginCancel } from '../../src/store/end-execution.js';
import { loadStart } from '../../src/store/executions.js';
import { recordEvents } from '../../src/store/projection.js';
import { aBench, aDefinition, aPerson, type TestBench } from './support.js';

const carryOf = (status: 'running' | 'waiting_event', counter = 1) => ({
  counter,
  status,
  progress: { done: 0, total: 1, current: [] },
  events: [],
  delivered: [],
});

describe('starting executions', () => {
  let bench: TestBench;
  let ana: Principal;
  let workflowId: string;
  beforeAll(async () => {
    bench = await aBench({ limits: { activePerUser: 3, active: 100 } });
  });
  beforeEach(async () => {
    bench.temporal.isAway = false;
    ana = await aPerson(bench);
    workflowId = (await syncWorkflow(bench, ana, { name: 'Greet', data: aDefinition({ variables: { a: { type: 'number' } } }) })).workflow
      .id;
  });
  afterAll(() => bench.close());

  it('D23 keeps the variables that a run starts with small together: the largest go by reference', async () => {
    const names = Array.from({ length: 10 }, (_none, n) => `v${n}`);
    const variables = Object.fromEntries(names.map((name) => [name, { type: 'string' }]));
    await syncWorkflow(bench, ana, { name: 'Wide', data: aDefinition({ variables }) });
    const given = Object.fromEntries(names.map((name, n) => [name, `${n}`.repeat(20_000 + n)]));
    const { execution } = await runWorkflow(bench, ana, { id: 'wide', variables: given });
    const start = (await loadStart(bench.db, execution.id))?.start;
    expect(JSON.stringify(start?.variables).length).toBeLessThan(110_000);
    expect(Object.entries(start?.variables ?? {}).flatMap(([name, { refs }]) => (refs === undefined ? [] : [name]))).toEqual(
      names.slice(4),
    );
  });

  it('is in the audit log, once for a key, with whoever asked and by which call', async () => {
    const asked = { ...ana, requestId: 'req_1' };
    const { execution } = await runWorkflow(bench, asked, { id: 'greet', idempotencyKey: 'once' });
    await runWorkflow(bench, asked, { id: 'greet', idempotencyKey: 'once' });
    const test = await testRunLive(bench, ana, { data: aDefinition({ name: 'Tried' }) });
    const { items } = await listAudit(bench.db, { limit: 200 });
    const starts = items.filter(({ ownerId, action }) => ownerId === ana.userId && action === 'execution.start');
    expect(starts.map(({ targetId }) => targetId)).toEqual([test.execution.id, execution.id]);
    expect(starts[1]).toMatchObject({
      actor: { id: ana.userId, name: ana.name, kind: 'person', role: ana.role, keyId: ana.keyId },
      targetType: 'execution',
      details: { workflowId, trigger: { type: 'manual' } },
      requestId: 'req_1',
    });
    expect(starts[0]).toMatchObject({ details: { workflowId: null, trigger: { type: 'test' } }, requestId: null });
  });

  it('tries a definition live once for a key', async () => {
    const live = (name: string) => testRunLive(bench, ana, { data: aDefinition({ name }), idempotencyKey: 'tried' });
    const [first, again] = [await live('Once'), await live('Once')];
    expect([first.duplicate, again.duplicate, again.execution.id]).toEqual([false, true, first.execution.id]);
    await expect(live('Other')).rejects.toMatchObject({ code: 'idempotency_key_reused' });
  });

  it('commits a pending row with its first event, then has Temporal start it with everything inline', async () => {
    const { execution, duplicate } = await runWorkflow(bench, ana, { id: 'greet', variables: { a: 1 } });
    await bench.background.drain();
    expect({ status: execution.status, duplicate, trigger: execution.trigger }).toEqual({
      status: 'pending',
      duplicate: false,
      trigger: { type: 'manual' },
    });
    expect(execution.variables).toMatchObject({ a: 1, _payload: {}, _trigger: { type: 'manual', triggerId: null } });
    const [start] = bench.temporal.starts.filter(({ executionId }) => executionId === execution.id);
    expect(start).toMatchObject({
      summary: 'Greet',
      attributes: { workflow: 'Greet', owner: ana.userId, trigger: 'manual' },
      input: { kind: 'start' },
    });
    const data = (start?.input as { start: StartData } | undefined)?.start;
    expect(data).toMatchObject({
      engineVersion: ENGINE_VERSION,
      execution: { id: execution.id, ownerId: ana.userId, depth: 0, parent: null },
      variables: { a: { v: 1 } },
    });
    expect((await loadStart(bench.db, execution.id))?.start).toEqual(data);
    expect((await listEvents(bench, ana, { id: execution.id, limit: 10 })).items.map(({ seq, kind }) => [seq, kind])).toEqual([
      [1, 'execution.started'],
    ]);
  });

  it('answers `pending` also while Temporal is away (D11)', async () => {
    bench.temporal.isAway = true;
    const { execution } = await runWorkflow(bench, ana, { id: workflowId });
    await bench.background.drain();
    expect(execution.status).toBe('pending');
    expect(bench.temporal.starts.some(({ executionId }) => executionId === execution.id)).toBe(false);
  });

  it('starts once for twenty calls with one key at once (D13)', async () => {
    const started = await Promise.all(Array.from({ length: 20 }, () => runWorkflow(bench, ana, { id: workflowId, idempotencyKey: 'k' })));
    expect(new Set(started.map(({ execution }) => execution.id)).size).toBe(1);
    expect(started.filter(({ duplicate }) => !duplicate)).toHaveLength(1);
    await bench.background.drain();
    expect(bench.temporal.starts.filter(({ executionId }) => executionId === started[0]?.execution.id)).toHaveLength(1);
  });

  it('answers a repeat even when the workflow is disabled by now, and refuses the key with another body', async () => {
    const first = await runWorkflow(bench, ana, { id: workflowId, idempotencyKey: 'k', variables: { a: 1 } });
    await updateWorkflow(bench, ana, { id: workflowId, enabled: false });
    expect(await runWorkflow(bench, ana, { id: workflowId, idempotencyKey: 'k', variables: { a: 1 } })).toMatchObject({
      duplicate: true,
      execution: { id: first.execution.id },
    });
    await expect(runWorkflow(bench, ana, { id: workflowId, idempotencyKey: 'k', variables: { a: 2 } })).rejects.toMatchObject({
      code: 'idempotency_key_reused',
    });
    await expect(runWorkflow(bench, ana, { id: workflowId })).rejects.toMatchObject({ code: 'workflow_disabled', data: { workflowId } });
  });

  it('counts a key within its owner and workflow', async () => {
    const bo = await aPerson(bench);
    await syncWorkflow(bench, bo, { name: 'Greet', data: aDefinition() });
    const one = await runWorkflow(bench, ana, { id: 'greet', idempotencyKey: 'same' });
    const two = await runWorkflow(bench, bo, { id: 'greet', idempotencyKey: 'same' });
    expect(two).toMatchObject({ duplicate: false });
    expect(two.execution.id).not.toBe(one.execution.id);
  });

  it('lists every fault of the input and leaves no row (V8)', async () => {
    const variables = { a: { type: 'number', required: true }, b: { type: 'string', enum: ['x', 'y'] }, c: { type: 'number', default: 7 } };
    await syncWorkflow(bench, ana, { name: 'v8', data: aDefinition({ variables }) });
    await expect(runWorkflow(bench, ana, { id: 'v8', variables: { b: 'z', c: 'x', d: 1 } })).rejects.toMatchObject({
      code: 'validation_failed',
      data: {
        problems: expect.arrayContaining(
          ['input_required_missing', 'input_not_in_enum', 'input_type_mismatch', 'input_unknown'].map((code) =>
            expect.objectContaining({ code }),
          ),
        ),
      },
    });
    expect((await listExecutions(bench, ana, { limit: 10 })).items).toEqual([]);
    expect((await runWorkflow(bench, ana, { id: 'v8', variables: { a: 1, b: 'x' } })).execution.variables).toMatchObject({
      a: 1,
      b: 'x',
      c: 7,
    });
  });

  it('never takes the trigger’s own variables from a caller', async () => {
    const { execution } = await runWorkflow(bench, ana, { id: workflowId, variables: { _trigger: { type: 'webhook' }, _payload: 'mine' } });
    expect(execution.variables).toMatchObject({ _trigger: { type: 'manual' }, _payload: {} });
  });

  it('refuses the start above the owner’s limit; waiting ones are not counted (D16)', async () => {
    const first = await runWorkflow(bench, ana, { id: workflowId });
    await recordEvents(bench.db, first.execution.id, carryOf('waiting_event'));
    for (let n = 0; n < 3; n += 1) await runWorkflow(bench, ana, { id: workflowId });
    await expect(runWorkflow(bench, ana, { id: workflowId })).rejects.toMatchObject({
      code: 'concurrency_limit',
      data: { reason: 'per_user_limit_exceeded', activeUser: 3, activeGlobal: expect.any(Number), retryAfterSeconds: expect.any(Number) },
    });
  });

  it('lets exactly the limit through when many start at once', async () => {
    const results = await Promise.allSettled(Array.from({ length: 8 }, () => runWorkflow(bench, ana, { id: workflowId })));
    expect(results.filter(({ status }) => status === 'fulfilled')).toHaveLength(3);
  });

  it('keeps the snapshot when the workflow is edited and deleted (D8)', async () => {
    const { execution } = await runWorkflow(bench, ana, { id: workflowId });
    const before = await getExecutionDefinition(bench, ana, { id: execution.id });
    await syncWorkflow(bench, ana, { id: workflowId, name: 'Other', data: aDefinition({ description: 'changed' }) });
    await deleteWorkflow(bench, ana, { id: workflowId });
    expect(await getExecutionDefinition(bench, ana, { id: execution.id })).toEqual(before);
    expect((await getExecution(bench, ana, { id: execution.id })).execution).toMatchObject({ workflowName: 'Greet', version: '1.0.0' });
  });

  it('runs an earlier version by its hash or version', async () => {
    const old = (
      await syncWorkflow(bench, ana, { id: workflowId, name: 'Greet', version: '1.0.0', data: aDefinition({ description: 'old' }) })
    ).workflow;
    await syncWorkflow(bench, ana, { id: workflowId, name: 'Greet', version: '2.0.0', data: aDefinition() });
    expect((await runWorkflow(bench, ana, { id: workflowId, version: old.hash })).execution.hash).toBe(old.hash);
    expect((await runWorkflow(bench, ana, { id: workflowId, version: '1.0.0' })).execution.hash).toBe(old.hash);
    await expect(runWorkflow(bench, ana, { id: workflowId, version: '9.9.9' })).rejects.toMatchObject({ code: 'not_found' });
  });

  it('stores a large variable and starts with a reference; too much for a history is loaded', async () => {
    await syncWorkflow(bench, ana, { name: 'big', data: aDefinition({ variables: { big: { type: 'string' }, list: { type: 'array' } } }) });
    const { execution } = await runWorkflow(bench, ana, { id: 'big', variables: { big: 'x'.repeat(50_000), list: ['y'.repeat(31_000)] } });
    const other = await runWorkflow(bench, ana, { id: 'big', variables: { list: ['y'.repeat(31_000)] } });
    await bench.background.drain();
    expect(execution.variables['big']).toMatchObject({ ref: expect.stringMatching(/^val_/), bytes: 50_002 });
    expect(bench.temporal.starts.find(({ executionId }) => executionId === other.execution.id)?.input.kind).toBe('start');
    const wide = aDefinition({ steps: [{ id: 'hello', type: 'set', values: { text: 'd'.repeat(70_000) } }] });
    await syncWorkflow(bench, ana, { name: 'wide', data: wide });
    const { execution: loaded } = await runWorkflow(bench, ana, { id: 'wide' });
    await bench.background.drain();
    expect(bench.temporal.starts.find(({ executionId }) => executionId === loaded.id)?.input).toEqual({
      kind: 'load',
      executionId: loaded.id,
    });
  });

  it('mirrors a run into the caller’s session, never into another’s', async () => {
    const first = await runWorkflow(bench, ana, { id: workflowId });
    const { execution } = await runWorkflow(bench, ana, { id: workflowId, sessionId: first.execution.sessionId });
    expect(execution).toMatchObject({ sessionId: first.execution.sessionId, trigger: { type: 'chat' } });
    const bo = await aPerson(bench);
    await syncWorkflow(bench, bo, { name: 'Greet', data: aDefinition() });
    await expect(runWorkflow(bench, bo, { id: 'greet', sessionId: first.execution.sessionId })).rejects.toMatchObject({
      code: 'not_found',
    });
  });

  it('runs an unsaved definition as a test, which lists leave out', async () => {
    const { execution } = await testRunLive(bench, ana, { data: aDefinition() });
    expect(execution).toMatchObject({ workflowId: null, trigger: { type: 'test' }, status: 'pending' });
    expect((await listExecutions(bench, ana, { limit: 10 })).items).toEqual([]);
    expect((await listExecutions(bench, ana, { limit: 10, includeTest: true })).items).toHaveLength(1);
  });

  describe('children', () => {
    const startAs = (parentId: string, attempt = 1) =>
      startChild(bench, {
        parent: { executionId: parentId, stepId: 'sub', iterationPath: '', attempt, awaited: true },
        workflow: 'greet',
        input: { v: { a: 2 } },
        depth: 1,
      });

    it('starts one child for a step instance, however often it is asked, and leaves its start to the parent', async () => {
      const { execution: parent } = await runWorkflow(bench, ana, { id: workflowId });
      const [one, two] = await Promise.all([startAs(parent.id), startAs(parent.id)]);
      await bench.background.drain();
      expect(one).toEqual(two);
      expect(one?.workflowName).toBe('Greet');
      expect((await startAs(parent.id, 2)).executionId).not.toBe(one?.executionId);
      expect(bench.temporal.starts.some(({ executionId }) => executionId === one?.executionId)).toBe(false);
      const start = (await loadStart(bench.db, one?.executionId ?? ''))?.start;
      expect(start).toMatchObject({
        execution: { depth: 1, parent: { executionId: parent.id, stepId: 'sub', awaited: true } },
        variables: { a: { v: 2 } },
      });
    });

    it('is not counted and not limited', async () => {
      const { execution: parent } = await runWorkflow(bench, ana, { id: workflowId });
      for (let attempt = 1; attempt <= 5; attempt += 1) await startAs(parent.id, attempt);
      await runWorkflow(bench, ana, { id: workflowId });
    });

    it('refuses a child of a parent that is being cancelled, but tells the one that it has', async () => {
      const { execution: parent } = await runWorkflow(bench, ana, { id: workflowId });
      const child = await startAs(parent.id);
      await recordEvents(bench.db, parent.id, carryOf('running'));
      await beginCancel(bench.db, parent.id, { ownerId: null, by: null, reason: null });
      expect(await startAs(parent.id)).toEqual(child);
      await expect(startAs(parent.id, 2)).rejects.toMatchObject({ code: 'execution_ended' });
    });

    it('tells the child that it has also when its workflow is gone meanwhile: the row will run', async () => {
      const { execution: parent } = await runWorkflow(bench, ana, { id: workflowId });
      const child = await startAs(parent.id);
      await deleteWorkflow(bench, ana, { id: workflowId });
      expect(await startAs(parent.id)).toEqual(child);
    });

    it('starts none of a disabled workflow, in whichever version', async () => {
      const { execution: parent } = await runWorkflow(bench, ana, { id: workflowId });
      const { workflow } = await updateWorkflow(bench, ana, { id: workflowId, enabled: false });
      const params = (version: object) => ({
        parent: { executionId: parent.id, stepId: 'sub', iterationPath: '', attempt: 1, awaited: true },
        workflow: 'greet',
        input: { v: {} },
        depth: 1,
        ...version,
      });
      for (const version of [{}, { version: workflow.version }, { version: workflow.hash }])
        await expect(startChild(bench, params(version))).rejects.toMatchObject({ code: 'workflow_disabled', data: { workflowId } });
    });

    it.each([
      ['an unknown workflow', { workflow: 'nobody' }, 'subworkflow_not_found'],
      ['an unknown version', { version: '9.9.9' }, 'subworkflow_not_found'],
      ['an input of another type', { input: { v: { a: 'text' } } }, 'validation_failed'],
      ['an input that is no object', { input: { v: [1] } }, 'validation_failed'],
    ])('refuses %s', async (_what, change, code) => {
      const { execution: parent } = await runWorkflow(bench, ana, { id: workflowId });
      const params = {
        parent: { executionId: parent.id, stepId: 'sub', iterationPath: '', attempt: 1, awaited: true },
        workflow: 'greet',
        input: { v: {} },
        depth: 1,
        ...change,
      };
      await expect(startChild(bench, params)).rejects.toMatchObject({ code });
    });
  });
});
