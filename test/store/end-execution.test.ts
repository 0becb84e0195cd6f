import type { ExecutionOutcome } from '../../src/engine/types.js';
import { beginCancel, closeAsTerminated, settleExecution } from '../../src/store/end-execution.js';
import { readEvents, streamState } from '../../src/store/event-log.js';
import { getExecution } from '../../src/store/executions.js';
import { getGate, openGate } from '../../src/store/gates.js';
import { recordEvents } from '../../src/store/projection.js';
import { undeliveredCommands } from '../../src/store/reconcile-queries.js';
import { beginStep, endStep } from '../../src/store/steps.js';
import { aBegin, aCarry, aCompletion, anEngineEvent, anInstance, aNewGate, started, useDatabase } from './builders.js';

const COMPLETED: ExecutionOutcome = { status: 'completed', output: { v: { n: 1 } }, error: null, reason: null, requested: false };
const REQUEST = { ownerId: null, by: { id: 'usr_ana', name: 'Ana' }, reason: null };

describe('the end of an execution', () => {
  const { db } = useDatabase(20);
  const running = async (overrides: Parameters<typeof started>[1] = {}) => {
    const execution = await started(db(), overrides);
    await recordEvents(db(), execution.id, aCarry());
    return execution;
  };
  const kindsOf = async (id: string) => (await readEvents(db(), id, 0, 100)).map((event) => event.kind);

  it('writes the last events, the row, the terminal event, and closes the log', async () => {
    const execution = await running();
    const settled = await settleExecution(db(), execution.id, aCarry({ events: [anEngineEvent()] }), COMPLETED);
    expect(settled).toMatchObject({ won: true, outcome: COMPLETED, childReport: null });
    expect(await getExecution(db(), null, execution.id)).toMatchObject({ status: 'completed', output: { v: { n: 1 } } });
    const events = await readEvents(db(), execution.id, 0, 10);
    expect(events.map((event) => event.kind)).toEqual(['execution.started', 'step.completed', 'execution.completed']);
    expect(events.at(-1)?.data).toMatchObject({ output: { n: 1 }, error: null });
  });

  const FAILED: ExecutionOutcome = {
    ...COMPLETED,
    status: 'failed',
    output: { v: null },
    error: { code: 'x', message: 'broken \0', retryable: false },
  };
  const settledBy = async (way: 'at once' | 'the long way', outcome: ExecutionOutcome) => {
    const { id } = await running();
    await recordEvents(db(), id, aCarry({ events: [anEngineEvent()] }));
    const [longWay, wakes] = [jest.spyOn(db(), 'transaction'), jest.spyOn(db().notifier, 'wake')];
    const settled = await settleExecution(db(), id, way === 'at once' ? aCarry() : null, outcome);
    expect(longWay.mock.calls.length > 0).toBe(way !== 'at once');
    expect([...(wakes.mock.lastCall?.[0] ?? [])]).toContain(id);
    jest.restoreAllMocks();
    const row = await getExecution(db(), null, id);
    const [first, ...events] = await readEvents(db(), id, 0, 10);
    expect(Date.parse(events.at(-1)?.at ?? '')).toBe(Date.parse(row?.completedAt ?? ''));
    expect((await streamState(db(), id))?.closed).toBe(true);
    const shown = { settled, row, events, first: first?.kind };
    return JSON.stringify(shown).replaceAll(/"counter":\d+,|exe_\w+|ses_\w+|\d{4}-\d\d-\d\dT[\d:.]+Z/g, '');
  };
  it.each([
    ['completed', COMPLETED],
    ['completed with nothing', { ...COMPLETED, output: { v: null } }],
    ['failed', FAILED],
    ['failed with an output', { ...FAILED, output: { v: ['so far'] } }],
  ])('comes to the same end in one statement as by the long way: %s', async (_name, outcome) => {
    expect(await settledBy('at once', outcome)).toBe(await settledBy('the long way', outcome));
  });

  it('goes the long way where something is open or was used, and writes what is carried once', async () => {
    const gated = await running();
    await openGate(db(), aNewGate(gated));
    const begun = await running();
    await beginStep(db(), aBegin(begun));
    const used = await running();
    const usage = { inputTokens: 3, outputTokens: 2, cacheReadTokens: 0, models: ['m'] };
    const end = (id: string) => settleExecution(db(), id, aCarry({ events: [anEngineEvent({ record: { usage } })] }), COMPLETED);
    expect(await end(gated.id)).toMatchObject({ won: true, closedGates: [{ status: 'cancelled' }] });
    expect(await end(begun.id)).toMatchObject({ won: true, execution: { usage } });
    expect(await end(used.id)).toMatchObject({ won: true, execution: { usage } });
    const kinds = (await Promise.all([gated, begun, used].map(({ id }) => kindsOf(id)))).map((all) => all.slice(1));
    expect(kinds[0]?.slice(-4)).toEqual(['step.completed', 'approval.cancelled', 'step.cancelled', 'execution.completed']);
    expect(kinds[0]?.filter((kind) => kind === 'step.completed')).toHaveLength(1);
    expect(kinds[1]).toEqual(['step.started', 'step.completed', 'step.cancelled', 'execution.completed']);
    expect(kinds[2]).toEqual(['step.completed', 'execution.completed']);
  });

  it('answers a second settling with the first end', async () => {
    const execution = await running();
    await settleExecution(db(), execution.id, null, COMPLETED);
    const again = await closeAsTerminated(db(), execution.id, { code: 'execution_terminated', message: 'gone', retryable: false });
    expect(again).toMatchObject({ won: false, outcome: { status: 'completed' } });
    expect(await kindsOf(execution.id)).toEqual(['execution.started', 'execution.completed']);
  });

  it('D24: cancels a pending execution at once; nothing of it begins afterwards', async () => {
    const execution = await started(db());
    expect(await beginCancel(db(), execution.id, REQUEST)).toMatchObject({
      kind: 'cancelled',
      outcome: { status: 'cancelled', requested: true, reason: 'cancel_requested' },
    });
    expect(await beginStep(db(), aBegin(execution))).toEqual({ kind: 'closed' });
    expect(await getExecution(db(), null, execution.id)).toMatchObject({ status: 'cancelled' });
  });

  it('H11: goes to cancelling, closes gates, and keeps the command until it is delivered', async () => {
    const execution = await running();
    const opened = await openGate(db(), aNewGate(execution));
    const gateId = opened.kind === 'gate' ? opened.gate.id : '';
    const cancel = await beginCancel(db(), execution.id, { ...REQUEST, reason: 'wrong branch' });
    expect(cancel).toMatchObject({
      kind: 'cancelling',
      execution: { status: 'cancelling' },
      closedGates: [{ id: gateId, status: 'cancelled' }],
    });
    expect(await getGate(db(), gateId)).toMatchObject({ status: 'cancelled' });
    const commandId = cancel.kind === 'cancelling' ? cancel.commandId : '';
    expect((await undeliveredCommands(db(), 0, 1_000)).map((command) => command.id)).toContain(commandId);
    await recordEvents(db(), execution.id, aCarry({ delivered: [commandId] }));
    expect((await undeliveredCommands(db(), 0, 1_000)).map((command) => command.id)).not.toContain(commandId);
    expect((await kindsOf(execution.id)).slice(-2)).toEqual(['execution.cancelling', 'approval.cancelled']);
  });

  it('D24 keeps the command of a cancel that ended the row before Temporal was told', async () => {
    const waiting = async () => (await undeliveredCommands(db(), 0, 1_000)).filter(({ kind }) => kind === 'cancel').map(({ id }) => id);
    const pending = await beginCancel(db(), (await started(db())).id, REQUEST);
    const execution = await running();
    const racing = await beginCancel(db(), execution.id, REQUEST);
    // Its workflow settles on its own before it hears of the cancel.
    await settleExecution(db(), execution.id, null, COMPLETED);
    const ids = [pending, racing].map((cancel) => ('commandId' in cancel ? cancel.commandId : ''));
    expect(await waiting()).toEqual(expect.arrayContaining(ids));
  });

  it('marks no command of another execution', async () => {
    const [mine, other] = [await running(), await running()];
    const cancel = await beginCancel(db(), other.id, REQUEST);
    const commandId = cancel.kind === 'cancelling' ? cancel.commandId : '';
    await settleExecution(db(), mine.id, aCarry({ delivered: [commandId] }), COMPLETED);
    expect((await undeliveredCommands(db(), 0, 1_000)).map(({ id }) => id)).toContain(commandId);
  });

  it('gives one command and the first reason to a cancel that is asked twice', async () => {
    const execution = await running();
    const first = await beginCancel(db(), execution.id, { ...REQUEST, reason: 'first' });
    const second = await beginCancel(db(), execution.id, { ...REQUEST, reason: 'second' });
    expect(second).toMatchObject({
      kind: 'cancelling',
      execution: { reason: 'first' },
      commandId: first.kind === 'cancelling' ? first.commandId : '',
    });
  });

  it('lets nothing but cancelled follow cancelling', async () => {
    const execution = await running();
    await beginCancel(db(), execution.id, { ...REQUEST, reason: 'enough' });
    await recordEvents(db(), execution.id, aCarry({ status: 'running' }));
    expect(await getExecution(db(), null, execution.id)).toMatchObject({ status: 'cancelling' });
    expect(await settleExecution(db(), execution.id, null, COMPLETED)).toMatchObject({
      won: true,
      outcome: { status: 'cancelled', requested: true, reason: 'enough' },
    });
  });

  it('opens no gate in clean-up', async () => {
    const execution = await running();
    await beginCancel(db(), execution.id, REQUEST);
    expect(await openGate(db(), aNewGate(execution))).toEqual({ kind: 'closed' });
  });

  it('is not found for another owner', async () => {
    const execution = await running();
    expect(await beginCancel(db(), execution.id, { ...REQUEST, ownerId: 'usr_bo' })).toEqual({ kind: 'not_found' });
  });

  it('D26: closes what is lost as terminated, with its open steps and gates', async () => {
    const execution = await running();
    await beginStep(db(), aBegin(execution));
    await openGate(db(), aNewGate(execution));
    const settled = await closeAsTerminated(db(), execution.id, { code: 'execution_terminated', message: 'gone', retryable: false });
    expect(settled).toMatchObject({
      won: true,
      outcome: { status: 'failed', error: { code: 'execution_terminated' } },
      closedGates: [{ status: 'cancelled' }],
    });
    expect((await kindsOf(execution.id)).slice(-4)).toEqual(['approval.cancelled', 'step.cancelled', 'step.cancelled', 'execution.failed']);
  });

  it('leaves a report for the parent that awaits it, until the parent has taken it', async () => {
    const parent = await running();
    const child = await running({ parent: { executionId: parent.id, stepId: 'sub', iterationPath: '', attempt: 1, awaited: true } });
    const settled = await settleExecution(db(), child.id, null, COMPLETED);
    expect(settled?.childReport).toMatchObject({
      parentId: parent.id,
      executionId: child.id,
      outcome: { status: 'completed', output: { v: { n: 1 } } },
    });
    const waiting = (await undeliveredCommands(db(), 0, 1_000)).find((command) => command.targetId === parent.id);
    expect(waiting).toMatchObject({ kind: 'child', payload: { executionId: child.id, outcome: { status: 'completed' } } });
  });

  it('adds up the usage of all attempts', async () => {
    const execution = await running();
    const usage = { inputTokens: 10, outputTokens: 5, cacheReadTokens: 1, models: ['m1'] };
    for (const attempt of [1, 2]) {
      const instance = anInstance({ attempt });
      await beginStep(db(), aBegin(execution, { instance, stepType: 'agent_prompt' }));
      await endStep(db(), {
        executionId: execution.id,
        instance,
        stepType: 'agent_prompt',
        fence: 1,
        data: {},
        answer: { ended: 'completed', at: 1, output: { v: 'hi' }, usage },
      });
    }
    const settled = await settleExecution(db(), execution.id, null, COMPLETED);
    expect(settled?.execution.usage).toEqual({ inputTokens: 20, outputTokens: 10, cacheReadTokens: 2, models: ['m1'] });
  });

  it('D25: agrees with itself in 100 races of cancel, the last step and the end', async () => {
    const outcomes = new Map<string, number>();
    for (let round = 0; round < 100; round += 1) {
      const execution = await running();
      await beginStep(db(), aBegin(execution));
      const [cancel, , settled] = await Promise.all([
        beginCancel(db(), execution.id, REQUEST),
        endStep(db(), { executionId: execution.id, instance: anInstance(), stepType: 'tool', fence: 1, answer: aCompletion(), data: {} }),
        settleExecution(db(), execution.id, aCarry(), COMPLETED),
        recordEvents(db(), execution.id, aCarry(), [anEngineEvent({ ordinal: String(round) })]),
      ]);
      const row = await getExecution(db(), null, execution.id);
      const events = await readEvents(db(), execution.id, 0, 100);
      expect(events.map((event) => event.seq)).toEqual(events.map((_, index) => index + 1));
      expect(events.at(-1)?.kind).toBe(`execution.${row?.status ?? ''}`);
      expect(settled?.outcome.status).toBe(row?.status);
      expect(cancel.kind).toBe(row?.status === 'cancelled' ? 'cancelling' : 'ended');
      expect(await streamState(db(), execution.id)).toMatchObject({ closed: true, lastSeq: events.length });
      outcomes.set(row?.status ?? '', (outcomes.get(row?.status ?? '') ?? 0) + 1);
    }
    expect([...outcomes.values()].reduce((sum, n) => sum + n, 0)).toBe(100);
  });
});
