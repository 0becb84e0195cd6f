import { decideApproval } from '../../src/operations/decide-approval.js';
import type { Principal } from '../../src/operations/principal.js';
import { getExecution } from '../../src/operations/read-executions.js';
import { startReconciler } from '../../src/operations/reconciler.js';
import { postToAgent, sendMessage } from '../../src/operations/send-message.js';
import { createSession } from '../../src/operations/sessions.js';
import { stopSession } from '../../src/operations/stop-session.js';
import { markDelivered } from '../../src/store/commands.js';
import { closeAsTerminated } from '../../src/store/end-execution.js';
import { openGate } from '../../src/store/gates.js';
import { undeliveredCommands } from '../../src/store/reconcile-queries.js';
import { nextMessage } from '../../src/store/session-commands.js';
import { readConversation } from '../../src/store/transcript.js';
import { claimTurns, finishTurn, getTurn, openTurn } from '../../src/store/turns.js';
import { age, aRunning } from './running.js';
import { aBench, aPerson, type TestBench } from './support.js';

describe('what is said to a conversation', () => {
  let bench: TestBench;
  let ana: Principal;
  let sessionId: string;
  beforeAll(async () => {
    bench = await aBench();
  });
  beforeEach(async () => {
    await bench.db.pool.query('TRUNCATE commands, approvals CASCADE');
    bench.temporal.isAway = false;
    bench.temporal.told.length = 0;
    ana = await aPerson(bench);
    sessionId = (await createSession(bench, ana, {})).session.id;
  });
  afterAll(() => bench.close());

  const say = async (content: string) => {
    const { message } = await sendMessage(bench, ana, { id: sessionId, content, clientMessageId: content });
    await bench.background.drain();
    return message;
  };
  async function pass(): Promise<void> {
    const reconciler = startReconciler(bench, 3_600_000);
    await reconciler.pass();
    await bench.background.drain();
    await reconciler.stop();
  }

  it('is told again until it is answered, when Temporal was away', async () => {
    bench.temporal.isAway = true;
    const message = await say('hello');
    bench.temporal.isAway = false;
    await pass();
    expect(bench.temporal.told).toEqual([]);
    await age(bench, 'commands', 'created_at');
    await pass();
    expect(bench.temporal.told).toMatchObject([{ sessionId, name: 'message', payload: { messageId: message.id } }]);
    const waiting = await nextMessage(bench.db, sessionId);
    expect(waiting).toMatchObject({ messageId: message.id, thread: 'default' });
    await pass();
    expect(bench.temporal.told).toHaveLength(2);
    await markDelivered(bench.db, [waiting?.commandId ?? '']);
    await pass();
    expect(bench.temporal.told).toHaveLength(2);
    expect(await nextMessage(bench.db, sessionId)).toBeUndefined();
  });

  it('is told again once for all that wait', async () => {
    const first = await say('one');
    for (const content of ['two', 'three']) await say(content);
    bench.temporal.told.length = 0;
    await age(bench, 'commands', 'created_at');
    await pass();
    expect(bench.temporal.told).toMatchObject([{ payload: { messageId: first.id } }]);
  });

  it('is answered in the order of its rows, whatever came first', async () => {
    const first = await say('one');
    await say('two');
    await bench.db.pool.query("UPDATE commands SET created_at = now() - interval '1 hour' WHERE payload->>'messageId' <> $1", [first.id]);
    expect((await nextMessage(bench.db, sessionId))?.messageId).toBe(first.id);
  });

  it('a stop that finds nobody is done with', async () => {
    await stopSession(bench, ana, { id: sessionId });
    await bench.background.drain();
    await age(bench, 'commands', 'created_at');
    expect(await undeliveredCommands(bench.db, 0, 10)).toEqual([]);
  });

  it('a stop that overtakes its message starts the conversation, which then stops it', async () => {
    bench.temporal.isAway = true;
    await say('go');
    bench.temporal.isAway = false;
    await stopSession(bench, ana, { id: sessionId });
    await bench.background.drain();
    expect(bench.temporal.told).toMatchObject([{ sessionId, name: 'stop', payload: { messageId: null } }]);
  });

  it('a stop names the message whose turn it is, and what was said until then', async () => {
    const message = await say('tell');
    const place = { ownerId: ana.userId, sessionId, thread: 'default', author: 'A', call: '1', of: null, replyTo: message.id };
    const { claim } = await claimTurns(bench.db, place);
    await openTurn(bench.db, { claim, turnId: 'trn_00000000000000000000000001', model: 'm', usage: null, parts: [] });
    await stopSession(bench, ana, { id: sessionId, turnId: 'trn_00000000000000000000000001' });
    await bench.background.drain();
    const [signal] = bench.temporal.signalsTo(sessionId, 'stop');
    expect(signal?.payload).toMatchObject({ messageId: message.id, upTo: expect.any(Number) });
    expect((signal?.payload as { upTo: number } | undefined)?.upTo).toBeGreaterThanOrEqual(message.seq);
  });

  it('a decision about a held call wakes the conversation, again where the signal was lost', async () => {
    await say('read');
    const gate = await openGate(bench.db, {
      ownerId: ana.userId,
      executionId: null,
      sessionId,
      workflowName: null,
      instance: null,
      toolCall: { callId: 'c', toolId: 'shell:bash', args: {}, summary: null },
      prompt: null,
      approvers: null,
      quorum: 1,
      deadlineAt: null,
      carry: null,
      at: Date.now(),
    });
    if (gate.kind !== 'gate') throw new Error('no gate');
    bench.temporal.isAway = true;
    await decideApproval(bench, ana, { id: gate.gate.id, decision: 'approve' });
    await bench.background.drain();
    bench.temporal.isAway = false;
    await age(bench, 'approvals', 'settled_at');
    await pass();
    expect(bench.temporal.signalsTo(sessionId, 'approve')).toMatchObject([{ payload: { approvalId: gate.gate.id } }]);
  });

  it('a turn that a terminated run left streaming is given up', async () => {
    const id = await aRunning(bench, ana);
    const { execution } = await getExecution(bench, ana, { id });
    const of = { executionId: id, instance: { stepId: 'ask', iterationPath: '', attempt: 1 } };
    const place = { ownerId: ana.userId, sessionId: execution.sessionId, thread: 'default', author: 'A', call: '1', of };
    const { claim } = await claimTurns(bench.db, place);
    await openTurn(bench.db, { claim, turnId: 'trn_stray', model: 'm', usage: null, parts: [{ type: 'text', text: 'Half' }] });
    await pass();
    expect((await getTurn(bench.db, 'trn_stray'))?.turn.status).toBe('streaming');
    await closeAsTerminated(bench.db, id, { code: 'execution_terminated', message: 'gone', retryable: false });
    await pass();
    expect((await getTurn(bench.db, 'trn_stray'))?.turn).toMatchObject({
      status: 'canceled',
      parts: [{ text: 'Half' }, { type: 'finish' }],
    });
  });

  it('what speaks for a person has a thread and a name of its own, once', async () => {
    const said = {
      ownerId: ana.userId,
      sessionId,
      author: 'Schedule',
      content: 'Brief me',
      thread: 'daily-1',
      dedupKey: 'tick:1',
      by: { id: 'system', name: 'Signalbox' },
    };
    const first = await postToAgent(bench, said);
    expect(first.message).toMatchObject({ author: 'Schedule', thread: 'daily-1' });
    expect(await postToAgent(bench, said)).toMatchObject({ duplicate: true, message: { id: first.message.id } });
    expect(await nextMessage(bench.db, sessionId)).toMatchObject({ messageId: first.message.id, thread: 'daily-1' });
  });

  it('a model is told of what came before in its thread, each message with its own answers, and of nothing later', async () => {
    const [one, two, three] = [await say('one'), await say('two'), await say('three')];
    await postToAgent(bench, {
      ownerId: ana.userId,
      sessionId,
      author: 'S',
      content: 'elsewhere',
      thread: 'other',
      dedupKey: 'x',
      by: null,
    });
    const place = { ownerId: ana.userId, sessionId, thread: 'default', author: 'A', of: null };
    for (const [replyTo, text, status] of [
      [two.id, 'second', 'end_turn'],
      [one.id, 'bad', 'canceled'],
      [one.id, 'first', 'end_turn'],
    ] as const) {
      const { claim } = await claimTurns(bench.db, { ...place, call: text, replyTo });
      const turnId = `trn_${text}`;
      await openTurn(bench.db, { claim, turnId, model: 'm', usage: null, parts: [{ type: 'text', text }] });
      await finishTurn(bench.db, turnId, { status, reason: status });
    }
    const seen = await readConversation(bench.db, place, two.id, { limit: 100 });
    const texts = seen.map((entry) =>
      entry.role === 'user' ? entry.text : entry.parts.map((part) => ('text' in part ? part.text : '')).join(''),
    );
    expect(texts).toEqual(['one', 'first', 'two', 'second']);
    expect(await readConversation(bench.db, { ...place, ownerId: 'usr_other' }, three.id, { limit: 100 })).toEqual([]);
    expect((await readConversation(bench.db, place, three.id, { limit: 2 })).map(({ messageId }) => messageId).at(-1)).toBe(three.id);
  });
});
