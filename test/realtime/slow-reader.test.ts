import { setTimeout as sleep } from 'node:timers/promises';
import { createDeltaSender } from '../../src/store/deltas.js';
import { ApiUnderTest } from '../api/api-under-test.js';
import { LiveSession } from './support/live-session.js';
import type { SocketClient } from './support/socket-client.js';

const LIMIT = 64 * 1024;
/** Long enough for a reader on a busy machine, which is not what is tested here. */
const PATIENCE_MS = 1_500;
const PAD = 'p'.repeat(60_000);

let api: ApiUnderTest;
let session: LiveSession;
const clients: SocketClient[] = [];

beforeAll(async () => {
  api = await ApiUnderTest.start({ sockets: { maxWaitingBytes: LIMIT, patienceMs: PATIENCE_MS } });
});
beforeEach(async () => {
  session = await LiveSession.start(api);
});
afterEach(async () => {
  await Promise.all(clients.splice(0).map((client) => client.end()));
});
afterAll(() => api.close());

const following = async (): Promise<SocketClient> => {
  const client = await session.follow();
  clients.push(client);
  await client.type('snapshot');
  return client;
};
describe('a reader that takes nothing', () => {
  it('R4 is dropped, others are not, and it goes on from a snapshot', async () => {
    const [slow, fast] = [await following(), await following()];
    slow.socket.pause();
    // More than the kernel keeps for a socket.
    const STEPS = 400;
    for (let sent = 0; sent < STEPS; sent += 20) await session.appendSteps(20, { pad: PAD });
    const last = Number((await fast.type('snapshot')).cursor) + STEPS;
    await fast.next((frame) => frame.seq === last);
    expect(fast.seqs(session.channel)).toEqual(Array.from({ length: STEPS }, (_, index) => last - STEPS + 1 + index));
    expect(fast.frames.map((frame) => frame.type)).not.toContain('lagged');
    await sleep(PATIENCE_MS + 500);
    slow.socket.resume();
    await slow.type('lagged');
    const at = slow.frames.findIndex((frame) => frame.type === 'lagged');
    const snapshot = await slow.type('snapshot', at);
    expect(slow.frames[at + 1]).toBe(snapshot);
    expect(snapshot.cursor).toBe(last);
    // What was kept for it is far less than what it missed.
    expect(slow.seqs(session.channel).length).toBeLessThan(STEPS / 2);
    await session.appendSteps(1);
    await slow.next((frame) => frame.seq === last + 1);
  });

  it('R4 gets the texts that streamed meanwhile with the snapshot, and the next delta behind them', async () => {
    const deltas = createDeltaSender(api.db.pool);
    const [slow, fast] = [await following(), await following()];
    const turnId = await session.openTurn();
    await slow.next((frame) => frame.event?.kind === 'turn.started');
    slow.socket.pause();
    for (let sent = 0; sent < 400; sent += 20) await session.appendSteps(20, { pad: PAD });
    for (let offset = 0; offset < 20; offset += 2) {
      deltas.send(session.delta(turnId, offset, 'ab'));
      await sleep(5);
    }
    await fast.next((frame) => frame.type === 'delta' && Number(frame.offset) + String(frame.text).length === 20);
    await sleep(PATIENCE_MS + 500);
    slow.socket.resume();
    const lagged = await slow.type('lagged');
    const snapshot = await slow.type('snapshot', slow.frames.indexOf(lagged));
    const [message] = snapshot.data?.['messages'] as readonly { readonly content: string }[];
    expect(message?.content).toBe('ab'.repeat(10));
    deltas.send(session.delta(turnId, 20, 'cd'));
    expect(await slow.next((frame) => frame.type === 'delta', slow.frames.indexOf(snapshot))).toMatchObject({ offset: 20, text: 'cd' });
    await deltas.close();
  });

  it('reads a long log at its own pace, and loses nothing of it', async () => {
    await session.appendSteps(300, { pad: PAD });
    const client = await session.connect();
    clients.push(client);
    client.socket.pause();
    client.send({ type: 'subscribe', id: 1, channel: session.channel, after: 0 });
    await sleep(300);
    client.socket.resume();
    await client.next((frame) => frame.seq === 301);
    expect(client.seqs(session.channel)).toEqual(Array.from({ length: 301 }, (_, index) => index + 1));
  });
});
