import { createRedactor } from '../../src/activities/redaction.js';
import { StreamRedactor } from '../../src/activities/stream-redactor.js';
import { createTurns, type ModelCall } from '../../src/activities/turns.js';
import type { Delta } from '../../src/store/deltas.js';
import { readSessionEvents } from '../../src/store/event-log.js';
import { createChatSession } from '../../src/store/sessions.js';
import type { TurnPlace } from '../../src/store/turn-record.js';
import { getTurn } from '../../src/store/turns.js';
import { readValue } from '../../src/store/values.js';
import { useDatabase } from '../store/builders.js';

const SECRET = 'hunter2-and-more';
const noSecrets = createRedactor(new Map());

describe('secrets in a text that comes in pieces', () => {
  const shown = (secrets: [string, string][], pieces: readonly string[]): string[] => {
    const stream = new StreamRedactor(createRedactor(new Map(secrets)));
    return [...pieces.map((piece) => stream.push(piece)), stream.flush()];
  };

  it.each([
    ['in one piece', [`say ${SECRET} now`]],
    ['split in two', ['say hunter2', '-and-more now']],
    ['letter by letter', `say ${SECRET} now`.split('')],
    ['split over an empty piece', ['say hun', '', 'ter2-and-more now']],
  ])('are taken out: %s', (_, pieces) => {
    expect(shown([['PASS', SECRET]], pieces).join('')).toBe('say [secret PASS] now');
  });

  it('no piece shows the beginning of one, and nothing else is held back', () => {
    expect(shown([['PASS', SECRET]], ['a hunter2-and-m', 'aybe b', ' hunt'])).toEqual(['a ', 'hunter2-and-maybe b', ' ', 'hunt']);
  });

  it('the longer of two that begin alike is waited for', () => {
    const secrets: [string, string][] = [
      ['A', 'abcd'],
      ['B', 'abcdefgh'],
    ];
    expect(shown(secrets, ['1 abcd', 'ef', 'gh 2'])).toEqual(['1 ', '', '[secret B] 2', '']);
    expect(shown(secrets, ['1 abcd', 'ef', ' 2'])).toEqual(['1 ', '', '[secret A]ef 2', '']);
  });

  it('a whole one that ends where another may begin belongs together', () => {
    expect(shown([['P', 'abcab']], ['abcab', 'c'])).toEqual(['[secret P]', 'c', '']);
  });

  it('base64 of one is taken out as well', () => {
    const encoded = Buffer.from(SECRET).toString('base64');
    expect(shown([['PASS', SECRET]], [`x ${encoded.slice(0, 9)}`, `${encoded.slice(9)} y`]).join('')).not.toContain(encoded.slice(4, 12));
  });
});

describe('the writer of a turn', () => {
  const { db } = useDatabase();
  const sent: Delta[] = [];
  const turns = () => createTurns({ db: db(), deltas: { send: (delta) => void sent.push(delta) } });

  async function aCall(): Promise<{ call: ModelCall; place: TurnPlace }> {
    sent.length = 0;
    const session = await createChatSession(db(), 'usr_ana', 'Chat');
    const place: TurnPlace = { ownerId: 'usr_ana', sessionId: session.id, thread: 'default', author: 'Agent', call: '1', of: null };
    return { call: await turns().claim(place), place };
  }
  const rowOf = (turnId: string) => getTurn(db(), turnId);
  const until = async (isSo: () => Promise<boolean> | boolean): Promise<void> => {
    for (const limit = Date.now() + 10_000; !(await isSo()); ) {
      if (Date.now() > limit) throw new Error('It did not come');
      await new Promise((resolve) => setTimeout(resolve, 5));
    }
  };
  const isInRow = (turnId: string, content: string) => async () => (await rowOf(turnId))?.message.content === content;

  it('opens with the first text, sends what follows, and the row has it all at the end', async () => {
    const { call } = await aCall();
    const writer = call.writer({ model: 'm', redactor: noSecrets });
    expect(await rowOf(writer.turnId)).toBeUndefined();
    writer.text('Hello');
    await until(async () => (await rowOf(writer.turnId)) !== undefined);
    writer.text(' you');
    writer.text(' there');
    const usage = { inputTokens: 3, outputTokens: 4, cacheReadTokens: 0 };
    const turn = await writer.finish({ status: 'end_turn', reason: 'end_turn', usage });
    expect(turn).toMatchObject({ status: 'end_turn', usage, parts: [{ text: 'Hello you there' }, { type: 'finish' }] });
    expect(sent.map(({ part, offset, text, attempt }) => ({ part, offset, text, attempt }))).toEqual([
      { part: 0, offset: 5, text: ' you', attempt: 1 },
      { part: 0, offset: 9, text: ' there', attempt: 1 },
    ]);
  });

  it('checkpoints while it streams, so that a late joiner has the text', async () => {
    const { call } = await aCall();
    const writer = call.writer({ model: 'm', redactor: noSecrets });
    writer.text('a');
    await until(isInRow(writer.turnId, 'a'));
    writer.usage({ inputTokens: 7, outputTokens: 0, cacheReadTokens: 0 });
    writer.text('b');
    await until(isInRow(writer.turnId, 'ab'));
    expect((await rowOf(writer.turnId))?.turn).toMatchObject({ status: 'streaming', usage: { inputTokens: 7 } });
    await writer.finish({ status: 'canceled', reason: 'stop' });
    expect((await rowOf(writer.turnId))?.turn).toMatchObject({
      status: 'canceled',
      usage: { inputTokens: 7, outputTokens: 1, estimated: true },
    });
  });

  it('checkpoints what came while its row was made, also when nothing follows', async () => {
    const { call } = await aCall();
    const writer = call.writer({ model: 'm', redactor: noSecrets });
    writer.text('a');
    await new Promise((resolve) => setImmediate(resolve));
    expect(writer.isOpen).toBe(true);
    expect(sent).toEqual([]);
    writer.text('b');
    await until(isInRow(writer.turnId, 'ab'));
    expect((await rowOf(writer.turnId))?.turn.status).toBe('streaming');
    await writer.finish({ status: 'end_turn', reason: 'end_turn' });
  });

  it('shows no secret in rows, events or deltas, whole or in pieces', async () => {
    const { call, place } = await aCall();
    const writer = call.writer({ model: 'm', redactor: createRedactor(new Map([['PASS', SECRET]])) });
    writer.text('It is ');
    await until(isInRow(writer.turnId, 'It is '));
    for (const piece of ['hunt', 'er2-', 'and-more', ' ok ']) writer.text(piece);
    writer.toolCall({ callId: 'c1', toolName: 'http:request', args: { token: SECRET } });
    writer.text('hunter2-and');
    const usage = { inputTokens: 1, outputTokens: 1, cacheReadTokens: 0 };
    await writer.awaitTools({ usage, replay: { stopReason: 'tool_use', blocks: [{ type: 'text', text: `${SECRET}!` }] } });
    const row = await rowOf(writer.turnId);
    expect(row?.turn.parts).toMatchObject([
      { text: 'It is [secret PASS] ok ' },
      { args: { token: '[secret PASS]' } },
      { text: 'hunter2-and' },
    ]);
    const everything = JSON.stringify([sent, row, await readSessionEvents(db(), place.sessionId, 0, 100)]);
    expect(everything).not.toContain(SECRET);
    expect(sent.map(({ text }) => text).join('')).not.toContain('hunter2-and-');
  });

  it('keeps text and deltas equal to the unit, also with halves of characters and NUL', async () => {
    const { call } = await aCall();
    const writer = call.writer({ model: 'm', redactor: noSecrets });
    writer.text('>');
    await until(isInRow(writer.turnId, '>'));
    for (const piece of ['\ud83d', '\ude00 \0', 'x\ud83d', 'y\udc00', 'z\ud83d']) writer.text(piece);
    const turn = await writer.finish({ status: 'end_turn', reason: 'end_turn' });
    const text = sent.reduce((all, delta) => {
      expect(delta.offset).toBe(all.length);
      return all + delta.text;
    }, '>');
    expect(text).toBe('>😀 \ufffdx\ufffdy\ufffdz\ufffd');
    expect(turn?.parts[0]).toEqual({ type: 'text', text });
  });

  it('of a try that was superseded says so, and writes and sends nothing more', async () => {
    const { call, place } = await aCall();
    let superseded = 0;
    const writer = call.writer({ model: 'm', redactor: noSecrets, onSuperseded: () => void (superseded += 1) });
    writer.text('old');
    await until(isInRow(writer.turnId, 'old'));
    const next = await turns().claim(place);
    expect(next.earlier).toMatchObject([{ id: writer.turnId, status: 'canceled' }]);
    writer.text(' more');
    await until(() => superseded === 1);
    sent.length = 0;
    writer.text(' and more');
    expect(await writer.finish({ status: 'end_turn', reason: 'end_turn' })).toBeUndefined();
    expect(sent).toEqual([]);
    expect((await rowOf(writer.turnId))?.message.content).toBe('old');
    expect(superseded).toBe(1);
  });

  it('that showed nothing is opened to tell an end or an error, not to be given up', async () => {
    const { call } = await aCall();
    const canceled = call.writer({ model: 'm', redactor: noSecrets });
    expect(await canceled.finish({ status: 'canceled', reason: 'failover' })).toBeUndefined();
    expect(await rowOf(canceled.turnId)).toBeUndefined();
    const failed = call.writer({ model: 'm', redactor: noSecrets });
    await failed.finish({ status: 'error', reason: 'error', error: { code: 'agent_prompt_model_error', message: 'no' } });
    expect((await rowOf(failed.turnId))?.turn).toMatchObject({
      status: 'error',
      attempt: 1,
      parts: [
        { type: 'error', code: 'agent_prompt_model_error' },
        { type: 'finish', reason: 'error' },
      ],
    });
  });

  it('keeps the results of many calls small in the message: what no longer fits is there by reference', async () => {
    const { call, place } = await aCall();
    const writer = call.writer({ model: 'm', redactor: noSecrets });
    const ids = Array.from({ length: 12 }, (_, n) => `c${n}`);
    for (const callId of ids) writer.toolCall({ callId, toolName: 'http:request', args: {} });
    const usage = { inputTokens: 1, outputTokens: 1, cacheReadTokens: 0 };
    await writer.awaitTools({ usage, replay: { stopReason: 'tool_use', blocks: [] } });
    const body = 'x'.repeat(20_000);
    for (const callId of ids)
      await turns().toolProgress(writer.turnId, callId, {
        status: 'completed',
        result: { callId, body },
        reply: { content: body, isError: false },
      });
    const row = await rowOf(writer.turnId);
    const results = row?.turn.parts.flatMap((part) => (part.type === 'tool-call' ? [part.result] : [])) as {
      ref?: string;
      callId?: string;
    }[];
    expect(results.slice(0, 2)).toEqual([
      { callId: 'c0', body },
      { callId: 'c1', body },
    ]);
    expect(results.slice(3).every(({ ref }) => ref?.startsWith('val_'))).toBe(true);
    expect(await readValue(db(), 'usr_ana', results[11]?.ref ?? '')).toEqual({ callId: 'c11', body });
    expect(row?.turn).toMatchObject({ status: 'end_turn', replay: { results: { c11: { content: body } } } });
    const told = JSON.stringify(await readSessionEvents(db(), place.sessionId, 0, 200));
    expect(told.length).toBeLessThan(14 * 80 * 1024);
  });

  it('tells many calls that come at once in few writes', async () => {
    const { call, place } = await aCall();
    const writer = call.writer({ model: 'm', redactor: noSecrets });
    writer.text('All of them');
    await until(isInRow(writer.turnId, 'All of them'));
    for (let nth = 0; nth < 500; nth += 1) writer.toolCall({ callId: `c${nth}`, toolName: 'http:request', args: {} });
    writer.text('behind');
    await writer.awaitTools({
      usage: { inputTokens: 1, outputTokens: 1, cacheReadTokens: 0 },
      replay: { stopReason: 'tool_use', blocks: [] },
    });
    expect((await rowOf(writer.turnId))?.turn.parts).toHaveLength(502);
    expect((await readSessionEvents(db(), place.sessionId, 0, 100)).length).toBeLessThan(10);
    expect(sent.at(-1)).toMatchObject({ part: 501, offset: 0, text: 'behind' });
  });

  it('gives each try of a repaired call a turn, and folds the first', async () => {
    const { call, place } = await aCall();
    for (const status of ['canceled', 'end_turn'] as const) {
      const writer = call.writer({ model: 'm', redactor: noSecrets });
      writer.text(status);
      expect(await writer.finish({ status, reason: status })).toMatchObject({ status });
    }
    const events = (await readSessionEvents(db(), place.sessionId, 0, 100)).filter(({ kind }) => kind === 'turn.finished');
    expect(events.map(({ data }) => (data as { turn: { attempt: number; status: string } }).turn)).toMatchObject([
      { attempt: 1, status: 'canceled' },
      { attempt: 2, status: 'end_turn' },
    ]);
  });
});
