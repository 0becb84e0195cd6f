import { cancelExecution } from '../../src/operations/cancel-execution.js';
import { pauseExecution, resumeExecution } from '../../src/operations/pause-execution.js';
import type { Principal } from '../../src/operations/principal.js';
import { getExecution, listEvents } from '../../src/operations/read-executions.js';
import { getApproval } from '../../src/operations/read-approvals.js';
import { sendEvent } from '../../src/operations/send-event.js';
import { runWorkflow } from '../../src/operations/start-execution.js';
import { startChild } from '../../src/operations/start-child.js';
import { rerunExecution } from '../../src/operations/rerun-execution.js';
import { listAudit } from '../../src/store/audit.js';
import { undeliveredCommands } from '../../src/store/reconcile-queries.js';
import { recordEvents } from '../../src/store/projection.js';
import { aBench, aPerson, type TestBench } from './support.js';
import { anOpenGate, aRunning, carryOf } from './running.js';

describe('commands to an execution', () => {
  let bench: TestBench;
  let ana: Principal;
  let id: string;
  beforeAll(async () => {
    bench = await aBench({ limits: { activePerUser: 0, active: 0 } });
  });
  beforeEach(async () => {
    bench.temporal.isAway = false;
    ana = await aPerson(bench);
    id = await aRunning(bench, ana);
  });
  afterAll(() => bench.close());
  const kinds = async () => (await listEvents(bench, ana, { id, limit: 100 })).items.map(({ kind }) => kind);

  it('cancels: the row and its gates first, then Temporal, and again without harm (D9)', async () => {
    const gate = await anOpenGate(bench, ana, id);
    const asked = await cancelExecution(bench, ana, { id, reason: 'enough' });
    await bench.background.drain();
    expect(asked).toMatchObject({ ignored: false, execution: { status: 'cancelling', reason: 'enough' } });
    expect((await getApproval(bench, ana, { id: gate.id })).approval.status).toBe('cancelled');
    expect(await kinds()).toEqual(expect.arrayContaining(['execution.cancelling', 'approval.cancelled']));
    expect(bench.temporal.cancels.filter((each) => each === id)).toEqual([id]);
    expect(await cancelExecution(bench, ana, { id })).toMatchObject({
      ignored: false,
      execution: { status: 'cancelling', reason: 'enough' },
    });
    expect((await kinds()).filter((kind) => kind === 'execution.cancelling')).toHaveLength(1);
  });

  it('writes down who paused, resumed, cancelled and reran it', async () => {
    await pauseExecution(bench, ana, { id });
    await resumeExecution(bench, ana, { id });
    await cancelExecution(bench, ana, { id, reason: 'enough' });
    const rerun = await rerunExecution(bench, ana, { id });
    await bench.background.drain();
    const { items } = await listAudit(bench.db, { limit: 100 });
    expect(items.filter(({ targetId }) => targetId === id)).toMatchObject([
      { action: 'execution.rerun', actor: { id: ana.userId }, details: { executionId: rerun.execution.id, fromStepId: null } },
      { action: 'execution.cancel', actor: { id: ana.userId }, details: { reason: 'enough' } },
      { action: 'execution.resume' },
      { action: 'execution.pause', actor: { id: ana.userId, keyId: ana.keyId } },
      { action: 'execution.start' },
    ]);
  });

  it('ends a pending one at once, which then has nothing to start (D24)', async () => {
    bench.temporal.isAway = true;
    const { execution } = await runWorkflow(bench, ana, { id: 'greet' });
    expect(await cancelExecution(bench, ana, { id: execution.id })).toMatchObject({
      ignored: false,
      execution: { status: 'cancelled', reason: 'cancel_requested' },
    });
    expect((await listEvents(bench, ana, { id: execution.id, limit: 9 })).items.map(({ kind }) => kind)).toEqual([
      'execution.started',
      'execution.cancelled',
    ]);
    expect(await cancelExecution(bench, ana, { id: execution.id })).toMatchObject({ ignored: true });
    expect(await pauseExecution(bench, ana, { id: execution.id })).toMatchObject({ ignored: true });
    await expect(sendEvent(bench, ana, { id: execution.id, event: 'e' })).rejects.toMatchObject({
      code: 'execution_ended',
      data: { executionStatus: 'cancelled' },
    });
  });

  it('tells the parent when a pending child is cancelled', async () => {
    const parent = { executionId: id, stepId: 'sub', iterationPath: '', attempt: 1, awaited: true };
    const child = await startChild(bench, { parent, workflow: 'greet', input: { v: {} }, depth: 1 });
    await cancelExecution(bench, ana, { id: child.executionId });
    await bench.background.drain();
    expect(bench.temporal.signalsTo(id, 'child')).toEqual([
      expect.objectContaining({
        payload: {
          id: expect.stringMatching(/^cmd_/),
          executionId: child.executionId,
          outcome: { status: 'cancelled', output: { v: null }, error: null },
        },
      }),
    ]);
  });

  it('signals pause and resume under the id of their rows, which the workflow marks', async () => {
    await pauseExecution(bench, ana, { id });
    await resumeExecution(bench, ana, { id });
    await bench.background.drain();
    const signals = bench.temporal.signalsTo(id);
    expect(signals.map(({ name, payload }) => [name, (payload as { by: object }).by])).toEqual([
      ['pause', { id: ana.userId, name: ana.name }],
      ['resume', { id: ana.userId, name: ana.name }],
    ]);
    const waiting = async () =>
      (await undeliveredCommands(bench.db, 0, 1_000)).filter(({ targetId }) => targetId === id).map((command) => command.id);
    const told = signals.map(({ payload }) => (payload as { id: string }).id);
    expect((await waiting()).toSorted()).toEqual(told.toSorted());
    await recordEvents(bench.db, id, { ...carryOf('running', 2), delivered: told });
    expect(await waiting()).toEqual([]);
  });

  it('starts a pending execution whose start a command has overtaken', async () => {
    bench.temporal.isAway = true;
    const { execution } = await runWorkflow(bench, ana, { id: 'greet' });
    await bench.background.drain();
    bench.temporal.isAway = false;
    await pauseExecution(bench, ana, { id: execution.id });
    await bench.background.drain();
    expect(bench.temporal.starts.filter(({ executionId }) => executionId === execution.id).map(({ input }) => input.kind)).toEqual([
      'load',
    ]);
    expect(bench.temporal.signalsTo(execution.id, 'pause')).toHaveLength(1);
  });

  describe('events', () => {
    it('sends the payload as it is; a large one goes by reference', async () => {
      await sendEvent(bench, ana, { id, event: 'small', payload: { ref: 'val_other', bytes: 1 } });
      await sendEvent(bench, ana, { id, event: 'large', payload: 'x'.repeat(40_000) });
      await bench.background.drain();
      const byName = new Map(bench.temporal.signalsTo(id, 'event').map(({ payload }) => [(payload as { event: string }).event, payload]));
      expect(byName.get('small')).toMatchObject({ value: { v: { ref: 'val_other', bytes: 1 } } });
      expect(byName.get('large')).toMatchObject({ value: { v: null, refs: { '': { ref: expect.stringMatching(/^val_/) } } } });
    });

    it('takes one of twenty with the same key, and refuses it with another payload', async () => {
      const sent = await Promise.all(
        Array.from({ length: 20 }, () => sendEvent(bench, ana, { id, event: 'e', payload: 1, idempotencyKey: 'k' })),
      );
      await bench.background.drain();
      expect(sent.filter(({ duplicate }) => !duplicate)).toHaveLength(1);
      expect(bench.temporal.signalsTo(id, 'event')).toHaveLength(1);
      await expect(sendEvent(bench, ana, { id, event: 'e', payload: 2, idempotencyKey: 'k' })).rejects.toMatchObject({
        code: 'idempotency_key_reused',
      });
    });

    it('refuses more than 256 KB that wait, counting what is inline', async () => {
      for (let n = 0; n < 8; n += 1) await sendEvent(bench, ana, { id, event: 'e', payload: 'x'.repeat(32_000) });
      await expect(sendEvent(bench, ana, { id, event: 'e', payload: 'x'.repeat(32_000) })).rejects.toMatchObject({
        code: 'event_backlog_full',
      });
      await expect(sendEvent(bench, ana, { id, event: 'e', payload: 'x'.repeat(900_000) })).resolves.toMatchObject({ accepted: true });
    });
  });

  it('hides an execution from everybody else, and from who may only read', async () => {
    const bo = await aPerson(bench, { role: 'admin' });
    for (const call of [cancelExecution, pauseExecution, resumeExecution, getExecution])
      await expect(call(bench, bo, { id })).rejects.toMatchObject({ code: 'not_found' });
    await expect(sendEvent(bench, bo, { id, event: 'e' })).rejects.toMatchObject({ code: 'not_found' });
    for (const call of [cancelExecution, pauseExecution, resumeExecution])
      await expect(call(bench, { ...ana, role: 'viewer' }, { id })).rejects.toMatchObject({ code: 'forbidden' });
  });
});
