import { createParser } from 'eventsource-parser';
import { planFeed } from '../../src/operations/plan-feed.js';
import type { WireFeedItem } from '../../src/operations/session-feed.js';
import type { WireMessage } from '../../src/operations/wire-session.js';
import { startModelServer, type ModelServer } from '../support/model-server.js';
import { Service } from '../support/service.js';

jest.setTimeout(60_000);

interface SessionEvent {
  readonly seq: number;
  readonly sessionId: string;
  readonly kind: string;
  readonly executionId: string | null;
  readonly stepId?: string;
  readonly iterationPath?: string;
  readonly attempt?: number;
  readonly data: { readonly message?: WireMessage };
}

describe('the feed of a session', () => {
  let model: ModelServer;
  let service: Service;
  beforeAll(async () => {
    model = await startModelServer();
    service = await Service.start({ env: { ANTHROPIC_BASE_URL: model.url, ANTHROPIC_API_KEY: 'test', SIGNALBOX_MODELS: 'model-a' } });
  });
  afterAll(async () => {
    await service?.close();
    await model?.close();
  });

  /** The session's log from its beginning until `last` fits, as a reader sees it live. */
  async function live(sessionId: string, last: (event: SessionEvent) => boolean): Promise<SessionEvent[]> {
    const abort = new AbortController();
    const response = await fetch(`${service.api.baseUrl}/api/sessions/${sessionId}/stream`, {
      headers: { authorization: `Bearer ${service.api.key ?? ''}`, 'last-event-id': '0' },
      signal: AbortSignal.any([abort.signal, AbortSignal.timeout(30_000)]),
    });
    const events: SessionEvent[] = [];
    const parser = createParser({
      onEvent: ({ id, data }) => {
        if (id !== undefined) events.push(JSON.parse(data) as SessionEvent);
      },
    });
    const decoder = new TextDecoder();
    for await (const chunk of response.body as unknown as AsyncIterable<Uint8Array>) {
      parser.feed(decoder.decode(chunk, { stream: true }));
      if (events.some(last)) break;
    }
    abort.abort();
    return events;
  }

  it('R9 after a refresh is what a reader has seen live: all back-pointers, one container a pass, the repaired reply folded', async () => {
    const good = (n: number) => ({ text: JSON.stringify({ n }) });
    model.script([{ text: 'prose' }, good(1), good(2)]);
    const { id, sessionId } = await service.run([
      {
        id: 'each',
        type: 'loop',
        over: [1, 2],
        steps: [
          { id: 'ask', type: 'agent_prompt', prompt: 'Number {{loop.item}}', thread: '@new', outputSchema: { n: { type: 'number' } } },
        ],
      },
      { id: 'end', type: 'set', values: { done: true } },
    ]);
    expect((await service.untilEnded(id)).status).toBe('completed');
    const events = await live(sessionId, ({ kind }) => kind === 'execution.completed');
    expect(events.map(({ seq }) => seq)).toEqual(events.map((_, index) => index + 1));
    for (const event of events.filter(({ kind }) => /^(message|turn|step)\./.test(kind)))
      expect(event).toMatchObject({
        sessionId,
        executionId: id,
        stepId: expect.any(String),
        iterationPath: expect.any(String),
        attempt: 1,
      });

    const { body } = await service.api.get<{ items: WireFeedItem[]; cursor: null }>(`/api/sessions/${sessionId}/feed`);
    const seen = new Map<string, WireMessage>();
    for (const { data } of events) if (data.message !== undefined) seen.set(data.message.id, data.message);
    const messages = body.items.flatMap((item) => (item.kind === 'message' ? [item.message] : []));
    expect(messages).toEqual([...seen.values()]);

    const plan = planFeed(body.items);
    expect(plan.map((item) => [item.kind, item.kind === 'messages' ? null : item.key])).toEqual([
      ['step-container', `${id}#ask#each:i0`],
      ['step-container', `${id}#ask#each:i1`],
      ['step', `${id}#end#`],
    ]);
    expect(plan.slice(0, 2)).toMatchObject([
      {
        messages: [
          { role: 'user', content: 'Number 1' },
          { content: '{"n":1}', turn: { status: 'end_turn', attempt: 2 } },
        ],
        previous: [{ content: 'prose', turn: { status: 'canceled', attempt: 1 } }],
      },
      { messages: [{ role: 'user', content: 'Number 2' }, { content: '{"n":2}' }], previous: [] },
    ]);
    expect(plan[0]).toMatchObject({ attempts: [{ stepId: 'ask', status: 'completed', output: { n: 1 }, turnIds: expect.any(Array) }] });
  });
});
