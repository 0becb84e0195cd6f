import type { EngineEvent } from '../../src/engine/types.js';
import { decideApproval } from '../../src/operations/decide-approval.js';
import { deleteWorkflow } from '../../src/operations/delete-workflow.js';
import type { Principal } from '../../src/operations/principal.js';
import { getExecution } from '../../src/operations/read-executions.js';
import { rerunExecution } from '../../src/operations/rerun-execution.js';
import { startChild } from '../../src/operations/start-child.js';
import { runWorkflow } from '../../src/operations/start-execution.js';
import { syncWorkflow } from '../../src/operations/sync-workflow.js';
import { updateWorkflow } from '../../src/operations/update-workflow.js';
import { loadStart } from '../../src/store/executions.js';
import { recordEvents } from '../../src/store/projection.js';
import { aBench, aPerson, type TestBench } from './support.js';
import { anOpenGate, carryOf } from './running.js';

const set = (id: string) => ({ id, type: 'set', values: { [id]: 1 } });
const DATA = {
  name: 'Six',
  variables: { v: { type: 'number', default: 1 }, big: { type: 'string' } },
  steps: [
    set('one'),
    { id: 'gate', type: 'approval' },
    { id: 'loop', type: 'loop', over: [1, 2, 3], steps: [set('body')] },
    set('four'),
    { id: 'sub', type: 'subworkflow', workflow: 'six' },
    set('six'),
  ],
};

describe('rerun', () => {
  let bench: TestBench;
  let ana: Principal;
  let id: string;
  beforeAll(async () => {
    bench = await aBench({ limits: { activePerUser: 0, active: 0 } });
  });
  beforeEach(async () => {
    ana = await aPerson(bench);
    await syncWorkflow(bench, ana, { name: 'Six', slug: 'six', data: DATA });
    id = (await runWorkflow(bench, ana, { id: 'six', variables: { big: 'x'.repeat(40_000) } })).execution.id;
    await finish(id, [
      ['one', '', 'set'],
      ['gate', '', 'approval'],
      ['body', 'loop:i0', 'set'],
      ['body', 'loop:i1', 'set'],
      ['body', 'loop:i2', 'set'],
      ['loop', '', 'loop'],
      ['four', '', 'set'],
      ['sub', '', 'subworkflow'],
    ]);
  });
  afterAll(() => bench.close());

  /** Records these instances as completed, as the engine would. */
  async function finish(executionId: string, instances: readonly [string, string, string][]): Promise<void> {
    const events = instances.map(([stepId, iterationPath, stepType], index) => ({
      kind: 'step.completed',
      ordinal: '0',
      at: 1_000 + index,
      instance: { stepId, iterationPath, attempt: 1 },
      stepType,
      data: {},
      record: {
        output: { v: { from: stepId } },
        ...(stepType === 'loop' ? { choice: { list: { v: [1, 2, 3] }, count: 3, passes: 3 } } : {}),
      },
    }));
    await recordEvents(bench.db, executionId, carryOf('running'), events as EngineEvent[]);
  }
  const rerun = (more: object = {}) => rerunExecution(bench, ana, { id, ...more });
  const seedsOf = async (executionId: string) => (await loadStart(bench.db, executionId))?.start.seeds;

  it('reruns the whole: same variables, no seeds, linked both ways (D15)', async () => {
    const { execution } = await rerun();
    await bench.background.drain();
    expect(execution).toMatchObject({
      status: 'pending',
      trigger: { type: 'rerun' },
      variables: { v: 1, big: { bytes: 40_002 } },
    });
    expect(execution.rerunOf).toEqual({ executionId: id });
    expect(await seedsOf(execution.id)).toBeUndefined();
    expect((await getExecution(bench, ana, { id })).execution.reruns).toEqual([execution.id]);
  });

  it('reruns once for a key, and refuses it for another rerun (D13)', async () => {
    const keyed = (more: object = {}) => rerun({ idempotencyKey: 'once', fromStepId: 'four', ...more });
    const answers = await Promise.all(Array.from({ length: 5 }, () => keyed()));
    expect(answers.filter(({ duplicate }) => !duplicate)).toHaveLength(1);
    expect(new Set(answers.map(({ execution }) => execution.id)).size).toBe(1);
    await expect(keyed({ variables: {} })).resolves.toMatchObject({ duplicate: true });
    await expect(keyed({ fromStepId: undefined })).rejects.toMatchObject({ code: 'idempotency_key_reused' });
  });

  it('seeds everything before a step, and lets the workflow load them (D15)', async () => {
    const { execution } = await rerun({ fromStepId: 'four' });
    await bench.background.drain();
    expect(execution.rerunOf).toEqual({ executionId: id, stepId: 'four', iterationPath: '' });
    const seeds = (await seedsOf(execution.id)) ?? [];
    expect(seeds.filter(({ iterationPath }) => iterationPath === '').map(({ stepId }) => stepId)).toEqual(['one', 'gate', 'loop']);
    expect(seeds[0]).toMatchObject({ how: 'done', output: { v: { from: 'one' } } });
    expect(bench.temporal.starts.find(({ executionId }) => executionId === execution.id)?.input.kind).toBe('load');
  });

  it('starts from one pass of a loop, and asks for it where there were several (D15)', async () => {
    const { execution } = await rerun({ fromStepId: 'body', iterationPath: 'loop:i2' });
    expect((await seedsOf(execution.id))?.find(({ stepId }) => stepId === 'loop')).toMatchObject({ how: 'open' });
    await expect(rerun({ fromStepId: 'body' })).rejects.toMatchObject({
      code: 'rerun_not_possible',
      data: { reason: 'iteration_path_needed' },
    });
    await expect(rerun({ fromStepId: 'body', iterationPath: 'loop:i7' })).rejects.toMatchObject({ code: 'rerun_not_possible' });
  });

  it('refuses to start where something before has no result, or at no step', async () => {
    const { execution } = await runWorkflow(bench, ana, { id: 'six' });
    await expect(rerunExecution(bench, ana, { id: execution.id, fromStepId: 'four' })).rejects.toMatchObject({
      code: 'rerun_not_possible',
      data: { reason: 'not_recorded', stepId: 'one' },
    });
    await expect(rerun({ fromStepId: 'nobody' })).rejects.toMatchObject({ code: 'rerun_not_possible', data: { reason: 'step_unknown' } });
  });

  it('takes other variables, checked', async () => {
    expect((await rerun({ variables: { v: 5 } })).execution.variables).toMatchObject({ v: 5, big: { bytes: 40_002 } });
    await expect(rerun({ variables: { v: 'text' } })).rejects.toMatchObject({ code: 'validation_failed' });
    await expect(rerun({ variables: { w: 1 } })).rejects.toMatchObject({ code: 'validation_failed' });
  });

  it('carries no approval to other variables or another version; to the same it does (H20)', async () => {
    await expect(rerun({ fromStepId: 'four', variables: { v: 2 } })).rejects.toMatchObject({
      code: 'rerun_not_possible',
      data: { reason: 'approval_needed', stepId: 'gate', iterationPath: '' },
    });
    await expect(rerun({ fromStepId: 'four', variables: { v: 1 } })).resolves.toBeDefined();
    await expect(rerun({ fromStepId: 'gate', variables: { v: 2 } })).resolves.toBeDefined();
    await syncWorkflow(bench, ana, { name: 'Six', slug: 'six', data: { ...DATA, description: 'other' } });
    await expect(rerun({ fromStepId: 'four', version: 'latest' })).rejects.toMatchObject({ data: { reason: 'approval_needed' } });
    await expect(rerun({ fromStepId: 'one', version: 'latest' })).resolves.toMatchObject({ execution: { rerunOf: { executionId: id } } });
  });

  it('finds an approval within a seeded subworkflow, also through a rerun of a rerun (H20)', async () => {
    await syncWorkflow(bench, ana, {
      name: 'Plain',
      slug: 'plain',
      data: {
        name: 'Plain',
        variables: { v: { type: 'number', default: 1 } },
        steps: [{ id: 'sub', type: 'subworkflow', workflow: 'six' }, set('after')],
      },
    });
    const { execution } = await runWorkflow(bench, ana, { id: 'plain' });
    await finish(execution.id, []);
    const parent = { executionId: execution.id, stepId: 'sub', iterationPath: '', attempt: 1, awaited: true };
    const child = await startChild(bench, { parent, workflow: 'six', input: { v: {} }, depth: 1 });
    await recordEvents(bench.db, child.executionId, carryOf('running'));
    const gate = await anOpenGate(bench, ana, child.executionId);
    await decideApproval(bench, ana, { id: gate.id, decision: 'approve' });
    await finish(execution.id, [['sub', '', 'subworkflow']]);
    const refused = {
      code: 'rerun_not_possible',
      data: { reason: 'approval_needed', stepId: 'sub', iterationPath: '', approvalId: gate.id },
    };
    await expect(rerunExecution(bench, ana, { id: execution.id, fromStepId: 'after', variables: { v: 2 } })).rejects.toMatchObject(refused);
    const again = await rerunExecution(bench, ana, { id: execution.id, fromStepId: 'after' });
    await finish(again.execution.id, [['sub', '', 'subworkflow']]);
    await expect(rerunExecution(bench, ana, { id: again.execution.id, fromStepId: 'after', variables: { v: 2 } })).rejects.toMatchObject(
      refused,
    );
  });

  it('reruns the snapshot of a deleted workflow, not of a disabled one', async () => {
    await updateWorkflow(bench, ana, { id: 'six', enabled: false });
    await expect(rerun()).rejects.toMatchObject({ code: 'workflow_disabled' });
    await deleteWorkflow(bench, ana, { id: 'six' });
    await expect(rerun()).resolves.toBeDefined();
    await expect(rerun({ version: 'latest' })).rejects.toMatchObject({ code: 'rerun_not_possible', data: { reason: 'workflow_deleted' } });
  });

  it('is for the owner alone', async () => {
    await expect(rerunExecution(bench, await aPerson(bench, { role: 'admin' }), { id })).rejects.toMatchObject({ code: 'not_found' });
    await expect(rerunExecution(bench, { ...ana, role: 'approver' }, { id })).rejects.toMatchObject({ code: 'forbidden' });
  });
});
