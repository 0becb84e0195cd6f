import { createServer, get, type IncomingMessage, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { createParser, type EventSourceMessage } from 'eventsource-parser';
import type { LogFrame } from '../../src/realtime/event-hub.js';
import { writeEventStream, type EventStreamOptions } from '../../src/realtime/server-sent-events.js';

const aFrame = (seq: number, text = ''): LogFrame => ({
  seq,
  kind: seq === 0 ? 'execution.completed' : 'step.completed',
  json: JSON.stringify({ seq, text }),
});

let server: Server | undefined;
afterEach(() => {
  server?.closeAllConnections();
  server?.close();
});

/** Serves one stream; `ended` resolves when the writer has let go of it. */
async function serve(options: EventStreamOptions): Promise<{ response: IncomingMessage; ended: Promise<void>; hangUp: () => void }> {
  let release: (() => void) | undefined;
  const ended = new Promise<void>((resolve) => {
    release = resolve;
  });
  server = createServer((_req, res) => void writeEventStream(res, options).then(release)).listen(0, '127.0.0.1');
  await new Promise((resolve) => server?.once('listening', resolve));
  const request = get({ port: (server.address() as AddressInfo).port, host: '127.0.0.1', agent: false });
  request.on('error', () => undefined);
  const response = await new Promise<IncomingMessage>((resolve) => request.once('response', resolve));
  response.on('error', () => undefined);
  return { response, ended, hangUp: () => request.destroy() };
}

async function read(response: IncomingMessage): Promise<{ messages: EventSourceMessage[]; comments: string[] }> {
  const messages: EventSourceMessage[] = [];
  const comments: string[] = [];
  const parser = createParser({
    onEvent: (message) => void messages.push(message),
    onComment: (comment) => void comments.push(comment.trim()),
  });
  for await (const chunk of response.setEncoding('utf8')) parser.feed(chunk as string);
  return { messages, comments };
}

async function* pagesOf(...pages: readonly LogFrame[][]): AsyncGenerator<readonly LogFrame[]> {
  for (const page of pages) yield page;
}

describe('server-sent events', () => {
  it('R7 writes seq as id, kind as event, the event as data, and ends with the pages', async () => {
    const { response } = await serve({ pages: () => pagesOf([aFrame(1, 'a\nb\u2028c'), aFrame(2)], [aFrame(0)]) });
    expect([response.headers['content-type'], response.headers['cache-control']]).toEqual([
      'text/event-stream; charset=utf-8',
      'no-cache, no-transform',
    ]);
    const { messages } = await read(response);
    expect(messages.map(({ id, event, data }) => [id, event, JSON.parse(data)])).toEqual([
      ['1', 'step.completed', { seq: 1, text: 'a\nb\u2028c' }],
      ['2', 'step.completed', { seq: 2, text: '' }],
      ['0', 'execution.completed', { seq: 0, text: '' }],
    ]);
  });

  it('keeps a quiet line alive with comments', async () => {
    const { response } = await serve({
      heartbeatMs: 5,
      pages: async function* (signal) {
        await new Promise((resolve) => setTimeout(resolve, 50));
        if (!signal.aborted) yield [aFrame(0)];
      },
    });
    const { comments, messages } = await read(response);
    expect(comments.length).toBeGreaterThan(1);
    expect(messages).toHaveLength(1);
  });

  it('R4 takes the next page only when the reader has room, and cuts off one that stalls', async () => {
    let taken = 0;
    const endless = async function* (signal: AbortSignal): AsyncGenerator<readonly LogFrame[]> {
      for (; !signal.aborted; taken++) yield [aFrame(taken + 1, 'x'.repeat(64 * 1024))];
    };
    const { ended, response } = await serve({ pages: endless, stalledMs: 100 });
    response.pause();
    await ended;
    // What the sockets of both sides hold, and no more.
    expect(taken).toBeLessThan(400);
  });

  it('tells its pages when the reader hangs up', async () => {
    let told = false;
    const { ended, hangUp } = await serve({
      pages: async function* (signal) {
        yield [aFrame(1)];
        await new Promise<void>((resolve) => signal.addEventListener('abort', () => resolve(), { once: true }));
        told = true;
      },
    });
    hangUp();
    await ended;
    expect(told).toBe(true);
  });

  it('ends when the reader may not go on', async () => {
    const { response } = await serve({
      whileAllowed: (end) => {
        const timer = setTimeout(end, 5);
        return () => clearTimeout(timer);
      },
      pages: async function* (signal) {
        yield [aFrame(1)];
        await new Promise<void>((resolve) => signal.addEventListener('abort', () => resolve(), { once: true }));
      },
    });
    expect((await read(response)).messages).toHaveLength(1);
  });
});
