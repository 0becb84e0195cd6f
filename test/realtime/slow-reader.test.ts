import { setTimeout as sleep } from 'node:timers/promises';
import type { Connection } from '../../src/realtime/connection.js';
import { createDeltaSender, type DeltaSender } from '../../src/store/deltas.js';
import { ApiUnderTest } from '../api/api-under-test.js';
import { LiveSession } from './support/live-session.js';
import type { SocketClient } from './support/socket-client.js';

const LIMIT = 64 * 1024;
const PAD = 'p'.repeat(60_000);
const STEPS = 80;
/** Long enough for a reader on a busy machine, which is not what is tested here. */
const PATIENCE_MS = 2_000;

let api: ApiUnderTest;
let session: LiveSession;
let deltas: DeltaSender;
const clients: SocketClient[] = [];

beforeAll(async () => {
  api = await ApiUnderTest.start({ sockets: { maxWaitingBytes: LIMIT, patienceMs: PATIENCE_MS } });
  deltas = createDeltaSender(api.db.pool);
});
beforeEach(async () => {
  session = await LiveSession.start(api);
  await session.appendSteps(STEPS, { pad: PAD });
});
afterEach(async () => {
  await Promise.all(clients.splice(0).map((client) => client.end()));
});
afterAll(async () => {
  await deltas.close();
  await api.close();
});
jest.setTimeout(90_000);

const following = async (): Promise<SocketClient> => {
  const client = await session.follow();
  clients.push(client);
  await client.type('snapshot');
  return client;
};
/** The gateway's end of the newest socket. */
const newest = (): Connection =>
  [...(api.sockets as unknown as { readonly connections: Set<Connection> }).connections].at(-1) as Connection;

/** As a page whose machine sleeps: it takes nothing, until the kernel takes nothing more for it either. However much that is here. */
async function stall(client: SocketClient, { outbox }: Connection): Promise<void> {
  client.socket.pause();
  for (let full = 0, round = 0; full < 10; round++) {
    // The log once more from its beginning, which costs no rows.
    if (!outbox.isFull) client.send({ type: 'subscribe', id: `fill${round}`, channel: session.channel, after: 0 });
    await sleep(50);
    full = outbox.isFull ? full + 1 : 0;
  }
}

describe('a reader that takes nothing', () => {
  it('R4 is dropped, others are not, and it goes on from a snapshot, with the texts that streamed meanwhile', async () => {
    const slow = await following();
    const connection = newest();
    const fast = await following();
    await stall(slow, connection);
    const turnId = await session.openTurn();
    const first = Number((await fast.next((frame) => frame.event?.kind === 'turn.started')).seq);
    for (let offset = 0; offset < 20; offset += 2) deltas.send(session.delta(turnId, offset, 'ab'));
    for (let sent = 0; sent < 40; sent += 10) await session.appendSteps(10, { pad: PAD });
    const last = first + 40;
    await fast.next((frame) => frame.seq === last);
    await fast.next((frame) => frame.type === 'delta' && Number(frame.offset) + String(frame.text).length === 20);
    expect(fast.seqs(session.channel).slice(-40)).toEqual(Array.from({ length: 40 }, (_, index) => first + 1 + index));
    expect(fast.frames.map((frame) => frame.type)).not.toContain('lagged');
    await sleep(PATIENCE_MS);
    // No more than its limit and one frame, whatever happened meanwhile.
    expect(connection.outbox.waitingBytes).toBeLessThan(LIMIT + 2 * PAD.length);
    const seen = Math.max(...slow.seqs(session.channel), 0);
    slow.socket.resume();
    const lagged = await slow.type('lagged');
    const at = slow.frames.indexOf(lagged);
    const snapshot = await slow.type('snapshot', at);
    expect([slow.frames[at + 1], snapshot.cursor]).toEqual([snapshot, last]);
    expect(seen).toBeLessThan(first);
    const messages = snapshot.data?.['messages'] as readonly { readonly content: string }[];
    expect(messages.map((message) => message.content)).toEqual(['ab'.repeat(10)]);
    deltas.send(session.delta(turnId, 20, 'cd'));
    expect(await slow.next((frame) => frame.type === 'delta', at)).toMatchObject({ offset: 20, text: 'cd' });
    await session.appendSteps(1);
    await slow.next((frame) => frame.seq === last + 1, at);
  });

  it('reads a long log at its own pace, and loses nothing of it', async () => {
    const client = await session.connect();
    clients.push(client);
    client.socket.pause();
    client.send({ type: 'subscribe', id: 1, channel: session.channel, after: 0 });
    await sleep(300);
    client.socket.resume();
    await client.next((frame) => frame.seq === STEPS + 1);
    expect(client.seqs(session.channel)).toEqual(Array.from({ length: STEPS + 1 }, (_, index) => index + 1));
  });

  it('is given no snapshot behind another while it takes nothing', async () => {
    const slow = await following();
    const connection = newest();
    await stall(slow, connection);
    for (let round = 0; round < 40; round++) slow.send({ type: 'subscribe', id: `again${round}`, channel: session.channel });
    await sleep(1_000);
    expect(connection.outbox.waitingBytes).toBeLessThan(LIMIT + 2 * PAD.length);
    slow.socket.resume();
    await slow.answer('again39');
    const at = slow.frames.findIndex((frame) => frame.id === 'again39');
    await slow.type('snapshot', at);
    await session.appendSteps(1);
    await slow.type('event', at);
  });
});
