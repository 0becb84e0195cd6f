import { beginCancel, settleExecution } from '../../src/store/end-execution.js';
import { listExecutions } from '../../src/store/executions.js';
import { readEvents } from '../../src/store/event-log.js';
import { recordEvents } from '../../src/store/projection.js';
import { startExecution } from '../../src/store/start-execution.js';
import { aCarry, aNewExecution, started, useDatabase } from './builders.js';

const NO_CURSOR = { limit: 200 };

describe('starting an execution', () => {
  const { db } = useDatabase(25);
  const idempotency = (key: string, bodyHash = 'same') => ({ door: 'workflow:wf_1', key, bodyHash });
  const countOf = async (ownerId: string) => (await listExecutions(db(), { ownerId, ...NO_CURSOR })).items.length;

  it('D13: makes one execution of 20 starts at once with one key', async () => {
    const ownerId = 'usr_d13';
    const results = await Promise.all(
      Array.from({ length: 20 }, () =>
        startExecution(db(), aNewExecution({ ownerId, idempotency: idempotency('k'), limits: { perUser: 10, global: 1_000 } })),
      ),
    );
    expect(results.filter((result) => result.kind === 'started')).toHaveLength(1);
    expect(results.filter((result) => result.kind === 'duplicate')).toHaveLength(19);
    expect(new Set(results.map((result) => 'execution' in result && result.execution.id)).size).toBe(1);
    expect(await countOf(ownerId)).toBe(1);
  });

  it('T20: counts a key within owner and door, and refuses it with another body', async () => {
    const first = await startExecution(db(), aNewExecution({ idempotency: idempotency('k') }));
    expect(first.kind).toBe('started');
    expect((await startExecution(db(), aNewExecution({ idempotency: { ...idempotency('k'), door: 'workflow:wf_2' } }))).kind).toBe(
      'started',
    );
    expect((await startExecution(db(), aNewExecution({ ownerId: 'usr_bo', idempotency: idempotency('k') }))).kind).toBe('started');
    expect((await startExecution(db(), aNewExecution({ idempotency: idempotency('k', 'other') }))).kind).toBe('key_reused');
  });

  it('D16: refuses the 11th active of a user; waiting ones are not counted', async () => {
    const ownerId = 'usr_d16';
    const limits = { perUser: 10, global: 0 };
    for (let index = 0; index < 5; index += 1) {
      const { id } = await started(db(), { ownerId, limits });
      await recordEvents(db(), id, aCarry({ status: 'waiting_approval' }));
    }
    const results = await Promise.all(Array.from({ length: 20 }, () => startExecution(db(), aNewExecution({ ownerId, limits }))));
    expect(results.filter((result) => result.kind === 'started')).toHaveLength(10);
    const refused = results.find((result) => result.kind === 'limit');
    expect(refused).toMatchObject({ reason: 'per_user_limit_exceeded', activeUser: 10 });
  });

  it("D16: refuses above the deployment's limit, counting no subworkflows, and frees the key of a refused start", async () => {
    const active = await startExecution(db(), aNewExecution({ ownerId: 'usr_global', limits: { perUser: 0, global: 1 } }));
    expect(active).toMatchObject({ kind: 'limit', reason: 'global_limit_exceeded' });
    const global = active.kind === 'limit' ? active.activeGlobal + 1 : 0;
    const parent = await started(db(), { ownerId: 'usr_global', limits: { perUser: 0, global } });
    await started(db(), {
      ownerId: 'usr_global',
      trigger: { type: 'subworkflow' },
      parent: { executionId: parent.id, stepId: 's', iterationPath: '', attempt: 1, awaited: true },
    });
    const keyed = aNewExecution({ ownerId: 'usr_global', idempotency: idempotency('later'), limits: { perUser: 0, global } });
    expect(await startExecution(db(), keyed)).toMatchObject({ kind: 'limit', activeGlobal: global });
    await beginCancel(db(), parent.id, { ownerId: null, by: null, reason: null });
    expect((await startExecution(db(), keyed)).kind).toBe('started');
  });

  it('writes execution.started with the row, in a session of its own', async () => {
    const execution = await started(db(), {
      variables: { n: { v: 1 }, big: { v: null, refs: { '': { ref: 'val_1', bytes: 40_000, sha256: 'ab', preview: '"x' } } } },
    });
    expect(execution).toMatchObject({ status: 'pending', sessionId: expect.stringMatching(/^ses_/), startedAt: null });
    const [event] = await readEvents(db(), execution.id, 0, 10);
    expect(event).toMatchObject({
      seq: 1,
      kind: 'execution.started',
      data: { variables: { n: 1, big: { ref: 'val_1', bytes: 40_000, sha256: 'ab', preview: '"x' } } },
    });
  });

  it('starts one child for a step instance of its parent, however often it is asked', async () => {
    const parent = await started(db());
    const child = () =>
      startExecution(
        db(),
        aNewExecution({
          trigger: { type: 'subworkflow' },
          parent: { executionId: parent.id, stepId: 'sub', iterationPath: '', attempt: 1, awaited: true },
        }),
      );
    const results = await Promise.all([child(), child(), child()]);
    expect(results.map((result) => result.kind).toSorted()).toEqual(['duplicate', 'duplicate', 'started']);
  });

  it('starts no child of a parent that is being cancelled', async () => {
    const parent = await started(db());
    await recordEvents(db(), parent.id, aCarry());
    await beginCancel(db(), parent.id, { ownerId: null, by: null, reason: null });
    const child = aNewExecution({ parent: { executionId: parent.id, stepId: 'sub', iterationPath: '', attempt: 1, awaited: true } });
    expect((await startExecution(db(), child)).kind).toBe('parent_ended');
  });

  it('makes one row of a scheduled run that is started twice at once', async () => {
    const id = 'exe_trg1-2026-01-01T00:00:00Z';
    const results = await Promise.all([1, 2, 3].map(() => startExecution(db(), aNewExecution({ id }))));
    expect(results.map((result) => result.kind).toSorted()).toEqual(['duplicate', 'duplicate', 'started']);
  });

  it('shows a run in a session of its owner only', async () => {
    const { sessionId } = await started(db());
    expect((await startExecution(db(), aNewExecution({ ownerId: 'usr_bo', sessionId }))).kind).toBe('session_unknown');
  });

  it('pages through executions, newest first, tests left out', async () => {
    const ownerId = 'usr_pages';
    const ids: string[] = [];
    for (let index = 0; index < 5; index += 1) ids.unshift((await started(db(), { ownerId })).id);
    await started(db(), { ownerId, trigger: { type: 'test' } });
    const first = await listExecutions(db(), { ownerId, limit: 3 });
    const second = await listExecutions(db(), { ownerId, limit: 3, cursor: first.cursor ?? '' });
    expect([...first.items, ...second.items].map((execution) => execution.id)).toEqual(ids);
    expect([first.hasMore, second.hasMore, second.cursor]).toEqual([true, false, null]);
    await settleExecution(db(), ids[0] ?? '', null, {
      status: 'completed',
      output: { v: null },
      error: null,
      reason: null,
      requested: false,
    });
    expect((await listExecutions(db(), { ownerId, status: 'completed', limit: 3 })).items.map(({ id }) => id)).toEqual([ids[0]]);
  });
});
