/** Runs as other people's protocols tell them, read by their own readers. */
import { EventSchemas } from '@ag-ui/core/schemas';
import { parseJsonEventStream, readUIMessageStream, uiMessageChunkSchema, type UIMessage } from 'ai';
import { createParser } from 'eventsource-parser';
import { createDeltaSender, type DeltaSender } from '../../src/store/deltas.js';
import type { ExecutionOutcome } from '../../src/engine/types.js';
import { settleExecution } from '../../src/store/end-execution.js';
import { progressTool } from '../../src/store/turns.js';
import { ApiUnderTest } from '../api/api-under-test.js';
import { LiveSession } from './support/live-session.js';

let api: ApiUnderTest;
let session: LiveSession;
let deltas: DeltaSender;

beforeAll(async () => {
  api = await ApiUnderTest.start();
  deltas = createDeltaSender(api.db.pool);
});
beforeEach(async () => {
  session = await LiveSession.start(api);
});
afterAll(async () => {
  await deltas.close();
  await api.close();
});

const settle = (end: Partial<ExecutionOutcome> & Pick<ExecutionOutcome, 'status'>): Promise<unknown> =>
  settleExecution(api.db, session.executionId, null, { output: { v: null }, error: null, reason: null, requested: false, ...end });

const open = (format: string) => api.open('GET', `/api/executions/${session.executionId}/stream?format=${format}`, { key: session.key });

/** The whole stream as it was sent. */
async function textOf(response: Awaited<ReturnType<typeof open>>): Promise<string> {
  let text = '';
  for await (const chunk of response.setEncoding('utf8')) text += chunk as string;
  return text;
}

function dataOf(text: string): string[] {
  const data: string[] = [];
  createParser({ onEvent: (event) => void data.push(event.data) }).feed(text);
  return data;
}

/** What the AI SDK makes of it. */
async function readByAiSdk(text: string): Promise<{ readonly message: UIMessage; readonly errors: unknown[] }> {
  const bytes = new ReadableStream<Uint8Array>({
    start(controller) {
      controller.enqueue(new TextEncoder().encode(text));
      controller.close();
    },
  });
  const errors: unknown[] = [];
  const chunks = parseJsonEventStream({ stream: bytes, schema: uiMessageChunkSchema }).pipeThrough(
    new TransformStream({
      transform(chunk, controller) {
        if (!chunk.success) throw chunk.error;
        controller.enqueue(chunk.value);
      },
    }),
  );
  let last: UIMessage | undefined;
  for await (const message of readUIMessageStream({ stream: chunks, onError: (error) => errors.push(error) })) last = message;
  if (last === undefined) throw new Error('no message');
  return { message: last, errors };
}
const textParts = (message: UIMessage): string[] => message.parts.flatMap((part) => (part.type === 'text' ? [part.text] : []));

interface AgUiEvent {
  readonly type: string;
  readonly [field: string]: unknown;
}
/** The events of AG-UI, checked by its schemas and its rules of order. */
function readAgUi(text: string): { readonly events: AgUiEvent[]; readonly texts: string[] } {
  const events = dataOf(text).map((data) => EventSchemas.parse(JSON.parse(data)) as AgUiEvent);
  const open = new Set<unknown>();
  const texts = new Map<unknown, string>();
  for (const event of events) {
    const id = event['messageId'];
    if (event.type === 'TEXT_MESSAGE_START') {
      expect(texts.has(id)).toBe(false);
      open.add(id);
      texts.set(id, '');
    } else if (event.type === 'TEXT_MESSAGE_CONTENT') {
      expect(open.has(id)).toBe(true);
      expect(event['delta']).not.toBe('');
      texts.set(id, texts.get(id) + String(event['delta']));
    } else if (event.type === 'TEXT_MESSAGE_END') expect(open.delete(id)).toBe(true);
  }
  expect(open.size).toBe(0);
  expect(events[0]?.type).toBe('RUN_STARTED');
  expect(events.map(({ type }) => type).filter((type) => type === 'RUN_FINISHED' || type === 'RUN_ERROR')).toHaveLength(1);
  return { events, texts: [...texts.values()] };
}

const CALL = { callId: 'c1', toolName: 'http:request', args: { url: 'http://x' } };

/** An agent step: a bad reply that is repeated, then one with a tool call, then the last one. Says when the first text is out. */
async function runAgent(afterFirst: () => Promise<void>): Promise<void> {
  const place = session.place();
  const bad = await session.writer(deltas, place);
  bad.text('not what ');
  await afterFirst();
  bad.text('was asked\n');
  await bad.finish({ status: 'canceled', reason: 'repair' });
  const calling = await session.writer(deltas, place);
  calling.text('I look it up. \ud83d\udea6 \u2028');
  calling.toolCall(CALL);
  await calling.awaitTools({
    usage: { inputTokens: 1, outputTokens: 1, cacheReadTokens: 0 },
    replay: { stopReason: 'tool_use', blocks: [] },
  });
  await progressTool(api.db, calling.turnId, 'c1', { status: 'running' });
  await progressTool(api.db, calling.turnId, 'c1', {
    status: 'completed',
    result: { temperature: 7 },
    reply: { content: '7', isError: false },
  });
  await session.appendSteps(2);
  const last = await session.writer(deltas);
  for (const piece of ['It is ', '7 ', 'degrees.']) {
    last.text(piece);
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
  await last.finish({ status: 'end_turn', reason: 'end_turn' });
}
const TEXTS = ['not what was asked\n', 'I look it up. \ud83d\udea6 \u2028', 'It is 7 degrees.'];

describe('a run as ai-sdk and ag-ui', () => {
  it('R7 reduces to the same text for a reader from the start, one in the middle and a late one, in both formats', async () => {
    const early = await Promise.all([open('ai-sdk'), open('ag-ui')]);
    const reading = early.map(textOf);
    await runAgent(async () => {
      await new Promise((resolve) => setTimeout(resolve, 60));
      reading.push(...(await Promise.all([open('ai-sdk'), open('ag-ui')])).map(textOf));
    });
    await settle({ status: 'completed', output: { v: { degrees: 7 } } });
    const streams = await Promise.all(reading);
    streams.push(await textOf(await open('ai-sdk')), await textOf(await open('ag-ui')));
    for (const [index, text] of streams.entries()) {
      if (index % 2 === 0) {
        const { message, errors } = await readByAiSdk(text);
        expect([textParts(message), errors]).toEqual([TEXTS, []]);
        expect(dataOf(text).at(-1)).toBe('[DONE]');
      } else expect(readAgUi(text).texts).toEqual(TEXTS);
    }
  });

  it('is told to the AI SDK with its header, its parts, its tool call and its data', async () => {
    const live = await open('ai-sdk');
    expect([live.statusCode, live.headers['content-type'], live.headers['x-vercel-ai-ui-message-stream']]).toEqual([
      200,
      'text/event-stream; charset=utf-8',
      'v1',
    ]);
    const reading = textOf(live);
    await runAgent(async () => undefined);
    await settle({ status: 'completed', output: { v: 'seven' } });
    const { message } = await readByAiSdk(await reading);
    expect(message.id).toBe(session.executionId);
    expect(message.parts).toContainEqual(
      expect.objectContaining({
        type: 'dynamic-tool',
        toolName: 'http:request',
        state: 'output-available',
        input: CALL.args,
        output: { temperature: 7 },
      }),
    );
    expect(message.parts).toContainEqual({ type: 'data-output', data: 'seven' });
    const data = (type: string) => message.parts.filter((part) => part.type === type).map((part) => (part as { data: object }).data);
    expect(data('data-turn')).toMatchObject([
      { attempt: 1, status: 'canceled', stepId: 'ask' },
      { attempt: 2, status: 'end_turn' },
      { attempt: 1, status: 'end_turn' },
    ]);
    expect(data('data-step')).toMatchObject([{ stepId: 'a', iterationPath: 'l:i0', attempt: 1, status: 'completed' }]);
  });

  it('gives a late reader each text as one delta', async () => {
    await runAgent(async () => undefined);
    await settle({ status: 'completed', output: { v: null } });
    const deltasSent = dataOf(await textOf(await open('ai-sdk'))).filter((data) => data.includes('"text-delta"'));
    expect(deltasSent.map((data) => (JSON.parse(data) as { delta: string }).delta)).toEqual(TEXTS);
    const { events } = readAgUi(await textOf(await open('ag-ui')));
    expect(events.filter(({ type }) => type === 'TEXT_MESSAGE_CONTENT').map(({ delta }) => delta)).toEqual(TEXTS);
  });

  it('tells text as it streams, before the turn has ended', async () => {
    const response = await open('ai-sdk');
    const turnId = await session.openTurn();
    deltas.send(session.delta(turnId, 0, 'now'));
    let text = '';
    for await (const chunk of response.setEncoding('utf8')) {
      text += chunk as string;
      if (text.includes('"delta":"now"')) break;
    }
    expect(text).not.toContain('finish');
  });

  it.each(['live', 'late'])('says how a run failed: %s', async (when) => {
    const live = when === 'live' ? await Promise.all([open('ai-sdk'), open('ag-ui')]) : [];
    const error = { code: 'http_503', message: 'the server was busy', retryable: true };
    const reading = live.map(textOf);
    await settle({ status: 'failed', error });
    const [aiSdk = '', agUi = ''] = await Promise.all(
      when === 'live' ? reading : [open('ai-sdk'), open('ag-ui')].map(async (one) => textOf(await one)),
    );
    const { errors } = await readByAiSdk(aiSdk);
    expect(errors.map(String)).toEqual(['Error: http_503: the server was busy']);
    expect(readAgUi(agUi).events.at(-1)).toMatchObject({ type: 'RUN_ERROR', code: 'http_503', message: 'the server was busy' });
  });

  it('says that a run was cancelled, and closes what was open', async () => {
    const live = await Promise.all([open('ai-sdk'), open('ag-ui')]);
    const reading = live.map(textOf);
    await session.openTurn('half a');
    await api.send('POST', `/api/executions/${session.executionId}/cancel`, { key: session.key, body: { reason: 'enough' } });
    const [aiSdk = '', agUi = ''] = await Promise.all(reading);
    expect(
      dataOf(aiSdk)
        .map((data) => (data === '[DONE]' ? data : (JSON.parse(data) as { type: string }).type))
        .slice(-4),
    ).toEqual(['text-end', 'finish-step', 'abort', '[DONE]']);
    expect(textParts((await readByAiSdk(aiSdk)).message)).toEqual(['half a']);
    expect(readAgUi(agUi).events.at(-1)).toMatchObject({ type: 'RUN_FINISHED', outcome: { type: 'cancelled' }, result: 'enough' });
  });

  it('tells nothing of another run in the same session, nor what people said', async () => {
    const stream = await open('ai-sdk');
    const reading = textOf(stream);
    await api.send('POST', `/api/sessions/${session.id}/messages`, {
      key: session.key,
      body: { content: 'from a person', clientMessageId: 'p' },
    });
    const foreign = await session.writer(deltas, session.place({ of: null }));
    foreign.text('of the conversation');
    await foreign.finish({ status: 'end_turn', reason: 'end_turn' });
    await runAgent(async () => undefined);
    await settle({ status: 'completed', output: { v: null } });
    const text = await reading;
    expect(textParts((await readByAiSdk(text)).message)).toEqual(TEXTS);
    expect(text).not.toContain('from a person');
    expect(text).not.toContain('of the conversation');
  });

  it('refuses a format that it does not know, and runs of others', async () => {
    const stranger = await api.person('admin');
    const path = `/api/executions/${session.executionId}/stream?format=`;
    expect((await api.send('GET', `${path}xml`, { key: session.key })).status).toBe(422);
    expect((await api.send('GET', `${path}ai-sdk`, { key: stranger.key })).status).toBe(404);
  });
});

describe('a session as server-sent events', () => {
  it('R7 gives the session log by its own numbering, resumes behind Last-Event-ID, and outlives its execution', async () => {
    const openSession = (headers: { readonly [name: string]: string } = {}) =>
      api.open('GET', `/api/sessions/${session.id}/stream`, { key: session.key, headers });
    const take = async (count: number, headers = {}): Promise<{ id: number; event: string; data: { sessionId: string } }[]> => {
      const response = await openSession(headers);
      const events: { id: number; event: string; data: { sessionId: string } }[] = [];
      const parser = createParser({
        onEvent: ({ id, event = '', data }) => void events.push({ id: Number(id), event, data: JSON.parse(data) as { sessionId: string } }),
      });
      for await (const chunk of response.setEncoding('utf8')) {
        parser.feed(chunk as string);
        if (events.length >= count) break;
      }
      response.destroy();
      return events;
    };
    const writer = await session.writer(deltas);
    writer.text('Hello');
    await writer.finish({ status: 'end_turn', reason: 'end_turn' });
    await settle({ status: 'completed', output: { v: null } });
    const taking = take(6);
    await session.api.send('POST', `/api/sessions/${session.id}/messages`, {
      key: session.key,
      body: { content: 'And?', clientMessageId: 'q' },
    });
    const all = await taking;
    expect(all.map(({ id, event }) => [id, event])).toEqual([
      [1, 'execution.started'],
      [2, 'message.created'],
      [3, 'turn.started'],
      [4, 'turn.finished'],
      [5, 'execution.completed'],
      [6, 'message.created'],
    ]);
    expect(new Set(all.map(({ data }) => data.sessionId))).toEqual(new Set([session.id]));
    expect((await take(2, { 'last-event-id': '4' })).map(({ id }) => id)).toEqual([5, 6]);
  });
});
