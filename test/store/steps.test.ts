import { openDatabase } from '../../src/store/database.js';
import { readEvents } from '../../src/store/event-log.js';
import { closeAsTerminated } from '../../src/store/end-execution.js';
import { getExecution } from '../../src/store/executions.js';
import { recordEvents } from '../../src/store/projection.js';
import { getStep, listSteps } from '../../src/store/step-list.js';
import { beginStep, endStep, recoverStep } from '../../src/store/steps.js';
import { aBegin, aCarry, aCompletion, anEngineEvent, anInstance, started, useDatabase } from './builders.js';

const TERMINATED = { code: 'execution_terminated', message: 'gone', retryable: false };

describe("a step's checkpoints", () => {
  const { db, url } = useDatabase();

  const endOf = (executionId: string, fence: number, answer = aCompletion()) =>
    endStep(db(), { executionId, instance: anInstance(), stepType: 'tool', fence, answer, data: { n: 1 } });
  const kindsOf = async (executionId: string) => (await readEvents(db(), executionId, 0, 100)).map((event) => event.kind);

  it('writes carried events, then step.started with the row, then its end', async () => {
    const execution = await started(db());
    const begun = await beginStep(db(), aBegin(execution, { carry: aCarry({ counter: 5, events: [anEngineEvent()] }) }));
    expect(begun).toEqual({ kind: 'run', fence: 1 });
    expect(await getStep(db(), execution.id, anInstance())).toMatchObject({
      status: 'running',
      input: { v: { url: 'http://x' } },
      completedAt: null,
    });
    expect(await endOf(execution.id, 1)).toEqual({ kind: 'ended', answer: aCompletion() });
    expect(await getStep(db(), execution.id, anInstance())).toMatchObject({
      status: 'completed',
      output: { v: 'done' },
      completedAt: '2023-11-14T22:13:21.000Z',
    });
    expect(await kindsOf(execution.id)).toEqual(['execution.started', 'step.completed', 'step.started', 'step.completed']);
    expect(await getExecution(db(), null, execution.id)).toMatchObject({ status: 'running', counter: 5 });
  });

  it('answers with what is recorded when the step has ended, and runs nothing', async () => {
    const execution = await started(db());
    await beginStep(db(), aBegin(execution));
    await endOf(execution.id, 1);
    expect(await beginStep(db(), aBegin(execution, { holder: 'attempt-2' }))).toEqual({ kind: 'ended', answer: aCompletion() });
    expect((await kindsOf(execution.id)).filter((kind) => kind === 'step.started')).toHaveLength(1);
  });

  it('D20: fences a frozen attempt off: its late end changes nothing', async () => {
    const execution = await started(db());
    await beginStep(db(), aBegin(execution));
    expect(await beginStep(db(), aBegin(execution, { holder: 'attempt-2' }))).toEqual({ kind: 'run', fence: 2 });
    expect(await endOf(execution.id, 1, aCompletion({ v: 'late' }))).toEqual({ kind: 'superseded' });
    await endOf(execution.id, 2, aCompletion({ v: 'second' }));
    expect(await endOf(execution.id, 1, aCompletion({ v: 'late' }))).toEqual({ kind: 'ended', answer: aCompletion({ v: 'second' }) });
    expect(await kindsOf(execution.id)).toEqual(['execution.started', 'step.started', 'step.completed']);
  });

  it('lets the same attempt ask again after a lost answer, under the same fence, also when it may not repeat', async () => {
    const execution = await started(db());
    await beginStep(db(), aBegin(execution, { mayRepeat: false }));
    expect(await beginStep(db(), aBegin(execution, { mayRepeat: false }))).toEqual({ kind: 'run', fence: 1 });
  });

  it('D21: ends a step that was cut off and may not repeat with outcome_unknown', async () => {
    const execution = await started(db());
    await beginStep(db(), aBegin(execution, { mayRepeat: false }));
    const begun = await beginStep(db(), aBegin(execution, { mayRepeat: false, holder: 'attempt-2', at: 1_700_000_002_000 }));
    const answer = { ended: 'failed', at: 1_700_000_002_000, error: { code: 'outcome_unknown', message: 'cut off', retryable: false } };
    expect(begun).toEqual({ kind: 'ended', answer });
    expect(await endOf(execution.id, 1)).toEqual({ kind: 'ended', answer });
    expect(await kindsOf(execution.id)).toEqual(['execution.started', 'step.started', 'step.failed']);
  });

  it('settles a lost step by recover, and the attempt that comes back learns it', async () => {
    const execution = await started(db());
    await beginStep(db(), aBegin(execution));
    const lost = { ended: 'cancelled' as const, at: 1_700_000_003_000 };
    const recover = () =>
      recoverStep(db(), {
        executionId: execution.id,
        instance: anInstance(),
        stepType: 'tool',
        carry: aCarry({ events: [anEngineEvent()] }),
        answer: lost,
        data: {},
      });
    expect(await recover()).toEqual(lost);
    expect(await endOf(execution.id, 1)).toEqual({ kind: 'ended', answer: lost });
    expect(await recover()).toEqual(lost);
    expect(await kindsOf(execution.id)).toEqual(['execution.started', 'step.started', 'step.completed', 'step.cancelled']);
  });

  it('recovers a step that never began, so that it never begins', async () => {
    const execution = await started(db());
    const lost = { ended: 'cancelled' as const, at: 1_700_000_003_000 };
    await recoverStep(db(), {
      executionId: execution.id,
      instance: anInstance(),
      stepType: 'tool',
      carry: aCarry(),
      answer: lost,
      data: {},
    });
    expect(await beginStep(db(), aBegin(execution))).toEqual({ kind: 'ended', answer: lost });
  });

  it('begins and ends nothing in an execution that has ended', async () => {
    const execution = await started(db());
    await beginStep(db(), aBegin(execution));
    await closeAsTerminated(db(), execution.id, TERMINATED);
    expect(await endOf(execution.id, 1)).toMatchObject({ kind: 'ended', answer: { ended: 'cancelled' } });
    expect(await beginStep(db(), aBegin(execution, { instance: anInstance({ stepId: 'next' }) }))).toEqual({ kind: 'closed' });
    expect(await listSteps(db(), execution.ownerId, execution.id)).toHaveLength(1);
  });

  it("takes an execution's projection only from a higher counter", async () => {
    const execution = await started(db());
    await recordEvents(db(), execution.id, aCarry({ counter: 8, status: 'waiting_event' }));
    await recordEvents(db(), execution.id, aCarry({ counter: 7, status: 'running' }));
    expect(await getExecution(db(), null, execution.id)).toMatchObject({ status: 'waiting_event', counter: 8 });
  });

  it('projects seeded steps on rows without events', async () => {
    const execution = await started(db());
    const seeded = anEngineEvent({ record: { output: { v: 7 }, seeded: true } });
    await recordEvents(db(), execution.id, aCarry({ events: [seeded] }));
    expect(await listSteps(db(), execution.ownerId, execution.id)).toMatchObject([
      { stepId: 'set', seeded: true, status: 'completed', output: { v: 7 } },
    ]);
    expect(await kindsOf(execution.id)).toEqual(['execution.started']);
  });

  it("writes events that two activities carry once, in the engine's order", async () => {
    const execution = await started(db());
    const events = ['1', '2', '3', '4'].map((ordinal) => anEngineEvent({ ordinal, instance: anInstance({ stepId: `s${ordinal}` }) }));
    const other = openDatabase(url());
    await Promise.all(
      [1, 2, 3, 4].flatMap((n) => [db(), other].map((each) => recordEvents(each, execution.id, aCarry({ events: events.slice(0, n) })))),
    );
    await other.close();
    const log = await readEvents(db(), execution.id, 1, 100);
    expect(log.map((event) => event.stepId)).toEqual(['s1', 's2', 's3', 's4']);
  });

  it('never moves a finished row back', async () => {
    const execution = await started(db());
    const instance = anInstance({ stepId: 'set' });
    await recordEvents(db(), execution.id, aCarry({ events: [anEngineEvent()] }));
    await recordEvents(db(), execution.id, aCarry({ events: [anEngineEvent({ kind: 'step.started', record: { input: { v: 1 } } })] }));
    expect(await getStep(db(), execution.id, instance)).toMatchObject({ status: 'completed', output: { v: 1 } });
  });

  it('fails the one operation of a batch that cannot be written, and writes the others', async () => {
    const execution = await started(db());
    const bad = anEngineEvent({ at: Number.NaN, instance: anInstance({ stepId: 'bad' }) });
    const results = await Promise.allSettled([
      recordEvents(db(), execution.id, aCarry(), [anEngineEvent({ instance: anInstance({ stepId: 'a' }) })]),
      recordEvents(db(), execution.id, aCarry(), [bad]),
      recordEvents(db(), execution.id, aCarry(), [anEngineEvent({ instance: anInstance({ stepId: 'b' }) })]),
    ]);
    expect(results.map((result) => result.status)).toEqual(['fulfilled', 'rejected', 'fulfilled']);
    expect((await readEvents(db(), execution.id, 1, 10)).map((event) => event.stepId)).toEqual(['a', 'b']);
  });
});
