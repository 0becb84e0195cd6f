import { setTimeout as sleep } from 'node:timers/promises';
import { WebSocket } from 'ws';
import { createDeltaSender, type DeltaSender } from '../../src/store/deltas.js';
import { ApiUnderTest } from '../api/api-under-test.js';
import { LiveSession } from '../realtime/support/live-session.js';
import { blocksOf, readDocument } from './readme-blocks.js';

interface ShownMessage {
  readonly parts: readonly { readonly type: string; readonly text?: string }[];
  readonly turn: { readonly id: string; readonly status: string } | null;
}
type FollowSession = (
  base: string,
  key: string,
  sessionId: string,
  messages: Map<string, ShownMessage>,
  onChange: () => void,
  signal: AbortSignal,
) => Promise<void>;

const GUIDE = readDocument('docs/realtime.md');

describe('docs/realtime.md', () => {
  const [source = ''] = blocksOf(GUIDE, 'js');

  let api: ApiUnderTest;
  let gateway: ApiUnderTest | undefined;
  let deltas: DeltaSender;
  const stop = new AbortController();
  beforeAll(async () => {
    api = await ApiUnderTest.start();
    deltas = createDeltaSender(api.db.pool);
  });
  afterAll(async () => {
    stop.abort();
    await deltas.close();
    await gateway?.close();
    await api.close();
  });

  it('has a client of about 30 lines', () => {
    expect(source.trim().split('\n').length).toBeLessThanOrEqual(40);
  });

  it('has a client that ends with the whole text, although its connections are cut and the gateway is restarted', async () => {
    gateway = await ApiUnderTest.start({ beside: api });
    const { port } = gateway;
    const session = await LiveSession.start(api);
    const messages = new Map<string, ShownMessage>();
    const sockets: WebSocket[] = [];
    class Recorded extends WebSocket {
      constructor(url: string) {
        super(url);
        this.on('error', () => undefined);
        sockets.push(this);
      }
    }
    // oxlint-disable-next-line typescript/no-implied-eval -- the page's own text, as its reader would run it
    const followSession = new Function('WebSocket', `${source}; return followSession;`)(Recorded) as FollowSession;
    const following = followSession(`http://127.0.0.1:${port}`, session.key, session.id, messages, () => undefined, stop.signal);
    const shown = (): string => [...messages.values()].map(({ parts }) => parts.map((part) => part.text ?? '').join('')).join('|');
    const until = async (holds: () => boolean): Promise<void> => {
      for (const deadline = Date.now() + 25_000; !holds(); await sleep(10))
        if (Date.now() > deadline) throw new Error(`it shows ${shown()}`);
    };

    const writer = await session.writer(deltas);
    let text = '';
    for (let index = 0; index < 150; index++) {
      writer.text(`${index} `);
      text += `${index} `;
      if (index === 30 || index === 120) {
        await until(() => sockets.at(-1)?.readyState === WebSocket.OPEN);
        sockets.at(-1)?.terminate();
      }
      if (index === 70) {
        await until(() => sockets.at(-1)?.readyState === WebSocket.OPEN);
        await gateway.close();
        gateway = await ApiUnderTest.start({ beside: api, port });
      }
      await sleep(8);
    }
    await until(() => shown() === text);
    await writer.finish({ status: 'end_turn', reason: 'end_turn' });
    await until(() => [...messages.values()][0]?.turn?.status === 'end_turn');
    expect(shown()).toBe(text);
    // The first, and one behind each cut at least.
    expect(sockets.length).toBeGreaterThanOrEqual(4);
    stop.abort();
    await following;
  }, 60_000);
});
