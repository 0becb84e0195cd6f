import { addEvent } from '../../src/store/commands.js';
import { openDatabase, type Database } from '../../src/store/database.js';
import { beginCancel, settleExecution } from '../../src/store/end-execution.js';
import { readEvents, readSessionEvents } from '../../src/store/event-log.js';
import type { ExecutionRecord } from '../../src/store/execution-record.js';
import { hasVoted } from '../../src/store/gate-rules.js';
import { closeGate, decideGate, openGate } from '../../src/store/gates.js';
import { addMessage } from '../../src/store/messages.js';
import { recordEvents } from '../../src/store/projection.js';
import { startExecution } from '../../src/store/start-execution.js';
import { beginStep, endStep, recoverStep } from '../../src/store/steps.js';
import { aBegin, aCarry, aCompletion, aNewExecution, aNewGate, anEngineEvent, anInstance, started, useDatabase } from './builders.js';

const ROUNDS = 12;

/** Everything that may touch one execution, at once. */
function everything(db: Database, execution: ExecutionRecord, round: number): Promise<unknown>[] {
  const { id, ownerId, sessionId } = execution;
  const instance = anInstance({ iterationPath: `l:i${round}` });
  const lost = { ended: 'cancelled' as const, at: 1 };
  const gate = async (): Promise<unknown> => {
    const opened = await openGate(db, aNewGate(execution, { instance: anInstance({ stepId: 'gate', attempt: round + 1 }) }));
    if (opened.kind === 'closed') return undefined;
    const approvalId = opened.gate.id;
    return await Promise.all([
      decideGate(db, {
        approvalId,
        voter: { id: 'usr_ana', name: 'Ana' },
        via: 'http',
        decision: 'approve',
        reason: null,
        answer: null,
        refuse: (view) => (view.gate.status !== 'pending' || hasVoted(view.gate, 'usr_ana') ? 'no' : undefined),
      }),
      closeGate(db, { approvalId, to: 'expired', carry: aCarry() }),
    ]);
  };
  const step = async (): Promise<unknown> => {
    const begun = await beginStep(db, aBegin(execution, { instance, holder: `${Math.random()}` }));
    if (begun.kind !== 'run') return begun;
    return await endStep(db, { executionId: id, instance, stepType: 'tool', fence: begun.fence, answer: aCompletion(), data: {} });
  };
  return [
    step(),
    gate(),
    recoverStep(db, {
      executionId: id,
      instance,
      stepType: 'tool',
      carry: aCarry({ delivered: [`cmd_${round}`] }),
      answer: lost,
      data: {},
    }),
    recordEvents(db, id, aCarry({ events: [anEngineEvent({ ordinal: `${round}` })] })),
    addMessage(db, { ownerId, sessionId, role: 'user', author: 'Ana', parts: [{ type: 'text', text: 'hi' }] }),
    addEvent(db, { ownerId, executionId: id, event: 'paid', payload: { v: 1 }, bytes: 1, by: null }),
    startExecution(
      db,
      aNewExecution({
        ownerId,
        sessionId,
        parent: { executionId: id, stepId: 'sub', iterationPath: '', attempt: round + 1, awaited: true },
      }),
    ),
    round === ROUNDS - 2 ? beginCancel(db, id, { ownerId, by: null, reason: null }) : Promise.resolve(),
    round === ROUNDS - 1
      ? settleExecution(db, id, aCarry(), { status: 'completed', output: { v: 1 }, error: null, reason: null, requested: false })
      : Promise.resolve(),
  ];
}

describe('the order of locks', () => {
  const { db, url } = useDatabase();

  it('lets two processes do everything at once to executions of one session, without a deadlock and without a gap', async () => {
    const first = await started(db());
    const executions = [first, ...(await Promise.all([1, 2].map(() => started(db(), { sessionId: first.sessionId }))))];
    const processes = [openDatabase(url()), openDatabase(url())];
    for (let round = 0; round < ROUNDS; round += 1) {
      await Promise.all(executions.flatMap((execution) => processes.flatMap((each) => everything(each, execution, round))));
    }
    // Their connections report what they met when they end.
    await Promise.all(processes.map((each) => each.close()));
    const { rows } = await db().pool.query<{ deadlocks: string }>(
      'SELECT deadlocks FROM pg_stat_database WHERE datname = current_database()',
    );
    expect(Number(rows[0]?.deadlocks)).toBe(0);
    for (const execution of executions) {
      const events = await readEvents(db(), execution.id, 0, 10_000);
      expect(events.map((event) => event.seq)).toEqual(events.map((_, index) => index + 1));
      expect(events.at(-1)?.kind).toBe('execution.cancelled');
    }
    const inSession = await readSessionEvents(db(), first.sessionId, 0, 10_000);
    expect(inSession.map((event) => event.seq)).toEqual(inSession.map((_, index) => index + 1));
  });
});
