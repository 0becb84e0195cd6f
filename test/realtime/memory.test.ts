/** What a gateway keeps of text that has streamed: nothing for a piece, however many sockets it went to. */
import { once } from 'node:events';
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { WebSocket } from 'ws';
import { toPayloads } from '../../src/store/deltas.js';
import { ApiUnderTest } from '../api/api-under-test.js';
import { LiveSession } from './support/live-session.js';

const SOCKETS = 8;
const PIECES = 3_000;
/** A piece that is kept, with the frame that it was written into, is some 400 bytes: above 1 MB in all. */
const MAX_GROWTH_BYTES = 600 * 1024;

let api: ApiUnderTest;
beforeAll(async () => {
  api = await ApiUnderTest.start();
});
afterAll(() => api.close());
jest.setTimeout(90_000);

setFlagsFromString('--expose-gc');
const collect = runInNewContext('gc') as () => void;
const heapBytes = (): number => {
  collect();
  return process.memoryUsage().heapUsed;
};

/** Follows and remembers only how much has come. */
class Listener {
  private length = 0;
  private constructor(readonly socket: WebSocket) {}

  static async open(session: LiveSession): Promise<Listener> {
    const socket = new WebSocket(`ws://127.0.0.1:${api.port}/ws`, { headers: { authorization: `Bearer ${session.key}` } });
    const listener = new Listener(socket);
    await once(socket, 'open');
    socket.send(JSON.stringify({ type: 'subscribe', id: 1, channel: session.channel }));
    const begun = new Promise<void>((resolve) => {
      socket.on('message', (data) => {
        const frame = JSON.parse((data as Buffer).toString()) as { type: string; offset: number; text: string };
        if (frame.type === 'snapshot') resolve();
        if (frame.type === 'delta') listener.length = frame.offset + frame.text.length;
      });
    });
    await begun;
    return listener;
  }

  async has(length: number): Promise<void> {
    while (this.length < length) await once(this.socket, 'message');
  }
}

it('R4 keeps nothing of what has streamed to many sockets', async () => {
  const session = await LiveSession.start(api);
  const turnId = await session.openTurn();
  const listeners = await Promise.all(Array.from({ length: SOCKETS }, () => Listener.open(session)));
  let offset = 0;
  const stream = async (pieces: number): Promise<void> => {
    for (let sent = 0; sent < pieces; sent += 1) {
      // As it comes from PostgreSQL, a piece at a time.
      for (const payload of toPayloads([session.delta(turnId, offset, 'piece')])) api.realtime.feeds.takeDeltas(payload);
      offset += 5;
      if (sent % 50 === 0) await listeners[0]?.has(offset);
    }
    await Promise.all(listeners.map((listener) => listener.has(offset)));
  };
  await stream(PIECES / 3);
  const before = heapBytes();
  await stream(PIECES);
  expect(heapBytes() - before).toBeLessThan(MAX_GROWTH_BYTES);
  for (const { socket } of listeners) socket.terminate();
});
