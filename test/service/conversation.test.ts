import { startModelServer, type ModelReply, type ModelRequest, type ModelServer } from '../support/model-server.js';
import { Service } from '../support/service.js';
import type { Approval } from '../support/service-shapes.js';
import { startStubServer, type StubServer } from '../support/stub-server.js';

jest.setTimeout(60_000);

interface Part {
  readonly type: string;
  readonly text?: string;
  readonly status?: string;
  readonly reason?: string;
  readonly code?: string;
  readonly toolName?: string;
  readonly error?: { readonly code: string } | null;
}
interface Message {
  readonly id: string;
  readonly seq: number;
  readonly role: string;
  readonly author: string;
  readonly content: string;
  readonly parts: readonly Part[];
  readonly turn: { readonly id: string; readonly status: string; readonly attempt: number; readonly model: string } | null;
}

/** What the person said last, as the model was told. */
function lastSaid(request: ModelRequest): string {
  const said = request.body.messages.filter(({ role }) => role === 'user').at(-1)?.content;
  const blocks = Array.isArray(said) ? (said as { type: string; text?: string }[]) : [{ type: 'text', text: String(said) }];
  return blocks.findLast(({ type }) => type === 'text')?.text ?? '';
}
const echo = (request: ModelRequest): ModelReply => ({ text: `re: ${lastSaid(request)}` });

type ChatApproval = Omit<Approval, 'stepId'> & { readonly sessionId: string; readonly stepId: string | null; readonly toolCall: unknown };

describe('a conversation', () => {
  let model: ModelServer;
  let stub: StubServer;
  let service: Service;
  let sessionId: string;
  beforeAll(async () => {
    [model, stub] = await Promise.all([startModelServer(), startStubServer()]);
    service = await Service.start({
      env: {
        ANTHROPIC_BASE_URL: model.url,
        ANTHROPIC_API_KEY: 'test',
        SIGNALBOX_MODELS: 'model-a',
        SIGNALBOX_TOOL_POLICY: JSON.stringify({ 'values:read': 'approve' }),
      },
    });
  });
  beforeEach(async () => {
    model.script(echo);
    stub.clear();
    sessionId = (await service.api.post<{ session: { id: string } }>('/api/sessions', {})).body.session.id;
  });
  afterAll(async () => {
    await service?.close();
    await Promise.all([model?.close(), stub?.close()]);
  });

  let said = 0;
  const say = async (content: string, clientMessageId = `c${(said += 1)}`): Promise<Message> => {
    const { status, body } = await service.api.post<{ message: Message }>(`/api/sessions/${sessionId}/messages`, {
      content,
      clientMessageId,
    });
    expect(status).toBe(202);
    return body.message;
  };
  const messages = async (): Promise<Message[]> =>
    (await service.api.get<{ items: Message[] }>(`/api/sessions/${sessionId}/messages?limit=200`)).body.items;
  const stop = (body: object = {}) => service.api.post(`/api/sessions/${sessionId}/stop`, body);
  /** The replies that were kept, when there are that many. */
  const replies = (count: number): Promise<Message[]> =>
    service.until(`${count} replies`, async () => {
      const kept = (await messages()).filter(({ turn }) => turn?.status === 'end_turn');
      return kept.length >= count ? kept : undefined;
    });
  const turnOf = (status: string): Promise<Message> =>
    service.until(`a turn ${status}`, async () => (await messages()).find(({ turn }) => turn?.status === status));
  const gate = (): Promise<ChatApproval> =>
    service.until('a gate', async () =>
      (await service.api.get<{ items: ChatApproval[] }>('/api/approvals?status=pending')).body.items.find(
        (each) => each.sessionId === sessionId,
      ),
    );
  const held = (nth: number): ModelReply =>
    nth === 0
      ? {
          text: 'Let me look.',
          toolCalls: [
            { id: 'toolu_same', name: 'call_tool', input: { toolId: 'values:read', params: { ref: 'val_1' }, summary: 'Read it' } },
          ],
        }
      : { text: 'Done.' };

  it('A13 answers three messages at once in their order, one at a time, each with what came before', async () => {
    let open = 0;
    let most = 0;
    model.script((request) => {
      open += 1;
      most = Math.max(most, open);
      setTimeout(() => (open -= 1), 60);
      return { ...echo(request), text: ['re: ', lastSaid(request)], chunkDelayMs: 30 };
    });
    const sent = await Promise.all(['one', 'two', 'three'].map((content) => say(content)));
    const kept = await replies(3);
    const inOrder = sent.toSorted((a, b) => a.seq - b.seq).map(({ content }) => content);
    expect(kept.map(({ content }) => content)).toEqual(inOrder.map((content) => `re: ${content}`));
    expect(most).toBe(1);
    expect(model.requests.at(-1)?.body.messages.map(({ role }) => role)).toEqual(['user', 'assistant', 'user', 'assistant', 'user']);
    expect(kept[0]).toMatchObject({
      author: 'Assistant',
      turn: { model: 'model-a', attempt: 1 },
      parts: [{ type: 'text' }, { type: 'finish', reason: 'end_turn' }],
    });
  });

  it('A13 answers a message sent twice once', async () => {
    await Promise.all([say('once', 'same'), say('once', 'same')]);
    await say('behind');
    await replies(2);
    expect(model.requests.map(lastSaid)).toEqual(['once', 'behind']);
  });

  it('A13, R10 stop aborts the turn within 2 s, and the next message is answered', async () => {
    model.script((request, nth) => (nth === 0 ? { text: ['Once ', 'upon '], fault: 'hang_mid' } : echo(request)));
    await say('tell');
    await say('next');
    const streaming = await turnOf('streaming');
    const from = Date.now();
    expect((await stop({ turnId: streaming.turn?.id })).status).toBe(202);
    await model.aborted();
    expect(Date.now() - from).toBeLessThan(2_000);
    const canceled = await turnOf('canceled');
    expect(canceled).toMatchObject({ content: 'Once upon ', parts: [{ type: 'text' }, { type: 'finish', reason: 'stopped' }] });
    expect((await replies(1))[0]?.content).toBe('re: next');
    // What it had said stands, for the model as for the person.
    expect(model.requests[1]?.body.messages).toMatchObject([
      { role: 'user' },
      { role: 'assistant', content: [{ text: 'Once upon ' }] },
      { role: 'user' },
    ]);
    expect((await stop({ turnId: streaming.turn?.id })).status).toBe(202);
    await say('and on');
    expect((await replies(2))[1]?.content).toBe('re: and on');
  });

  it('R10 a stop is for what was said before it, not for what comes behind', async () => {
    await say('first');
    await replies(1);
    await stop();
    await say('second');
    expect((await replies(2))[1]?.content).toBe('re: second');
  });

  it('uses tools, in the chat as in a run, and goes on with what they gave', async () => {
    const call = { name: 'call_tool', input: { toolId: 'http:request', params: { url: `${stub.url}/json` }, summary: 'Fetch' } };
    model.script((_request, nth) => (nth === 0 ? { text: 'Looking.', toolCalls: [{ id: 'toolu_1', ...call }] } : { text: 'Found it.' }));
    await say('fetch');
    const kept = await replies(2);
    expect(kept.map(({ content }) => content)).toEqual(['Looking.', 'Found it.']);
    expect(kept[0]?.parts).toMatchObject([
      { type: 'text' },
      { type: 'tool-call', toolName: 'http:request', status: 'completed' },
      { type: 'finish', reason: 'tool_use' },
    ]);
    expect(JSON.stringify(model.requests[1]?.body.messages)).toContain('tool_result');
    expect(stub.calls('/json')).toHaveLength(1);
  });

  it('A13 holds a call for a person: a gate of the session, later messages wait, approved it runs', async () => {
    model.script((request, nth) => (nth < 2 ? held(nth) : echo(request)));
    await say('read');
    const approval = await gate();
    expect(approval).toMatchObject({
      executionId: null,
      sessionId,
      stepId: null,
      toolCall: { callId: 'toolu_same', toolId: 'values:read', args: { ref: 'val_1' }, summary: 'Read it' },
    });
    await say('waits');
    expect((await service.api.post(`/api/approvals/${approval.id}/approve`)).status).toBe(200);
    const kept = await replies(3);
    expect(kept.map(({ content }) => content)).toEqual(['Let me look.', 'Done.', 're: waits']);
    expect(kept[0]?.parts[1]).toMatchObject({ type: 'tool-call', status: 'error', error: { code: expect.not.stringMatching('denied') } });
  });

  it('H17 an operator’s raw signal decides a held call; one by nobody that may is no vote', async () => {
    model.script((request, nth) => (nth < 1 ? held(nth) : echo(request)));
    await say('read');
    const approval = await gate();
    const handle = (await service.temporalClient()).workflow.getHandle(sessionId);
    await handle.signal('approve', { approvalId: approval.id, decision: 'deny', by: 'nobody@example.com' });
    await handle.signal('approve', { approvalId: approval.id, decision: 'approve', reason: 'by hand' });
    await replies(2);
    expect(await service.approval(approval.id)).toMatchObject({
      status: 'approved',
      reason: 'by hand',
      votes: [{ via: 'signal', decision: 'approve' }],
    });
  });

  it('A13, A17 a denied call is told to the model, and a provider that uses a call id again opens a gate again', async () => {
    model.script((_request, nth) => held(nth % 2));
    await say('read');
    const first = await gate();
    expect((await service.api.post(`/api/approvals/${first.id}/deny`, { reason: 'not yours' })).status).toBe(200);
    const kept = await replies(2);
    expect(kept[0]?.parts[1]).toMatchObject({ status: 'error', error: { code: 'tool_denied' } });
    expect(JSON.stringify(model.requests[1]?.body.messages)).toContain('not yours');
    await say('read again');
    const second = await gate();
    expect(second.id).not.toBe(first.id);
    await stop();
  });

  it('calls tools with the rights of who asks, as they are when the call is made', async () => {
    const made = await service.api.post<{ user: { id: string } }>('/api/users', { name: 'Ria', email: 'ria@example.com', role: 'runner' });
    const { id: userId } = made.body.user;
    const key = await service.api.post<{ secret: string }>('/api/keys', { name: 'hers', role: 'runner', userId });
    const ria = service.api.withKey(key.body.secret);
    const { session } = (await ria.post<{ session: { id: string } }>('/api/sessions', {})).body;
    model.script((request, nth) => (nth === 0 ? held(nth) : echo(request)));
    expect((await ria.post(`/api/sessions/${session.id}/messages`, { content: 'read', clientMessageId: 'r' })).status).toBe(202);
    const approval = await service.until('the gate', async () =>
      (await ria.get<{ items: ChatApproval[] }>('/api/approvals?status=pending')).body.items.find((one) => one.sessionId === session.id),
    );
    expect((await service.api.call('PATCH', `/api/users/${userId}`, { role: 'viewer' })).status).toBe(200);
    const handle = (await service.temporalClient()).workflow.getHandle(session.id);
    await handle.signal('approve', { approvalId: approval.id, decision: 'approve' });
    const [asked] = await service.until('the replies', async () => {
      const { items } = (await ria.get<{ items: Message[] }>(`/api/sessions/${session.id}/messages?limit=200`)).body;
      const ended = items.filter((one) => one.turn?.status === 'end_turn');
      return ended.length >= 2 ? ended : undefined;
    });
    expect(asked?.parts.find(({ type }) => type === 'tool-call')).toMatchObject({ status: 'error', error: { code: 'tool_denied' } });
    expect(JSON.stringify(model.requests[1]?.body.messages)).toContain('may not run tools (viewer)');
  });

  it('A13 stop closes the gate of a held call, and its part', async () => {
    model.script((request, nth) => (nth === 0 ? held(0) : echo(request)));
    await say('read');
    const approval = await gate();
    await stop();
    const canceled = await turnOf('canceled');
    expect(canceled.parts).toMatchObject([
      { type: 'text' },
      { type: 'tool-call', status: 'error', error: { code: 'interrupted' } },
      { type: 'finish', reason: 'stopped' },
    ]);
    expect((await service.approval(approval.id)).status).toBe('cancelled');
    const late = await service.api.refused(`/api/approvals/${approval.id}/approve`);
    expect([late.status, late.body.code]).toEqual([409, 'approval_settled']);
    await say('next');
    expect((await replies(1))[0]?.content).toBe('re: next');
  });

  it('R10, A12 stop of a turn of a run ends the run, within 2 s, and leaves the conversation alone', async () => {
    model.script((request) =>
      lastSaid(request) === 'Work'
        ? { text: ['Half ', 'done'], fault: 'hang_mid' }
        : { text: ['re: ', lastSaid(request)], chunkDelayMs: 300 },
    );
    const { id } = await service.run([{ id: 'ask', type: 'agent_prompt', prompt: 'Work' }], {}, { body: { sessionId } });
    const streaming = await turnOf('streaming');
    expect(streaming).toMatchObject({ executionId: id, stepId: 'ask', iterationPath: '', attempt: 1 });
    await say('and you?');
    const from = Date.now();
    await stop({ turnId: streaming.turn?.id });
    await model.aborted();
    expect(Date.now() - from).toBeLessThan(2_000);
    expect((await service.untilEnded(id)).status).toBe('cancelled');
    expect((await turnOf('canceled')).parts.at(-1)?.type).toBe('finish');
    expect((await replies(1))[0]?.content).toBe('re: and you?');
  });

  it('tells in the chat that a message could not be answered, and goes on with the next', async () => {
    model.script((request, nth) =>
      nth === 0 ? { error: { status: 400, type: 'invalid_request_error', message: 'too strange' } } : echo(request),
    );
    await say('strange');
    const failed = await turnOf('error');
    expect(failed.parts).toMatchObject([
      { type: 'error', code: 'agent_prompt_model_error' },
      { type: 'finish', reason: 'error' },
    ]);
    await say('plain');
    expect((await replies(1))[0]?.content).toBe('re: plain');
  });

  it('keeps all words out of Temporal’s history', async () => {
    model.script({ text: 'A secretive answer' });
    await say('A curious question');
    await replies(1);
    const text = await service.historyText(sessionId);
    expect(text).toContain(sessionId);
    expect(text).not.toMatch(/curious|secretive/);
  });

  it('completes when nothing comes, and the next message starts it again', async () => {
    const { body: me } = await service.api.get<{ user: { id: string } }>('/api/me');
    const client = await service.temporalClient();
    const handle = await client.workflow.start('conversation', {
      workflowId: sessionId,
      taskQueue: 'signalbox',
      args: [{ sessionId, ownerId: me.user.id, idleMs: 50 }],
    });
    await handle.result();
    await say('hello');
    expect((await replies(1))[0]?.content).toBe('re: hello');
    expect((await client.workflow.getHandle(sessionId).describe()).runId).not.toBe(handle.firstExecutionRunId);
  });

  it('is the orchestrator’s too, whose prompt says who it is', async () => {
    const { body } = await service.api.get<{ items: { id: string }[] }>('/api/sessions?kind=orchestrator');
    sessionId = body.items[0]?.id ?? '';
    await say('who are you');
    await replies(1);
    expect(JSON.stringify(model.requests[0]?.body.system)).toContain('[Signalbox orchestrator]');
    expect(JSON.stringify(model.requests[0]?.body.tools)).toContain('call_tool');
    expect(JSON.stringify(model.requests[0]?.body.tools)).not.toContain('ask_user');
  });
});
