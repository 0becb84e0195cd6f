import { readSessionEvents } from '../../src/store/event-log.js';
import { listMessages } from '../../src/store/messages.js';
import { createChatSession } from '../../src/store/sessions.js';
import type { TurnPlace } from '../../src/store/turn-record.js';
import {
  awaitTools,
  checkpointTurn,
  claimTurns,
  closeTurns,
  extendTurn,
  finishTurn,
  getTurn,
  openTurn,
  progressTool,
  type TurnClaim,
  type TurnWrite,
} from '../../src/store/turns.js';
import { anInstance, started, useDatabase } from './builders.js';

const { db } = useDatabase();

const USAGE = { inputTokens: 10, outputTokens: 2, cacheReadTokens: 0 };
const text = (value: string) => ({ type: 'text' as const, text: value });
const aCall = (callId: string) => ({
  type: 'tool-call' as const,
  callId,
  toolName: 'http:request',
  args: { url: 'x' },
  status: 'pending' as const,
  result: null,
  error: null,
});

async function aPlace(overrides: Partial<TurnPlace> = {}): Promise<TurnPlace> {
  const execution = await started(db());
  return {
    ownerId: 'usr_ana',
    sessionId: execution.sessionId,
    thread: 'default',
    author: 'Review',
    call: '1',
    of: { executionId: execution.id, instance: anInstance({ stepId: 'review', iterationPath: 'each:i0' }) },
    ...overrides,
  };
}

const open = (claim: TurnClaim, turnId: string, parts = [text('Hel')]): Promise<TurnWrite> =>
  openTurn(db(), { claim, turnId, model: 'm-1', usage: null, parts });

async function anOpenTurn(turnId: string, overrides: Partial<TurnPlace> = {}) {
  const place = await aPlace(overrides);
  const { claim } = await claimTurns(db(), place);
  const write = await open(claim, turnId);
  if (write.kind !== 'written') throw new Error('The turn was not opened');
  return { place, claim, turn: write.turn };
}

const kindsOf = async (sessionId: string): Promise<string[]> =>
  (await readSessionEvents(db(), sessionId, 0, 1000)).map((event) => event.kind).filter((kind) => !kind.startsWith('execution'));
const messagesOf = async (sessionId: string) =>
  (await listMessages(db(), 'usr_ana', sessionId, { after: 0, limit: 100 })).items.filter((message) => message.role === 'assistant');

describe('a turn', () => {
  it('R13: opened twice is one; finalised twice keeps its first end', async () => {
    const { place, claim } = await anOpenTurn('trn_twice');
    expect((await open(claim, 'trn_twice', [text('Other')])).kind).toBe('written');
    const ends = await Promise.all([
      finishTurn(db(), 'trn_twice', { status: 'end_turn', reason: 'end_turn', usage: USAGE, parts: [text('Hello')] }),
      finishTurn(db(), 'trn_twice', { status: 'error', reason: 'failed', usage: USAGE, parts: [text('Hello')] }),
    ]);
    expect(ends.map(({ kind }) => kind).toSorted()).toEqual(['ended', 'written']);
    const [message, ...others] = await messagesOf(place.sessionId);
    expect(others).toEqual([]);
    expect(message?.content).toBe('Hello');
    const kept = ends.find((end) => end.kind === 'written');
    expect(message?.turn).toMatchObject({ id: 'trn_twice', status: kept?.kind === 'written' ? kept.turn.status : 'none', attempt: 1 });
    expect((await finishTurn(db(), 'trn_twice', { status: 'canceled', reason: 'late' })).kind).toBe('ended');
    expect(await kindsOf(place.sessionId)).toEqual(['message.created', 'turn.started', 'turn.finished']);
  });

  it('R13: that nobody opened is not finalised, extended or continued', async () => {
    const end = { status: 'canceled', reason: 'stop' } as const;
    expect(await finishTurn(db(), 'trn_unknown', end)).toEqual({ kind: 'ended' });
    expect(await progressTool(db(), 'trn_unknown', 'call_1', { status: 'running' })).toEqual({ kind: 'ended' });
    expect(await getTurn(db(), 'trn_unknown')).toBeUndefined();
  });

  it('has back-pointers in its row and events, and its session in them', async () => {
    const { place, turn } = await anOpenTurn('trn_pointers');
    await finishTurn(db(), 'trn_pointers', { status: 'end_turn', reason: 'end_turn', usage: USAGE, parts: [text('Hello')] });
    const pointers = { executionId: place.of?.executionId, stepId: 'review', iterationPath: 'each:i0', attempt: 1 };
    expect(await messagesOf(place.sessionId)).toMatchObject([
      { ...pointers, parts: [text('Hello'), { type: 'finish', reason: 'end_turn' }] },
    ]);
    const events = (await readSessionEvents(db(), place.sessionId, 0, 100)).filter(({ kind }) => kind.startsWith('turn.'));
    expect(events).toMatchObject([
      {
        ...pointers,
        sessionId: place.sessionId,
        kind: 'turn.started',
        data: { turn: { id: turn.id, status: 'streaming', messageId: turn.messageId } },
      },
      {
        ...pointers,
        sessionId: place.sessionId,
        kind: 'turn.finished',
        data: { turn: { status: 'end_turn', usage: USAGE }, message: { content: 'Hello' } },
      },
    ]);
  });

  it('points nowhere when the execution is not its owner’s; the message stays', async () => {
    const session = await createChatSession(db(), 'usr_bo', 'Mine');
    const { of } = await aPlace();
    const { claim } = await claimTurns(db(), { ownerId: 'usr_bo', sessionId: session.id, thread: 'default', author: 'x', call: '1', of });
    await open(claim, 'trn_foreign');
    expect((await getTurn(db(), 'trn_foreign'))?.message).toMatchObject({
      executionId: null,
      stepId: null,
      iterationPath: null,
      attempt: null,
      content: 'Hel',
    });
  });

  it('of a session of somebody else is not claimed', async () => {
    const place = await aPlace({ ownerId: 'usr_bo' });
    await expect(claimTurns(db(), place)).rejects.toMatchObject({ code: 'not_found' });
  });

  it('is checkpointed without an event, and no more once it has ended', async () => {
    const { place, turn } = await anOpenTurn('trn_checkpoint');
    expect(await checkpointTurn(db(), turn, [text('Hello')])).toBe(true);
    expect((await messagesOf(place.sessionId))[0]?.content).toBe('Hello');
    await finishTurn(db(), turn.id, { status: 'end_turn', reason: 'end_turn', usage: USAGE, parts: [text('Hello you')] });
    expect(await checkpointTurn(db(), turn, [text('Hello')])).toBe(false);
    expect((await messagesOf(place.sessionId))[0]?.content).toBe('Hello you');
    expect(await kindsOf(place.sessionId)).toEqual(['message.created', 'turn.started', 'turn.finished']);
  });
});

describe('the tool calls of a turn', () => {
  it('go on after the model call, never back, and the last one finalises the turn', async () => {
    const { place, turn } = await anOpenTurn('trn_tools');
    const parts = [text('Hello'), aCall('call_1'), aCall('call_2')];
    await extendTurn(db(), turn, parts.slice(0, 2), 'call_1:pending');
    await awaitTools(db(), { ...turn, usage: USAGE }, parts, { stopReason: 'tool_use', blocks: [{ type: 'text', text: 'Hello' }] });
    const reply = { content: 'ok', isError: false };
    await progressTool(db(), turn.id, 'call_1', { status: 'running' });
    await progressTool(db(), turn.id, 'call_1', { status: 'completed', result: { ok: 1 }, reply });
    await progressTool(db(), turn.id, 'call_1', { status: 'running' });
    await progressTool(db(), turn.id, 'call_1', { status: 'error', error: { code: 'late', message: 'late' }, reply });
    expect((await getTurn(db(), turn.id))?.turn.status).toBe('streaming');
    await progressTool(db(), turn.id, 'call_2', {
      status: 'error',
      error: { code: 'tool_denied', message: 'no' },
      reply: { content: 'no', isError: true },
    });
    expect((await getTurn(db(), turn.id))?.turn).toMatchObject({
      status: 'end_turn',
      usage: USAGE,
      parts: [
        text('Hello'),
        { callId: 'call_1', status: 'completed', result: { ok: 1 }, error: null },
        { callId: 'call_2', status: 'error', error: { code: 'tool_denied' } },
        { type: 'finish', reason: 'tool_use' },
      ],
      replay: { stopReason: 'tool_use', results: { call_1: reply, call_2: { content: 'no', isError: true } } },
    });
    expect(await kindsOf(place.sessionId)).toEqual([
      'message.created',
      'turn.started',
      ...Array.from({ length: 5 }, () => 'message.updated'),
      'turn.finished',
    ]);
  });

  it('are closed as interrupted when the turn is given up while they run', async () => {
    const { place, turn } = await anOpenTurn('trn_stopped');
    await awaitTools(db(), turn, [aCall('call_1'), aCall('call_2')], { stopReason: 'tool_use', blocks: [] });
    await progressTool(db(), turn.id, 'call_1', { status: 'running' });
    const executionId = place.of?.executionId ?? '';
    expect(
      await closeTurns(db(), { executionId, instance: anInstance({ stepId: 'other' }) }, { status: 'canceled', reason: 'cancelled' }),
    ).toEqual([]);
    expect(await closeTurns(db(), { executionId }, { status: 'canceled', reason: 'cancelled' })).toEqual([turn.id]);
    expect((await getTurn(db(), turn.id))?.turn).toMatchObject({
      status: 'canceled',
      parts: [
        { callId: 'call_1', status: 'error', error: { code: 'interrupted' } },
        { callId: 'call_2', status: 'error', error: { code: 'interrupted' } },
        { type: 'finish', reason: 'cancelled' },
      ],
    });
    expect(
      await progressTool(db(), turn.id, 'call_1', { status: 'completed', result: 1, reply: { content: '1', isError: false } }),
    ).toEqual({ kind: 'ended' });
  });
});

describe('a model call that is tried again', () => {
  it('E3: gives up what the dead worker left streaming, its cost estimated, and counts on', async () => {
    const { place, claim, turn } = await anOpenTurn('trn_dead');
    await checkpointTurn(db(), { ...turn, usage: { inputTokens: 50, outputTokens: 1, cacheReadTokens: 3 } }, [
      text('x'.repeat(100)),
      aCall('call_1'),
    ]);
    const again = await claimTurns(db(), place);
    expect(again).toMatchObject({
      done: null,
      earlier: [{ id: 'trn_dead', status: 'canceled', usage: { inputTokens: 50, outputTokens: 28, cacheReadTokens: 3, estimated: true } }],
    });
    expect(again.earlier[0]?.parts.at(-1)).toEqual({ type: 'finish', reason: 'superseded' });
    expect(again.earlier[0]?.parts[1]).toMatchObject({ status: 'error', error: { code: 'interrupted' } });
    expect(await open(again.claim, 'trn_second')).toMatchObject({ kind: 'written', turn: { attempt: 2 } });
    // The dead one was only slow.
    expect(await open(claim, 'trn_zombie')).toEqual({ kind: 'ended' });
    expect(await checkpointTurn(db(), turn, [text('late')])).toBe(false);
    expect((await messagesOf(place.sessionId)).map(({ turn: shown }) => (shown as { status: string }).status)).toEqual([
      'canceled',
      'streaming',
    ]);
  });

  it('finds that it has ended: kept, or waiting for its tools', async () => {
    const kept = await anOpenTurn('trn_kept');
    await finishTurn(db(), 'trn_kept', { status: 'end_turn', reason: 'end_turn', usage: USAGE, parts: [text('Done')] });
    expect(await claimTurns(db(), kept.place)).toMatchObject({ done: { id: 'trn_kept', status: 'end_turn' }, earlier: [] });
    const waiting = await anOpenTurn('trn_waiting');
    await awaitTools(db(), waiting.turn, [aCall('call_1')], { stopReason: 'tool_use', blocks: [1] });
    expect(await claimTurns(db(), waiting.place)).toMatchObject({ done: { id: 'trn_waiting', replay: { blocks: [1] } }, earlier: [] });
  });

  it('by twenty at once leaves one turn streaming', async () => {
    const place = await aPlace();
    const claims = await Promise.all(Array.from({ length: 20 }, () => claimTurns(db(), place)));
    const opened = await Promise.all(claims.map(({ claim }, index) => open(claim, `trn_race_${index}`)));
    expect(opened.filter(({ kind }) => kind === 'written')).toHaveLength(1);
    expect(await messagesOf(place.sessionId)).toHaveLength(1);
  });
});
