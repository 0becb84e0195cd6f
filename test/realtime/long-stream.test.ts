/** E2, shortened: one reply of 400 pieces, readers that stay, are cut, come late, and a gateway that is restarted. */
import { setTimeout as sleep } from 'node:timers/promises';
import { createDeltaSender, type DeltaSender } from '../../src/store/deltas.js';
import { settleExecution } from '../../src/store/end-execution.js';
import { ApiUnderTest } from '../api/api-under-test.js';
import { LiveSession } from './support/live-session.js';
import { SocketClient, type Frame } from './support/socket-client.js';
import { TextReader } from './support/text-reader.js';

const PIECES = 400;
const PIECE_MS = 8;
/** Of different lengths in UTF-8 and UTF-16, with what JSON escapes. */
const pieceOf = (index: number): string => [`word${index} `, 'é', '\ud83d\udea6', '\n"\\\u2028', '\u0001'][index % 5] ?? '';

let api: ApiUnderTest;
let session: LiveSession;
let deltas: DeltaSender;
const gateways: ApiUnderTest[] = [];

beforeAll(async () => {
  api = await ApiUnderTest.start();
  deltas = createDeltaSender(api.db.pool);
  session = await LiveSession.start(api);
});
afterAll(async () => {
  await deltas.close();
  for (const gateway of gateways.toReversed()) await gateway.close();
  await api.close();
});

const gateway = async (port = 0): Promise<ApiUnderTest> => {
  const opened = await ApiUnderTest.start({ beside: api, port });
  gateways.push(opened);
  return opened;
};

/** A reader that lives through cuts: it names its cursor, and what it has of the text unless it is `forgetful`. */
class LastingReader {
  readonly reader = new TextReader();
  readonly gaps: number[] = [];
  client: SocketClient | undefined;
  private taken = 0;
  private cutAt = 0;

  constructor(
    private readonly port: number,
    private readonly isForgetful: boolean,
  ) {}

  async connect(): Promise<void> {
    for (;;) {
      const opened = await SocketClient.open(this.port, '/ws', { headers: { authorization: `Bearer ${session.key}` } }).catch(
        () => undefined,
      );
      if (opened === undefined) {
        await sleep(50);
        continue;
      }
      this.client = opened;
      this.taken = 0;
      const { lastSeq, known } = this.reader;
      const place = lastSeq === 0 ? {} : { after: lastSeq, ...(this.isForgetful ? {} : { texts: known }) };
      opened.send({ type: 'subscribe', id: 's', channel: session.channel, ...place });
      return;
    }
  }

  /** Takes what has come. A forgetful reader starts over when it meets a gap, as the protocol says. */
  take(): void {
    const frames = this.client?.frames ?? [];
    for (; this.taken < frames.length; this.taken++) {
      const frame = frames[this.taken] as Frame;
      if (this.isForgetful && this.isBehind(frame)) {
        this.client?.send({ type: 'subscribe', id: 'again', channel: session.channel });
        // What follows until the snapshot is of no use.
        while (frames[this.taken + 1] !== undefined && frames[this.taken + 1]?.type !== 'snapshot') this.taken++;
        this.isWaiting = true;
        continue;
      }
      if (this.isWaiting && frame.type !== 'snapshot') continue;
      this.isWaiting = false;
      if (this.cutAt > 0 && (frame.type === 'delta' || frame.type === 'snapshot')) {
        this.gaps.push(Date.now() - this.cutAt);
        this.cutAt = 0;
      }
      this.reader.take(frame);
    }
  }
  private isWaiting = false;

  private isBehind(frame: Frame): boolean {
    if (frame.type !== 'delta' || this.isWaiting) return false;
    return Number(frame.offset) > (this.reader.texts.get(String(frame.turnId))?.[Number(frame.part)] ?? '').length;
  }

  async cut(): Promise<void> {
    this.take();
    await this.client?.end();
    this.take();
    this.cutAt = Date.now();
    await this.connect();
  }
}

it('E2 R2 ends with the same text, byte for byte, whatever was cut', async () => {
  const second = await gateway();
  const stays = new LastingReader(api.port, false);
  const isCut = new LastingReader(second.port, false);
  const forgets = new LastingReader(api.port, true);
  const late = new LastingReader(second.port, false);
  const restarted = new LastingReader(second.port, false);
  const readers = [stays, isCut, forgets, late, restarted];
  await Promise.all([stays, isCut, forgets, restarted].map((reader) => reader.connect()));
  for (const reader of [stays, isCut, forgets, restarted]) await reader.client?.type('snapshot');
  const writer = await session.writer(deltas);
  const at = new Map<number, () => unknown>([
    [60, () => isCut.cut()],
    [90, () => forgets.cut()],
    [150, () => isCut.cut()],
    [200, () => late.connect()],
    [240, () => restart(second, [isCut, late, restarted])],
    [300, () => isCut.cut()],
    [330, () => forgets.cut()],
  ]);
  const doing: unknown[] = [];
  let text = '';
  for (let index = 0; index < PIECES; index++) {
    writer.text(pieceOf(index));
    text += pieceOf(index);
    if (at.has(index)) doing.push(at.get(index)?.());
    await sleep(PIECE_MS);
    for (const reader of readers) reader.take();
  }
  await Promise.all(doing);
  await writer.finish({ status: 'end_turn', reason: 'end_turn' });
  await settleExecution(api.db, session.executionId, null, {
    status: 'completed',
    output: { v: null },
    error: null,
    reason: null,
    requested: false,
  });
  for (const reader of readers) {
    await reader.client?.next((frame) => frame.event?.kind === 'execution.completed');
    reader.take();
  }
  expect(readers.map((reader) => reader.reader.textOf(writer.turnId) === text)).toEqual(readers.map(() => true));
  expect(readers.map((reader) => reader.reader.faults)).toEqual(readers.map(() => []));
  expect(new Set(readers.map((reader) => reader.reader.lastSeq)).size).toBe(1);
  // Most of it came as deltas, and those who were cut were back at once.
  expect(stays.reader.keys.length).toBeGreaterThan(10);
  for (const gap of [...isCut.gaps, ...forgets.gaps]) expect(gap).toBeLessThan(15_000);
  for (const format of ['ai-sdk', 'ag-ui']) {
    const { body } = await api.send<string>('GET', `/api/executions/${session.executionId}/stream?format=${format}`, { key: session.key });
    const pieces = [...body.matchAll(/"delta":("(?:[^"\\]|\\.)*")/g)].map((match) => JSON.parse(match[1] ?? '""') as string);
    expect(pieces.join('') === text).toBe(true);
  }
});

/** The gateway goes, tells its sockets so, and comes back on its port. */
async function restart(old: ApiUnderTest, readers: readonly LastingReader[]): Promise<void> {
  const { port } = old;
  const closing = readers.flatMap((reader) => reader.client?.closed ?? []);
  gateways.splice(gateways.indexOf(old), 1);
  await old.close();
  expect((await Promise.all(closing)).map((closed) => closed.code)).toContain(1001);
  for (const reader of readers) reader.take();
  await gateway(port);
  await Promise.all(readers.map((reader) => reader.connect()));
}
