import { cancelExecution } from '../../src/operations/cancel-execution.js';
import { decideApproval } from '../../src/operations/decide-approval.js';
import { pauseExecution } from '../../src/operations/pause-execution.js';
import type { Principal } from '../../src/operations/principal.js';
import { getApproval } from '../../src/operations/read-approvals.js';
import { getExecution, listEvents } from '../../src/operations/read-executions.js';
import { startReconciler } from '../../src/operations/reconciler.js';
import { RepeatMemory } from '../../src/operations/repeat-memory.js';
import { startChild } from '../../src/operations/start-child.js';
import { runWorkflow } from '../../src/operations/start-execution.js';
import { closeAsTerminated, settleExecution } from '../../src/store/end-execution.js';
import { recordEvents } from '../../src/store/projection.js';
import { undeliveredCommands } from '../../src/store/reconcile-queries.js';
import { aBench, aPerson, type TestBench } from './support.js';
import { age, anOpenGate, aRunning, carryOf } from './running.js';

describe('the reconciler', () => {
  let bench: TestBench;
  let ana: Principal;
  beforeAll(async () => {
    bench = await aBench({ limits: { activePerUser: 0, active: 0 } });
  });
  beforeEach(async () => {
    // Rows of the test before would be found again.
    await bench.db.pool.query(
      'TRUNCATE executions, commands, approvals, votes, steps, events, streams, sessions, idempotency_keys CASCADE',
    );
    bench.temporal.isAway = false;
    bench.temporal.closed = [];
    ana = await aPerson(bench);
  });
  afterAll(() => bench.close());

  /** One process's pass, or several at once. */
  async function passes(processes = 1): Promise<void> {
    const reconcilers = Array.from({ length: processes }, () => startReconciler(bench, 3_600_000));
    await Promise.all(reconcilers.map((reconciler) => reconciler.pass()));
    await bench.background.drain();
    await Promise.all(reconcilers.map((reconciler) => reconciler.stop()));
  }
  const statusOf = async (id: string) => (await getExecution(bench, ana, { id })).execution;
  const childOf = async (parentId: string, awaited = true) =>
    (
      await startChild(bench, {
        parent: { executionId: parentId, stepId: 'sub', iterationPath: '', attempt: 1, awaited },
        workflow: 'greet',
        input: { v: {} },
        depth: 1,
      })
    ).executionId;
  async function aStuckStart(): Promise<string> {
    await aRunning(bench, ana);
    bench.temporal.isAway = true;
    const { execution } = await runWorkflow(bench, ana, { id: 'greet' });
    await bench.background.drain();
    bench.temporal.isAway = false;
    return execution.id;
  }

  it('starts a pending row that Temporal never heard of, once in effect however many look (D11)', async () => {
    const id = await aStuckStart();
    await passes();
    expect(bench.temporal.starts.filter(({ executionId }) => executionId === id)).toEqual([]);
    await age(bench, 'executions', 'created_at');
    await passes(3);
    const inputs = bench.temporal.starts.filter(({ executionId }) => executionId === id).map(({ input }) => input);
    expect(inputs.length).toBeGreaterThan(0);
    expect(inputs.every(({ kind }) => kind === 'load')).toBe(true);
    expect((await statusOf(id)).status).toBe('pending');
  });

  it('never starts a pending one that was cancelled (D24)', async () => {
    const id = await aStuckStart();
    await cancelExecution(bench, ana, { id });
    await age(bench, 'executions', 'created_at');
    await passes();
    expect(bench.temporal.starts.filter(({ executionId }) => executionId === id)).toEqual([]);
    expect((await statusOf(id)).status).toBe('cancelled');
  });

  it('closes a pending one whose workflow was terminated before its first word', async () => {
    const id = await aStuckStart();
    bench.temporal.lives.set(id, 'closed');
    await age(bench, 'executions', 'created_at');
    await passes();
    expect(await statusOf(id)).toMatchObject({ status: 'failed', error: { code: 'execution_terminated' } });
  });

  it('repeats commands that were not confirmed, and stops when they are (D24)', async () => {
    const id = await aRunning(bench, ana);
    bench.temporal.isAway = true;
    await pauseExecution(bench, ana, { id });
    await bench.background.drain();
    bench.temporal.isAway = false;
    await passes();
    expect(bench.temporal.signalsTo(id)).toEqual([]);
    await age(bench, 'commands', 'created_at');
    await passes();
    const [signal] = bench.temporal.signalsTo(id, 'pause');
    const commandId = (signal as { payload: { id: string } } | undefined)?.payload.id ?? '';
    await recordEvents(bench.db, id, { ...carryOf('running', 2), delivered: [commandId] });
    await passes();
    expect(bench.temporal.signalsTo(id, 'pause')).toHaveLength(1);
  });

  it('is not kept from newer commands by a thousand that nobody takes', async () => {
    const id = await aRunning(bench, ana);
    bench.temporal.isAway = true;
    await pauseExecution(bench, ana, { id });
    await bench.background.drain();
    bench.temporal.isAway = false;
    await age(bench, 'commands', 'created_at');
    await bench.db.pool.query(
      `INSERT INTO commands (id, owner_id, target_id, kind, payload, by, created_at)
       SELECT 'cmd_old_' || n, $1, CASE WHEN n % 2 = 0 THEN 'ses_none' ELSE $2 END, CASE WHEN n % 2 = 0 THEN 'message' ELSE 'resume' END,
              '{}', '{"id":"usr_1","name":"Ana"}', now() - interval '1 hour' FROM generate_series(1, 1200) n`,
      [ana.userId, id],
    );
    await passes();
    expect(bench.temporal.signalsTo(id, 'pause')).toHaveLength(1);
    expect(bench.temporal.signalsTo(id, 'resume')).toHaveLength(600);
    expect(bench.temporal.signalsTo('ses_none')).toEqual([]);
  });

  it('asks an absent Temporal once a pass, and tells everything as soon as it is back', async () => {
    const ids = [await aRunning(bench, ana), await aRunning(bench, ana)];
    bench.temporal.isAway = true;
    for (const id of ids) await pauseExecution(bench, ana, { id });
    await bench.background.drain();
    await age(bench, 'commands', 'created_at');
    const reconciler = startReconciler(bench, 3_600_000);
    await reconciler.pass();
    bench.temporal.isAway = false;
    await reconciler.pass();
    await reconciler.stop();
    for (const id of ids) expect(bench.temporal.signalsTo(id, 'pause')).toHaveLength(1);
  });

  it('repeats a cancel until the row has ended', async () => {
    const id = await aRunning(bench, ana);
    bench.temporal.isAway = true;
    await cancelExecution(bench, ana, { id });
    await bench.background.drain();
    bench.temporal.isAway = false;
    await age(bench, 'commands', 'created_at');
    await passes();
    expect(bench.temporal.cancels.filter((each) => each === id)).toHaveLength(1);
  });

  it('D25 tells Temporal of a cancel whose row ended before the gateway could, once', async () => {
    const id = await aRunning(bench, ana);
    bench.temporal.isAway = true;
    await cancelExecution(bench, ana, { id });
    await bench.background.drain();
    await settleExecution(bench.db, id, null, { status: 'completed', output: { v: 1 }, error: null, reason: null, requested: false });
    bench.temporal.isAway = false;
    await age(bench, 'commands', 'created_at');
    await passes();
    await passes();
    expect((await statusOf(id)).status).toBe('cancelled');
    expect(bench.temporal.cancels.filter((each) => each === id)).toHaveLength(1);
    expect((await undeliveredCommands(bench.db, 0, 1_000)).filter(({ targetId }) => targetId === id)).toEqual([]);
  });

  it('tells a workflow of a settled gate whose signal was lost, until it has read the row (H17)', async () => {
    const id = await aRunning(bench, ana, 'waiting_approval');
    const gate = await anOpenGate(bench, ana, id);
    bench.temporal.isAway = true;
    await decideApproval(bench, ana, { id: gate.id, decision: 'approve' });
    await bench.background.drain();
    bench.temporal.isAway = false;
    await age(bench, 'approvals', 'settled_at');
    await passes();
    expect(bench.temporal.signalsTo(id, 'approve')).toEqual([expect.objectContaining({ payload: { approvalId: gate.id } })]);
  });

  it('expires overdue gates also while no worker is up (H19)', async () => {
    const id = await aRunning(bench, ana, 'waiting_approval');
    const gate = await anOpenGate(bench, ana, id, { deadlineAt: Date.now() - 1 });
    await passes(3);
    expect((await getApproval(bench, ana, { id: gate.id })).approval.status).toBe('expired');
    expect((await listEvents(bench, ana, { id, limit: 100 })).items.filter(({ kind }) => kind === 'approval.expired')).toHaveLength(1);
    expect(bench.temporal.signalsTo(id, 'approve').length).toBeGreaterThan(0);
  });

  it.each([
    ['terminated, as visibility tells (D12)', 'closed'],
    ['unknown to Temporal (D26)', 'unknown'],
  ] as const)('fails a row whose workflow is %s: log closed, gates closed, never started again', async (_what, life) => {
    const id = await aRunning(bench, ana, 'waiting_approval');
    const gate = await anOpenGate(bench, ana, id);
    const startsBefore = bench.temporal.starts.length;
    bench.temporal.lives.set(id, life);
    if (life === 'closed') bench.temporal.closed = [id];
    else {
      bench.temporal.lives.delete(id);
      await age(bench, 'executions', 'updated_at');
    }
    await passes(3);
    expect(await statusOf(id)).toMatchObject({
      status: 'failed',
      error: { code: 'execution_terminated' },
      completedAt: expect.any(String),
    });
    expect((await getApproval(bench, ana, { id: gate.id })).approval.status).toBe('cancelled');
    const kinds = (await listEvents(bench, ana, { id, limit: 100 })).items.map(({ kind }) => kind);
    expect(kinds.at(-1)).toBe('execution.failed');
    expect(kinds.filter((kind) => kind === 'execution.failed')).toHaveLength(1);
    expect(bench.temporal.starts).toHaveLength(startsBefore);
  });

  it('leaves alone what is open in Temporal, was touched just now, or could not be asked', async () => {
    const open = await aRunning(bench, ana);
    const fresh = await aRunning(bench, ana);
    const unasked = await aRunning(bench, ana);
    await age(bench, 'executions', 'updated_at');
    bench.temporal.lives.set(fresh, 'closed');
    await recordEvents(bench.db, fresh, carryOf('running', 2));
    await passes();
    bench.temporal.lives.set(unasked, 'closed');
    bench.temporal.isAway = true;
    await passes();
    for (const id of [open, fresh, unasked]) expect((await statusOf(id)).status).toBe('running');
  });

  it('ends a lost one that was being cancelled as cancelled', async () => {
    const id = await aRunning(bench, ana);
    await cancelExecution(bench, ana, { id, reason: 'enough' });
    bench.temporal.closed = [id];
    await passes();
    expect(await statusOf(id)).toMatchObject({ status: 'cancelled', reason: 'enough', error: null });
  });

  it('tells the parent of a lost child, again and again until it has taken it (D26)', async () => {
    const parent = await aRunning(bench, ana);
    const child = await childOf(parent);
    await recordEvents(bench.db, child, carryOf('running'));
    bench.temporal.closed = [child];
    await passes();
    const report = { executionId: child, outcome: { status: 'failed', error: { code: 'execution_terminated' } } };
    expect(bench.temporal.signalsTo(parent, 'child')).toEqual([
      expect.objectContaining({ payload: expect.objectContaining({ executionId: child }) }),
    ]);
    expect(bench.temporal.signalsTo(parent, 'child')[0]?.payload).toMatchObject(report);
    await age(bench, 'commands', 'created_at');
    await passes();
    const ids = bench.temporal.signalsTo(parent, 'child').map(({ payload }) => (payload as { id: string }).id);
    expect(ids).toHaveLength(2);
    expect(new Set(ids).size).toBe(1);
  });

  it('cancels the awaited children of a terminated parent, also when whoever closed it died right after', async () => {
    const parent = await aRunning(bench, ana);
    const [awaited, free] = [
      await childOf(parent),
      (
        await startChild(bench, {
          parent: { executionId: parent, stepId: 'free', iterationPath: '', attempt: 1, awaited: false },
          workflow: 'greet',
          input: { v: {} },
          depth: 1,
        })
      ).executionId,
    ];
    for (const child of [awaited, free]) {
      bench.temporal.lives.set(child, 'running');
      await recordEvents(bench.db, child, carryOf('running'));
    }
    await closeAsTerminated(bench.db, parent, { code: 'execution_terminated', message: 'gone', retryable: false });
    await passes();
    expect((await statusOf(awaited)).status).toBe('cancelling');
    expect((await statusOf(free)).status).toBe('running');
    expect(bench.temporal.cancels).toContain(awaited);
    expect(bench.temporal.cancels).not.toContain(free);
  });

  it('lets go of a report that nobody waits for any more', async () => {
    const parent = await aRunning(bench, ana);
    const child = await childOf(parent);
    bench.temporal.lives.set(parent, 'closed');
    await closeAsTerminated(bench.db, parent, { code: 'execution_terminated', message: 'gone', retryable: false });
    await cancelExecution(bench, ana, { id: child });
    await bench.background.drain();
    expect((await undeliveredCommands(bench.db, 0, 100)).filter(({ targetId }) => targetId === parent)).toEqual([]);
  });
});

describe('the memory of repeats', () => {
  it('waits twice as long each time, up to its longest', () => {
    let nowMs = 0;
    const memory = new RepeatMemory(() => nowMs, 10, 40);
    const tries: number[] = [];
    for (; nowMs <= 200; nowMs += 5) if (memory.isDue('a')) tries.push(nowMs);
    expect(tries).toEqual([0, 10, 30, 70, 110, 150, 190]);
  });
  it('tells ids apart, and is at once ready for what reached nobody', () => {
    const memory = new RepeatMemory(() => 0, 10, 40);
    expect([memory.isDue('a'), memory.isDue('b'), memory.isDue('a')]).toEqual([true, true, false]);
    memory.forget('a');
    expect([memory.isDue('a'), memory.isDue('b')]).toEqual([true, false]);
  });
});
