/** Text from a worker to sockets: real turns, real NOTIFY, real gateways. */
import { setTimeout as sleep } from 'node:timers/promises';
import { createDeltaSender, type DeltaSender } from '../../src/store/deltas.js';
import { checkpointTurn, finishTurn } from '../../src/store/turns.js';
import { ApiUnderTest } from '../api/api-under-test.js';
import { LiveSession } from './support/live-session.js';
import type { Frame, SocketClient } from './support/socket-client.js';
import { TextReader } from './support/text-reader.js';

let api: ApiUnderTest;
let session: LiveSession;
let deltas: DeltaSender;
const clients: SocketClient[] = [];
const gateways: ApiUnderTest[] = [];

beforeAll(async () => {
  api = await ApiUnderTest.start();
  deltas = createDeltaSender(api.db.pool);
});
beforeEach(async () => {
  session = await LiveSession.start(api);
});
afterEach(async () => {
  await Promise.all(clients.splice(0).map((client) => client.end()));
  for (const gateway of gateways.splice(0)) await gateway.close();
});
afterAll(async () => {
  await deltas.close();
  await api.close();
});

const anotherGateway = async (): Promise<ApiUnderTest> => {
  const gateway = await ApiUnderTest.start({ beside: api });
  gateways.push(gateway);
  return gateway;
};
const following = async (options: Parameters<typeof session.follow>[0] = {}): Promise<SocketClient> => {
  const client = await session.follow(options);
  clients.push(client);
  return client;
};
const deltasOf = (client: SocketClient): readonly Frame[] => client.frames.filter((frame) => frame.type === 'delta');
const until = async (holds: () => boolean): Promise<void> => {
  for (const deadline = Date.now() + 20_000; !holds(); await sleep(5))
    if (Date.now() > deadline) throw new Error('it does not come to hold');
};
const headOf = (id: string) => ({ id, status: 'streaming' as const, attempt: 1, model: 'm', usage: null });

describe('text as it streams', () => {
  it('reaches a socket behind the start of its turn, with the turn, part and offset', async () => {
    const client = await following();
    await client.type('snapshot');
    const writer = await session.writer(deltas);
    writer.text('Hello');
    await client.next((frame) => frame.event?.kind === 'turn.started');
    writer.text(', you');
    await until(() => new TextReader(client).textOf(writer.turnId) === 'Hello, you');
    await writer.finish({ status: 'end_turn', reason: 'end_turn', usage: { inputTokens: 1, outputTokens: 2, cacheReadTokens: 0 } });
    const finished = await client.next((frame) => frame.event?.kind === 'turn.finished');
    const kinds = client.frames.flatMap((frame) => (frame.type === 'delta' ? 'delta' : (frame.event?.kind ?? [])));
    expect(kinds.indexOf('turn.started')).toBeLessThan(kinds.indexOf('delta'));
    expect(kinds.lastIndexOf('delta')).toBeLessThan(kinds.indexOf('turn.finished'));
    const { offset, text, ...delta } = deltasOf(client).at(-1) as Frame;
    expect(delta).toEqual({ type: 'delta', channel: session.channel, turnId: writer.turnId, attempt: 1, part: 0 });
    expect(Number(offset) + String(text).length).toBe('Hello, you'.length);
    const frames = client.frames.filter(({ event }) => event !== undefined && /^(?:turn|message)\./.test(event.kind));
    expect(new Set(frames.map(({ event }) => event?.turnId))).toEqual(new Set([writer.turnId]));
    expect(finished.event).toMatchObject({
      executionId: session.executionId,
      sessionId: session.id,
      stepId: 'ask',
      iterationPath: '',
      attempt: 1,
      data: { message: { content: 'Hello, you', turn: { id: writer.turnId, status: 'end_turn' } } },
    });
  });

  it('R2 gives a late joiner the text so far, and the next delta starts at its length', async () => {
    const first = await following();
    const turnId = await session.openTurn();
    deltas.send(session.delta(turnId, 0, 'told, not yet checkpointed'));
    await first.type('delta');
    const late = await following();
    const { data } = await late.type('snapshot');
    expect(data?.['messages']).toMatchObject([
      {
        turn: { id: turnId, status: 'streaming' },
        parts: [{ type: 'text', text: 'told, not yet checkpointed' }],
        content: 'told, not yet checkpointed',
      },
    ]);
    deltas.send(session.delta(turnId, 26, '!'));
    expect(await late.type('delta')).toMatchObject({ offset: 26, text: '!' });
  });

  it('R2 gives the first joiner the checkpoint, and fills what came between it and the next delta', async () => {
    const turnId = await session.openTurn('checkpoint');
    const client = await following();
    expect((await client.type('snapshot')).data?.['messages']).toMatchObject([{ content: 'checkpoint' }]);
    deltas.send(session.delta(turnId, 14, 'behind a gap'));
    await sleep(60);
    expect(deltasOf(client)).toEqual([]);
    await checkpointTurn(api.db, headOf(turnId), [{ type: 'text', text: 'checkpoint and' }]);
    await until(() => deltasOf(client).length === 2);
    expect(deltasOf(client)).toMatchObject([
      { offset: 10, text: ' and' },
      { offset: 14, text: 'behind a gap' },
    ]);
  });

  it('R3 of a delta sent twice, an older one and one in part known tells each character once', async () => {
    const client = await following();
    const turnId = await session.openTurn();
    for (const [offset, text] of [
      [0, 'abc'],
      [0, 'abc'],
      [3, 'def'],
      [1, 'bc'],
      [2, 'cdefgh'],
    ] as const) {
      deltas.send(session.delta(turnId, offset, text));
      await sleep(20);
    }
    await until(() => new TextReader(client).textOf(turnId) === 'abcdefgh');
    expect(new TextReader(client).faults).toEqual([]);
  });

  it('tells what streamed while a reader caught up, when it has said what it has', async () => {
    const first = await following();
    const turnId = await session.openTurn();
    deltas.send(session.delta(turnId, 0, '0123456789'));
    await first.type('delta');
    const after = Math.max(...first.seqs(session.channel));
    const client = await session.connect();
    clients.push(client);
    client.send({ type: 'subscribe', id: 1, channel: session.channel, after, texts: { [turnId]: { 0: 4 } } });
    expect(await client.type('delta')).toMatchObject({ turnId, part: 0, offset: 4, text: '456789' });
    deltas.send(session.delta(turnId, 10, 'x'));
    await until(() => deltasOf(client).length === 2);
    expect(deltasOf(client)[1]).toMatchObject({ offset: 10, text: 'x' });
    expect(client.frames.map((frame) => frame.type)).not.toContain('snapshot');
  });

  it('R3 gives who refetches over HTTP no less than the deltas had', async () => {
    const client = await following();
    const turnId = await session.openTurn();
    deltas.send(session.delta(turnId, 0, 'told, not in the row'));
    await client.type('delta');
    const { body } = await api.send<{ items: readonly { content: string }[] }>('GET', `/api/sessions/${session.id}/messages`, {
      key: session.key,
    });
    expect(body.items.map((message) => message.content)).toEqual(['told, not in the row']);
  });

  it('tells nothing twice to a reader that comes from a gateway that had told more', async () => {
    const first = await following();
    const turnId = await session.openTurn();
    const after = Number((await first.next((frame) => frame.event?.kind === 'turn.started')).seq);
    deltas.send(session.delta(turnId, 0, '0123'));
    await first.type('delta');
    const client = await session.connect();
    clients.push(client);
    client.send({ type: 'subscribe', id: 1, channel: session.channel, after, texts: { [turnId]: { 0: 6 } } });
    await client.answer(1);
    deltas.send(session.delta(turnId, 4, '45'));
    await first.next((frame) => frame.type === 'delta' && frame.offset === 4);
    deltas.send(session.delta(turnId, 6, '67'));
    await client.type('delta');
    await session.appendSteps(1);
    await client.type('event');
    expect(deltasOf(client).map(({ offset, text }) => [offset, text])).toEqual([[6, '67']]);
  });

  it('R13 drops and logs the text of a turn that no row knows, and goes on', async () => {
    const client = await following();
    deltas.send(session.delta('trn_nobody', 0, 'lost'));
    await until(() => api.logged.some((line) => line.includes('trn_nobody')));
    const turnId = await session.openTurn();
    deltas.send(session.delta(turnId, 0, 'found'));
    expect(await client.type('delta')).toMatchObject({ turnId, text: 'found' });
    expect(deltasOf(client)).toHaveLength(1);
  });

  it('R13 tells one start and one end of a turn that is opened twice and finalised twice', async () => {
    const client = await following();
    const writer = await session.writer(deltas);
    writer.text('first');
    await writer.finish({ status: 'end_turn', reason: 'end_turn' });
    await finishTurn(api.db, writer.turnId, { status: 'error', reason: 'late', error: { code: 'x', message: 'late' } });
    await session.appendSteps(1);
    await client.next((frame) => frame.event?.kind === 'step.completed');
    const turns = client.frames.flatMap((frame) => (frame.event?.kind.startsWith('turn.') === true ? [frame.event] : []));
    expect(turns.map((event) => event.kind)).toEqual(['turn.started', 'turn.finished']);
    expect(turns[1]?.data['message']).toMatchObject({ turn: { status: 'end_turn' }, content: 'first' });
  });

  it('R6 gives two gateways the same, also when their LISTEN connections are cut', async () => {
    const other = await anotherGateway();
    const [one, two] = [await following(), await following({ api: other })];
    await Promise.all([one.type('snapshot'), two.type('snapshot')]);
    const writer = await session.writer(deltas);
    writer.text('before, ');
    await session.appendSteps(3);
    // Wake-ups and deltas of the next moments are lost to both.
    await api.db.pool.query(
      `SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = current_database() AND query LIKE 'LISTEN%'`,
    );
    writer.text('meanwhile, ');
    await session.appendSteps(3);
    await sleep(50);
    writer.text('after');
    await writer.finish({ status: 'end_turn', reason: 'end_turn' });
    await Promise.all([one, two].map((client) => client.next((frame) => frame.event?.kind === 'turn.finished')));
    const last = Number(one.frames.findLast((frame) => frame.type === 'event')?.seq);
    await two.next((frame) => frame.seq === last);
    expect(two.seqs(session.channel)).toEqual(one.seqs(session.channel));
    for (const client of [one, two]) {
      const seqs = client.seqs(session.channel);
      expect(seqs).toEqual(seqs.map((_, index) => (seqs[0] ?? 0) + index));
      const reader = new TextReader(client);
      expect([reader.textOf(writer.turnId), reader.faults]).toEqual(['before, meanwhile, after', []]);
    }
  });

  it('asks nothing of the database for a session that nobody follows', async () => {
    const other = await anotherGateway();
    const reads: string[] = [];
    const query = other.db.pool.query.bind(other.db.pool) as (...args: readonly unknown[]) => unknown;
    (other.db.pool as unknown as { query: unknown }).query = (...args: readonly unknown[]) => {
      reads.push(JSON.stringify(args[0]));
      return query(...args);
    };
    const witness = await following();
    const writer = await session.writer(deltas);
    writer.text('unheard');
    await session.appendSteps(5);
    await writer.finish({ status: 'end_turn', reason: 'end_turn' });
    await witness.next((frame) => frame.event?.kind === 'turn.finished');
    await sleep(1_200);
    expect(reads).toEqual([]);
  });
});
