import { ApiUnderTest } from '../api/api-under-test.js';
import { LiveSession } from './support/live-session.js';
import { SocketClient } from './support/socket-client.js';

let api: ApiUnderTest;
let session: LiveSession;
const clients: SocketClient[] = [];

beforeAll(async () => {
  api = await ApiUnderTest.start();
});
beforeEach(async () => {
  session = await LiveSession.start(api);
});
afterEach(async () => {
  await Promise.all(clients.splice(0).map((client) => client.end()));
});
afterAll(() => api.close());

const connected = async (key = session.key): Promise<SocketClient> => {
  const client = await SocketClient.open(api.port, '/ws', { headers: { authorization: `Bearer ${key}` } });
  clients.push(client);
  return client;
};

describe('send', () => {
  it('posts a message once for each clientMessageId, over sockets and HTTP', async () => {
    const client = await connected();
    const frame = { type: 'send', sessionId: session.id, content: 'Hello', clientMessageId: 'c1' };
    client.send({ ...frame, id: 1 });
    const first = await client.answer(1);
    client.send({ ...frame, id: 2 });
    const second = await client.answer(2);
    const { body } = await api.send<{ message: { id: string }; duplicate: boolean }>('POST', `/api/sessions/${session.id}/messages`, {
      key: session.key,
      body: { content: 'Hello', clientMessageId: 'c1' },
    });
    expect(first).toMatchObject({
      type: 'result',
      id: 1,
      duplicate: false,
      message: { content: 'Hello', role: 'user', sessionId: session.id },
    });
    const messageId = (first['message'] as unknown as { id: string }).id;
    expect([second['duplicate'], (second['message'] as unknown as { id: string }).id, body.duplicate, body.message.id]).toEqual([
      true,
      messageId,
      true,
      messageId,
    ]);
    const { rows } = await api.db.pool.query('SELECT id FROM messages WHERE session_id = $1', [session.id]);
    expect(rows).toHaveLength(1);
  });

  it('tells the message to everybody who follows', async () => {
    const reader = await session.follow();
    clients.push(reader);
    const client = await connected();
    client.send({ type: 'send', id: 1, sessionId: session.id, content: 'Hello', clientMessageId: 'c2' });
    const event = await reader.next((frame) => frame.event?.kind === 'message.created');
    expect(event.event?.data['message']).toEqual((await client.answer(1))['message']);
  });

  it.each([
    ['a viewer', 'viewer', 'forbidden'],
    ['a stranger', 'stranger', 'not_found'],
  ] as const)('refuses %s', async (_who, who, code) => {
    const key = who === 'viewer' ? await api.keyOf(session.ownerId, { role: 'viewer' }) : (await api.person('admin')).key;
    const client = await connected(key);
    client.send({ type: 'send', id: 1, sessionId: session.id, content: 'Hello', clientMessageId: 'c3' });
    expect(await client.answer(1)).toMatchObject({ type: 'error', code });
  });

  it.each([
    ['nothing', ''],
    ['too much', 'x'.repeat(200_001)],
  ])('refuses %s', async (_what, content) => {
    const client = await connected();
    client.send({ type: 'send', id: 1, sessionId: session.id, content, clientMessageId: 'c4' });
    expect(await client.answer(1)).toMatchObject({ type: 'error', code: 'validation_failed' });
  });
});

describe('stop', () => {
  it('R10 stops the turn that is under way, and cancels the run whose turn it is', async () => {
    const turnId = await session.openTurn('half a');
    const client = await connected();
    client.send({ type: 'stop', id: 1, sessionId: session.id, turnId });
    expect(await client.answer(1)).toMatchObject({ type: 'result', accepted: true });
    const { body } = await api.send<{ execution: { status: string } }>('GET', `/api/executions/${session.executionId}`, {
      key: session.key,
    });
    expect(body.execution.status).toBe('cancelled');
  });

  it('R10 a disconnect stops nothing: the turn goes on, and who comes back sees it', async () => {
    const deltas = session.sender();
    const turnId = await session.openTurn();
    const client = await session.follow();
    await client.type('snapshot');
    deltas.send(session.delta(turnId, 0, 'before'));
    await client.type('delta');
    await client.end();
    deltas.send(session.delta(turnId, 6, ', after'));
    const again = await session.follow();
    clients.push(again);
    await again.type('snapshot');
    const { body } = await api.send<{ execution: { status: string } }>('GET', `/api/executions/${session.executionId}`, {
      key: session.key,
    });
    const { rows } = await api.db.pool.query('SELECT id FROM commands WHERE target_id = ANY($1)', [[session.id, session.executionId]]);
    expect([body.execution.status, rows]).toEqual(['pending', []]);
    await deltas.close();
  });
});

describe('decide', () => {
  it('decides as a person on the web, once', async () => {
    const id = await session.openGate();
    const client = await connected();
    client.send({ type: 'decide', id: 'd', approvalId: id, decision: 'approve', reason: 'fine' });
    expect(await client.answer('d')).toMatchObject({
      type: 'result',
      approval: { id, status: 'approved', votes: [{ via: 'web', decision: 'approve', reason: 'fine', by: { id: session.ownerId } }] },
    });
    client.send({ type: 'decide', id: 'late', approvalId: id, decision: 'deny' });
    expect(await client.answer('late')).toMatchObject({
      type: 'error',
      code: 'approval_settled',
      approvalStatus: 'approved',
      decidedBy: [{ id: session.ownerId }],
    });
  });

  it('refuses agents, whatever their role, and leaves the gate open', async () => {
    const id = await session.openGate();
    const key = await api.keyOf(session.ownerId, { role: 'admin', kind: 'agent' });
    const client = await connected(key);
    client.send({ type: 'decide', id: 1, approvalId: id, decision: 'approve' });
    expect(await client.answer(1)).toMatchObject({ type: 'error', code: 'agent_cannot_decide' });
    const { body } = await api.send<{ approval: { status: string } }>('GET', `/api/approvals/${id}`, { key: session.key });
    expect(body.approval.status).toBe('pending');
  });

  it('knows nothing of gates of others', async () => {
    const id = await session.openGate();
    const client = await connected((await api.person('editor')).key);
    client.send({ type: 'decide', id: 1, approvalId: id, decision: 'approve' });
    expect(await client.answer(1)).toMatchObject({ type: 'error', code: 'not_found' });
  });

  it('checks the answer to a form', async () => {
    const form = { type: 'object', properties: { size: { type: 'integer' } }, required: ['size'] };
    const id = await session.openGate({ form });
    const client = await connected();
    client.send({ type: 'decide', id: 1, approvalId: id, decision: 'approve', answer: { size: 'large' } });
    expect(await client.answer(1)).toMatchObject({ type: 'error', code: 'validation_failed' });
    client.send({ type: 'decide', id: 2, approvalId: id, decision: 'approve', answer: { size: 3 } });
    expect(await client.answer(2)).toMatchObject({ type: 'result', approval: { status: 'approved', answer: { size: 3 } } });
  });
});
