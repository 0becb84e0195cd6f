import { startModelServer, type ModelReply, type ModelRequest, type ModelServer } from '../support/model-server.js';
import { Service } from '../support/service.js';
import { startStubServer, type StubServer } from '../support/stub-server.js';

jest.setTimeout(120_000);

interface Message {
  readonly id: string;
  readonly content: string;
  readonly parts: readonly {
    readonly type: string;
    readonly status?: string;
    readonly reason?: string;
    readonly error?: { readonly code: string } | null;
  }[];
  readonly turn: {
    readonly id: string;
    readonly status: string;
    readonly attempt: number;
    readonly usage: { readonly inputTokens: number; readonly outputTokens: number; readonly estimated?: boolean } | null;
  } | null;
}

/** What the person said last, as the model was told. */
function lastSaid(request: ModelRequest): string {
  const texts = request.body.messages
    .filter(({ role }) => role === 'user')
    .flatMap(({ content }) => (Array.isArray(content) ? (content as { type: string; text?: string }[]) : []))
    .filter(({ type }) => type === 'text');
  return texts.at(-1)?.text ?? '';
}
const echo = (request: ModelRequest): ModelReply => ({ text: `re: ${lastSaid(request)}` });

describe('a conversation whose processes die', () => {
  let model: ModelServer;
  let stub: StubServer;
  let service: Service;
  let sessionId: string;
  beforeAll(async () => {
    [model, stub] = await Promise.all([startModelServer(), startStubServer()]);
    service = await Service.start({
      ownServers: true,
      dynamicConfig: { 'limit.historyCount.suggestContinueAsNew': 40, 'history.workflowIdReuseMinimalInterval': '0s' },
      env: { ANTHROPIC_BASE_URL: model.url, ANTHROPIC_API_KEY: 'test', SIGNALBOX_MODELS: 'model-a' },
    });
  });
  beforeEach(async () => {
    stub.clear();
    sessionId = (await service.api.post<{ session: { id: string } }>('/api/sessions', {})).body.session.id;
  });
  afterAll(async () => {
    await service?.close();
    await Promise.all([model?.close(), stub?.close()]);
  });

  const say = async (content: string): Promise<void> => {
    const sent = await service.api.post(`/api/sessions/${sessionId}/messages`, { content, clientMessageId: content });
    expect(sent.status).toBe(202);
  };
  const messages = async (): Promise<Message[]> =>
    (await service.api.get<{ items: Message[] }>(`/api/sessions/${sessionId}/messages?limit=200`)).body.items;
  const kept = (count: number): Promise<Message[]> =>
    service.until(
      `${count} replies`,
      async () => {
        const found = (await messages()).filter(({ turn }) => turn?.status === 'end_turn');
        return found.length >= count ? found : undefined;
      },
      40_000,
    );

  it('A13, E3: a worker killed in mid-stream costs one turn; the finished tool call is not made again, and nothing is lost', async () => {
    const call = {
      name: 'call_tool',
      input: { toolId: 'http:request', params: { url: `${stub.url}/once`, method: 'POST' }, summary: 'Write' },
    };
    const words = Array.from({ length: 100 }, (_, n) => `word${n} `);
    let streams = 0;
    model.script((request) => {
      const said = lastSaid(request);
      if (said === 'go' && !JSON.stringify(request.body.messages).includes('tool_result'))
        return { text: 'First.', toolCalls: [{ id: 'toolu_1', ...call }] };
      if (said === 'go' && (streams += 1) === 1) return { text: words, fault: 'hang_mid', usage: { inputTokens: 70, outputTokens: 0 } };
      return { text: `re: ${said}`, usage: { inputTokens: 80, outputTokens: 9 } };
    });
    await say('go');
    await say('behind');
    await service.until('the streamed text', async () =>
      (await messages()).some(({ content }) => content.endsWith('word99 ')) ? true : undefined,
    );
    await service.worker.kill('SIGKILL');
    await service.startWorker();
    const replies = await kept(3);
    expect(replies.map(({ content }) => content)).toEqual(['First.', 're: go', 're: behind']);
    expect(stub.calls('/once')).toHaveLength(1);
    const turns = (await messages()).filter(({ turn }) => turn !== null);
    const cut = turns.find(({ content }) => content.startsWith('word0 '));
    expect(cut?.turn).toMatchObject({
      status: 'canceled',
      attempt: 1,
      usage: { inputTokens: 70, outputTokens: Math.ceil(words.join('').length / 4), estimated: true },
    });
    expect(replies[1]?.turn?.attempt).toBeGreaterThan(1);
    expect(replies[1]?.turn?.usage).toMatchObject({ inputTokens: 80, outputTokens: 9 });
    for (const { turn, parts } of turns) {
      expect(turn?.status).toMatch(/^(end_turn|canceled)$/);
      expect(parts.at(-1)?.type).toBe('finish');
      for (const part of parts) if (part.type === 'tool-call') expect(part.status).toBe('completed');
    }
  });

  it('A13: what is said while no worker is up is answered when one comes, in order', async () => {
    model.script(echo);
    await service.worker.kill('SIGKILL');
    for (const content of ['a', 'b', 'c']) await say(content);
    await service.startWorker();
    expect((await kept(3)).map(({ content }) => content)).toEqual(['re: a', 're: b', 're: c']);
    expect(model.requests.at(-1)?.body.messages).toHaveLength(5);
  });

  it('A13: a gateway killed right after its 202 loses no message', async () => {
    model.script(echo);
    await say('still there?');
    await service.gateway.kill('SIGKILL');
    await service.startGateway();
    expect((await kept(1)).map(({ content }) => content)).toEqual(['re: still there?']);
  });

  it('A13: a conversation that an operator terminated goes on with what it had not answered', async () => {
    model.script((request, nth) => (nth === 0 ? { text: 'Half', fault: 'hang_mid' } : echo(request)));
    await say('one');
    await say('two');
    await service.until('the streamed text', async () => ((await messages()).some(({ content }) => content === 'Half') ? true : undefined));
    await (await service.temporalClient()).workflow.getHandle(sessionId).terminate('by hand');
    // The reconciler repeats what nobody has confirmed.
    expect((await kept(2)).map(({ content }) => content)).toEqual(['re: one', 're: two']);
  });

  it('hands over by continue-as-new between messages, and answers each once', async () => {
    model.script((request) => ({ text: `${lastSaid(request)} of ${request.body.messages.length}` }));
    for (let n = 0; n < 12; n += 1) await say(`m${n}`);
    const replies = await kept(12);
    expect(replies.map(({ content }) => content)).toEqual(Array.from({ length: 12 }, (_, n) => `m${n} of ${2 * n + 1}`));
    const client = await service.temporalClient();
    await service.until('several runs', async () => {
      let runs = 0;
      for await (const _run of client.workflow.list({ query: `WorkflowId = '${sessionId}'` })) runs += 1;
      return runs >= 2 ? true : undefined;
    });
  });
});
