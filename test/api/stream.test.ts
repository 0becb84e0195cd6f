import type { IncomingMessage } from 'node:http';
import { createParser, type EventSourceMessage } from 'eventsource-parser';
import { append } from '../../src/store/event-log.js';
import { ApiUnderTest } from './api-under-test.js';
import { somebodyWithEverything, type Owned } from './fixtures.js';

let api: ApiUnderTest;
let ana: Owned;
let executionId: string;
let ordinal = 0;

beforeAll(async () => {
  api = await ApiUnderTest.start();
  ana = await somebodyWithEverything(api, 'Ana');
});
beforeEach(async () => {
  const { body } = await api.send<{ execution: { id: string } }>('POST', `/api/workflows/${ana.workflowId}/run`, {
    key: ana.adminKey,
    body: {},
  });
  executionId = body.execution.id;
});
afterAll(() => api.close());

/** `execution.started` is the first event of each, so these begin at 2. */
const appendSteps = async (count: number): Promise<void> => {
  const instance = { stepId: 'a', iterationPath: 'l:i0', attempt: 1 };
  await append(
    api.db,
    executionId,
    Array.from({ length: count }, () => ({
      kind: 'step.completed' as const,
      ordinal: String((ordinal += 1)),
      at: Date.now(),
      instance,
      data: { output: { text: 'é\u2028\n' } },
    })),
  );
};
const cancel = () => api.send('POST', `/api/executions/${executionId}/cancel`, { key: ana.adminKey, body: {} });
const open = (query = '', headers: Record<string, string> = {}, key = ana.adminKey) =>
  api.open('GET', `/api/executions/${executionId}/stream${query}`, { key, headers });

/** Messages as they come; ends with the stream. */
async function* messagesOf(response: IncomingMessage): AsyncGenerator<EventSourceMessage> {
  const waiting: EventSourceMessage[] = [];
  const parser = createParser({ onEvent: (message) => void waiting.push(message) });
  for await (const chunk of response.setEncoding('utf8')) {
    parser.feed(chunk as string);
    yield* waiting.splice(0);
  }
}
async function idsOf(response: IncomingMessage): Promise<number[]> {
  const ids: number[] = [];
  for await (const message of messagesOf(response)) ids.push(Number(message.id));
  return ids;
}
const from = (first: number, last: number): number[] => Array.from({ length: last - first + 1 }, (_, i) => first + i);

describe('GET /api/executions/:id/stream', () => {
  it('R7 gives the log as the list of events has it, follows it, and closes after the terminal event', async () => {
    await appendSteps(3);
    const response = await open();
    expect([response.statusCode, response.headers['content-type']]).toEqual([200, 'text/event-stream; charset=utf-8']);
    const reading = (async () => {
      const messages: EventSourceMessage[] = [];
      for await (const message of messagesOf(response)) messages.push(message);
      return messages;
    })();
    await appendSteps(120);
    await cancel();
    const messages = await reading;
    const listed: { seq: number; kind: string }[] = [];
    for (let hasMore = true; hasMore; ) {
      const { body } = await api.send<{ items: typeof listed; hasMore: boolean }>(
        'GET',
        `/api/executions/${executionId}/events?limit=50&after=${listed.at(-1)?.seq ?? 0}`,
        { key: ana.adminKey },
      );
      listed.push(...body.items);
      ({ hasMore } = body);
    }
    expect(messages.map((message) => JSON.parse(message.data) as unknown)).toEqual(listed);
    expect(messages.map(({ id, event }) => [Number(id), event])).toEqual(listed.map(({ seq, kind }) => [seq, kind]));
    expect(messages.at(-1)?.event).toBe('execution.cancelled');
  });

  it.each([
    ['Last-Event-ID', '', { 'last-event-id': '4' }],
    ['?after', '?after=4', {}],
    ['both, the header first', '?after=1', { 'last-event-id': '4' }],
  ])('R7 resumes behind %s', async (_what, query, headers) => {
    await appendSteps(5);
    await cancel();
    const ids = await idsOf(await open(query, headers));
    expect(ids).toEqual(from(5, ids.at(-1) ?? 0));
  });

  it('R2 misses and repeats nothing over ten cuts', async () => {
    const seen: number[] = [];
    for (let cut = 0; cut < 10; cut++) {
      await appendSteps(7);
      const response = await open('', seen.length === 0 ? {} : { 'last-event-id': String(seen.at(-1)) });
      let taken = 0;
      for await (const message of messagesOf(response)) {
        seen.push(Number(message.id));
        if ((taken += 1) === 4) break;
      }
      response.destroy();
    }
    await cancel();
    seen.push(...(await idsOf(await open('', { 'last-event-id': String(seen.at(-1)) }))));
    expect(seen).toEqual(from(1, seen.length));
    expect(seen.length).toBeGreaterThan(70);
  });

  it('brings an event to its readers before the next sweep', async () => {
    const response = await open('?after=1');
    const stream = messagesOf(response);
    const first = stream.next();
    // Away from the beat of the sweeps, so that they cannot be what brings it.
    const started = Date.now();
    await appendSteps(1);
    await first;
    expect(Date.now() - started).toBeLessThan(500);
    response.destroy();
  });

  it('serves many readers of one execution', async () => {
    const readers = await Promise.all(Array.from({ length: 30 }, () => open()));
    const reading = Promise.all(readers.map(idsOf));
    await appendSteps(60);
    await cancel();
    for (const ids of await reading) expect(ids).toEqual(from(1, ids.length));
  });

  it('tells a browser that comes back behind the terminal event to stay away, and a reader with ?after that there is nothing', async () => {
    await cancel();
    const all = await idsOf(await open());
    const browser = await open('', { 'last-event-id': String(all.at(-1)) });
    const reader = await open(`?after=${all.at(-1)}`);
    expect([browser.statusCode, reader.statusCode, await idsOf(reader)]).toEqual([204, 200, []]);
    browser.resume();
  });

  it('answers HEAD at once', async () => {
    const { status, headers } = await api.send('HEAD', `/api/executions/${executionId}/stream`, { key: ana.adminKey });
    expect([status, headers['content-type']]).toEqual([200, 'text/event-stream']);
  });

  it('takes an id from the future as the end of the log', async () => {
    const response = await open('', { 'last-event-id': '99999' });
    const reading = idsOf(response);
    await appendSteps(1);
    await cancel();
    expect((await reading)[0]).toBe(2);
  });

  it.each([
    ['?format=xml', {}],
    ['?format=', {}],
    ['?after=x', {}],
    ['', { 'last-event-id': 'abc' }],
    ['', { 'last-event-id': '-1' }],
  ])('answers 422 to %s %j', async (query, headers) => {
    const { status, body } = await api.send('GET', `/api/executions/${executionId}/stream${query}`, {
      key: ana.adminKey,
      headers: headers,
    });
    expect([status, body.code]).toEqual([422, 'validation_failed']);
  });
});
