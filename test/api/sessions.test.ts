import { readSessionEvents } from '../../src/store/event-log.js';
import { addMessage } from '../../src/store/messages.js';
import { recordEvents } from '../../src/store/projection.js';
import { createTurns } from '../../src/activities/turns.js';
import { createRedactor } from '../../src/activities/redaction.js';
import type { EngineEvent } from '../../src/engine/types.js';
import { listAudit } from '../../src/store/audit.js';
import { aCarry, anEngineEvent } from '../store/builders.js';
import { ApiUnderTest } from './api-under-test.js';
import { aDefinition } from './fixtures.js';

interface Session {
  readonly id: string;
  readonly kind: string;
  readonly title: string;
  readonly executionId: string | null;
}
interface Message {
  readonly id: string;
  readonly seq: number;
  readonly content: string;
  readonly author: string;
  readonly role: string;
}
interface Sent {
  readonly message: Message;
  readonly duplicate: boolean;
}
interface FeedItem {
  readonly kind: 'message' | 'step';
  readonly message?: Message & { readonly stepId: string | null };
  readonly step?: { readonly stepId: string; readonly iterationPath: string; readonly name: string | null };
  readonly executionId?: string;
}

let api: ApiUnderTest;
let ana: { readonly id: string; readonly key: string };
let chat: Session;
beforeAll(async () => {
  api = await ApiUnderTest.start();
  ana = await api.person('editor', { name: 'Ana' });
});
afterAll(() => api.close());
beforeEach(async () => {
  ({
    body: { session: chat },
  } = await send<{ session: Session }>('POST', '/api/sessions', { title: 'Plans' }));
  await api.operations.background.drain();
  api.temporal.calls.length = 0;
});

const send = <Body>(method: string, path: string, body?: unknown) => api.send<Body>(method, path, { key: ana.key, body });
const say = (content: string, clientMessageId: string) =>
  send<Sent>('POST', `/api/sessions/${chat.id}/messages`, { content, clientMessageId });

describe('sessions', () => {
  it('are listed with the orchestrator first, which is made with its user', async () => {
    const { body } = await send<{ items: Session[] }>('GET', '/api/sessions');
    expect(body.items.map(({ kind }) => kind)).toEqual(['orchestrator', ...body.items.slice(1).map(() => 'chat')]);
    expect(body.items[1]).toMatchObject({ id: chat.id, title: 'Plans', executionId: null });
    const only = await send<{ items: Session[] }>('GET', '/api/sessions?kind=orchestrator');
    expect(only.body.items).toHaveLength(1);
    expect((await send('GET', '/api/sessions?kind=other')).status).toBe(422);
  });

  it('need no title, and are there for their owner alone', async () => {
    const { status, body } = await send<{ session: Session }>('POST', '/api/sessions');
    expect([status, body.session.kind, body.session.title]).toEqual([201, 'chat', 'New chat']);
    expect((await send('GET', `/api/sessions/${body.session.id}`)).body).toEqual({ session: body.session });
    const bo = await api.person('admin', { name: 'Bo' });
    for (const rest of ['', '/messages', '/feed'])
      expect((await api.send('GET', `/api/sessions/${body.session.id}${rest}`, { key: bo.key })).status).toBe(404);
  });
});

describe('messages', () => {
  it('are rows before they are told to the conversation, which starts with the first', async () => {
    const { status, body } = await say('Hello there', 'c1');
    expect([status, body.duplicate]).toEqual([202, false]);
    expect(body.message).toMatchObject({
      role: 'user',
      author: 'Ana',
      content: 'Hello there',
      parts: [{ type: 'text', text: 'Hello there' }],
      turn: null,
    });
    await api.operations.background.drain();
    expect(api.temporal.calls).toEqual([expect.stringMatching(`^message ${chat.id} cmd_`)]);
    const listed = await send<{ items: Message[] }>('GET', `/api/sessions/${chat.id}/messages`);
    expect(listed.body.items).toEqual([body.message]);
    const events = await readSessionEvents(api.db, chat.id, 0, 10);
    expect(events).toMatchObject([{ seq: 1, sessionId: chat.id, kind: 'message.created', data: { message: { id: body.message.id } } }]);
  });

  it('A13: with one clientMessageId are one message, twenty at once as well', async () => {
    const sent = await Promise.all(Array.from({ length: 20 }, () => say('Once', 'same')));
    expect(sent.filter(({ body }) => !body.duplicate)).toHaveLength(1);
    expect(new Set(sent.map(({ body }) => body.message.id)).size).toBe(1);
    expect((await say('Other words', 'same')).body).toMatchObject({ duplicate: true, message: { content: 'Once' } });
    await api.operations.background.drain();
    expect(api.temporal.calls).toHaveLength(1);
  });

  it('stay when Temporal is away: the reconciler tells them later', async () => {
    api.temporal.answer = { kind: 'unavailable', error: new Error('away') };
    expect((await say('Later', 'away')).status).toBe(202);
    await api.operations.background.drain();
    api.temporal.answer = { kind: 'sent' };
    const [row] = (
      await api.db.pool.query<{ delivered_at: Date | null }>('SELECT delivered_at FROM commands WHERE target_id = $1', [chat.id])
    ).rows;
    expect(row).toEqual({ delivered_at: null });
  });

  it.each([
    ['nothing', {}],
    ['blank content', { content: ' \n', clientMessageId: 'x' }],
    ['no clientMessageId', { content: 'x' }],
    ['too much', { content: 'x'.repeat(100_001), clientMessageId: 'x' }],
    ['NUL', { content: 'a\0b', clientMessageId: 'x' }],
    ['another field', { content: 'x', clientMessageId: 'x', role: 'assistant' }],
  ])('with %s are refused', async (_, body) => {
    expect((await send('POST', `/api/sessions/${chat.id}/messages`, body)).status).toBe(422);
  });

  it('are paged by seq and filtered by thread', async () => {
    for (const n of [1, 2, 3]) await say(`m${n}`, `p${n}`);
    await addMessage(api.db, {
      ownerId: ana.id,
      sessionId: chat.id,
      role: 'user',
      author: 'Schedule',
      parts: [{ type: 'text', text: 'other' }],
      thread: 'daily',
    });
    const first = await send<{ items: Message[]; cursor: string; hasMore: boolean }>('GET', `/api/sessions/${chat.id}/messages?limit=2`);
    expect(first.body.hasMore).toBe(true);
    const rest = await send<{ items: Message[] }>('GET', `/api/sessions/${chat.id}/messages?after=${first.body.cursor}`);
    expect([...first.body.items, ...rest.body.items].map(({ content }) => content)).toEqual(['m1', 'm2', 'm3', 'other']);
    const thread = await send<{ items: Message[] }>('GET', `/api/sessions/${chat.id}/messages?thread=daily`);
    expect(thread.body.items.map(({ content }) => content)).toEqual(['other']);
  });

  it('that nobody takes up are refused at a hundred, and none of the refused is kept', async () => {
    for (let from = 0; from < 100; from += 20) await Promise.all(Array.from({ length: 20 }, (_, n) => say('x', `b${from + n}`)));
    const { status, body } = await api.send('POST', `/api/sessions/${chat.id}/messages`, {
      key: ana.key,
      body: { content: 'x', clientMessageId: 'b100' },
    });
    expect([status, body.code, body['waiting']]).toEqual([429, 'message_backlog_full', 100]);
    const listed = await send<{ items: Message[] }>('GET', `/api/sessions/${chat.id}/messages?limit=200`);
    expect(listed.body.items).toHaveLength(100);
  });

  it('show no secret of their owner, not even one that they wrote themselves', async () => {
    await send('PUT', '/api/secrets/TOKEN', { value: 'hunter2-and-more' });
    const { body } = await say('Use hunter2-and-more please', 'secretive');
    expect(body.message.content).toBe('Use [secret TOKEN] please');
    expect(JSON.stringify(await readSessionEvents(api.db, chat.id, 0, 10))).not.toContain('hunter2');
    await send('DELETE', '/api/secrets/TOKEN');
  });

  it('are in the audit log without their text', async () => {
    const { body } = await say('My private words', 'audited');
    const entries = await listAudit(api.db, { limit: 50 });
    const entry = entries.items.find(({ details }) => JSON.stringify(details).includes(body.message.id));
    expect(entry).toMatchObject({ action: 'session.message', targetId: chat.id });
    expect(JSON.stringify(entries.items)).not.toContain('private words');
  });
});

describe('stop', () => {
  it('is told to the conversation, bound to what was said before', async () => {
    await say('Go', 's1');
    await api.operations.background.drain();
    api.temporal.calls.length = 0;
    const { status, body } = await send('POST', `/api/sessions/${chat.id}/stop`);
    expect([status, body]).toEqual([202, { accepted: true }]);
    await api.operations.background.drain();
    expect(api.temporal.calls).toEqual([`stop ${chat.id}`]);
  });

  it('knows no turn of another session', async () => {
    expect((await send('POST', `/api/sessions/${chat.id}/stop`, { turnId: 'trn_00000000000000000000000000' })).status).toBe(404);
    expect((await send('POST', `/api/sessions/${chat.id}/stop`, { turnId: 'nonsense' })).status).toBe(422);
  });
});

describe('a run in a chat', () => {
  async function run(): Promise<{ readonly id: string; readonly sessionId: string }> {
    const { body: saved } = await send<{ workflow: { id: string } }>('POST', '/api/workflows/sync', {
      name: 'Loop',
      data: {
        ...aDefinition('Loop'),
        steps: [
          { id: 'each', type: 'loop', over: [1, 2], steps: [{ id: 'ask', name: 'Ask', type: 'agent_prompt', prompt: 'x' }] },
          { id: 'last', type: 'bash', command: 'true' },
        ],
      },
    });
    const { body } = await send<{ execution: { id: string; sessionId: string; trigger: { type: string } } }>(
      'POST',
      `/api/workflows/${saved.workflow.id}/run`,
      { sessionId: chat.id },
    );
    expect(body.execution.trigger.type).toBe('chat');
    expect(body.execution.sessionId).toBe(chat.id);
    return body.execution;
  }

  it('R9, R11: shows its steps among the messages, in time order, with their back-pointers, page by page', async () => {
    await say('Go', 'f1');
    const execution = await run();
    const at = Date.now();
    const step = (stepId: string, iterationPath: string, offset: number, stepType: EngineEvent['stepType'] & string = 'agent_prompt') =>
      recordEvents(api.db, execution.id, aCarry(), [
        anEngineEvent({
          kind: 'step.started',
          stepType,
          instance: { stepId, iterationPath, attempt: 1 },
          ordinal: `${stepId}${iterationPath}`,
          at: at + offset,
        }),
      ]);
    await step('each', '', 0, 'loop');
    await step('ask', 'each:i1', 0);
    await step('ask', 'each:i0', 0);
    const turns = createTurns({ db: api.db, deltas: { send: () => undefined } });
    const of = { executionId: execution.id, instance: { stepId: 'ask', iterationPath: 'each:i0', attempt: 1 } };
    const place = { ownerId: ana.id, sessionId: chat.id, thread: 'default', author: 'Ask', of };
    await turns.postPrompt(place, 'x', 'prompt');
    const call = await turns.claim({ ...place, call: '1' });
    for (const status of ['canceled', 'end_turn'] as const) {
      const writer = call.writer({ model: 'm', redactor: createRedactor(new Map()) });
      writer.text(status);
      await writer.finish({ status, reason: status });
    }
    await say('And?', 'f2');
    await step('last', '', 60_000, 'bash');
    const pages: FeedItem[] = [];
    for (let cursor: string | null = ''; cursor !== null; ) {
      const query: string = cursor === '' ? '' : `&cursor=${encodeURIComponent(cursor)}`;
      const page: { readonly body: { readonly items: FeedItem[]; readonly cursor: string | null } } = await send(
        'GET',
        `/api/sessions/${chat.id}/feed?limit=4${query}`,
      );
      pages.push(...page.body.items);
      cursor = page.body.cursor;
    }
    expect(pages.map(({ message, step: row }) => message?.content ?? `${row?.iterationPath}/${row?.stepId}`)).toEqual([
      'Go',
      '/each',
      'each:i0/ask',
      'each:i1/ask',
      'x',
      'canceled',
      'end_turn',
      'And?',
      '/last',
    ]);
    expect(pages[2]).toMatchObject({ kind: 'step', executionId: execution.id, step: { name: 'Ask', type: 'agent_prompt', attempt: 1 } });
    for (const item of pages.slice(4, 7)) expect(item.message).toMatchObject({ executionId: execution.id, ...of.instance });
    const whole = await send<{ items: FeedItem[]; cursor: string | null }>('GET', `/api/sessions/${chat.id}/feed`);
    expect(whole.body).toMatchObject({ items: pages, cursor: null });
  });

  it('is cancelled when a turn of its step is stopped', async () => {
    const execution = await run();
    const turns = createTurns({ db: api.db, deltas: { send: () => undefined } });
    const of = { executionId: execution.id, instance: { stepId: 'ask', iterationPath: 'each:i0', attempt: 1 } };
    const call = await turns.claim({ ownerId: ana.id, sessionId: chat.id, thread: 'default', author: 'Ask', call: '1', of });
    const writer = call.writer({ model: 'm', redactor: createRedactor(new Map()) });
    await writer.awaitTools({
      usage: { inputTokens: 1, outputTokens: 1, cacheReadTokens: 0 },
      replay: { stopReason: 'tool_use', blocks: [] },
    });
    const { status } = await send('POST', `/api/sessions/${chat.id}/stop`, { turnId: writer.turnId });
    expect(status).toBe(202);
    const { body } = await send<{ execution: { status: string } }>('GET', `/api/executions/${execution.id}`);
    expect(body.execution.status).toBe('cancelled');
  });
});
