import { ApiUnderTest } from '../api/api-under-test.js';
import { LiveSession } from './support/live-session.js';
import { SocketClient } from './support/socket-client.js';

let api: ApiUnderTest;
let session: LiveSession;
const clients: SocketClient[] = [];

beforeAll(async () => {
  api = await ApiUnderTest.start({ recheckMs: 200, sockets: { heartbeatMs: 400 } });
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
const ticketOf = async (key = session.key): Promise<string> =>
  (await api.send<{ ticket: string }>('POST', '/api/ws-ticket', { key, body: {} })).body.ticket;
const byTicket = async (ticket: string, headers: { readonly [name: string]: string } = {}): Promise<SocketClient> => {
  const client = await SocketClient.open(api.port, `/ws?ticket=${encodeURIComponent(ticket)}`, { headers });
  clients.push(client);
  return client;
};

describe('tickets and handshake', () => {
  it('says hello with the time, the version and the heartbeat', async () => {
    const client = await byTicket(await ticketOf());
    const { serverTime, ...hello } = await client.type('hello');
    expect(hello).toEqual({ type: 'hello', version: '0.0.0-test', heartbeatMs: 400 });
    expect(Math.abs(Date.parse(String(serverTime)) - Date.now())).toBeLessThan(5_000);
  });

  it('R8 takes a ticket once, from any gateway', async () => {
    const other = await ApiUnderTest.start({ beside: api });
    const ticket = await ticketOf();
    const answers = await Promise.allSettled(
      [api, other, api, other].map((gateway) => SocketClient.open(gateway.port, `/ws?ticket=${ticket}`)),
    );
    const opened = answers.flatMap((answer) => (answer.status === 'fulfilled' ? [answer.value] : []));
    const refused = answers.flatMap((answer) => (answer.status === 'rejected' ? [(answer.reason as Error).message] : []));
    expect(opened).toHaveLength(1);
    expect(refused).toEqual(['HTTP 401', 'HTTP 401', 'HTTP 401']);
    await Promise.all(opened.map((client) => client.end()));
    await other.close();
  });

  it('R8 refuses a ticket after its 60 seconds', async () => {
    const { body } = await api.send<{ ticket: string; expiresAt: string }>('POST', '/api/ws-ticket', { key: session.key, body: {} });
    expect(Date.parse(body.expiresAt) - Date.now()).toBeGreaterThan(55_000);
    expect(Date.parse(body.expiresAt) - Date.now()).toBeLessThan(61_000);
    await api.db.pool.query("UPDATE ws_tickets SET expires_at = now() - interval '1 ms'");
    await expect(byTicket(body.ticket)).rejects.toThrow('HTTP 401');
  });

  it('keeps no ticket as it is shown', async () => {
    const ticket = await ticketOf();
    const { rows } = await api.db.pool.query('SELECT * FROM ws_tickets');
    expect(JSON.stringify(rows)).not.toContain(ticket);
  });

  it('refuses a ticket whose key was revoked meanwhile', async () => {
    const person = await api.person('runner');
    const ticket = await ticketOf(person.key);
    await api.send('DELETE', `/api/keys/${person.keyId}`, { key: person.key });
    await expect(byTicket(ticket)).rejects.toThrow('HTTP 401');
  });

  it.each([
    ['nothing', '/ws', {}, 401],
    ['an unknown ticket', '/ws?ticket=wst_x', {}, 401],
    ['an unknown key', '/ws', { authorization: `Bearer sbx_${'x'.repeat(43)}` }, 401],
    ['another path', '/socket', {}, 404],
    ['a path below', '/ws/x', {}, 404],
  ])('refuses %s', async (_what, path, headers, status) => {
    await expect(SocketClient.open(api.port, path, { headers })).rejects.toThrow(`HTTP ${status}`);
  });

  it('refuses a key that may not read', async () => {
    const key = await api.keyOf(session.ownerId, { role: 'editor', scopes: ['write'] });
    await expect(connected(key)).rejects.toThrow('HTTP 403');
  });

  it.each([
    ['no Origin', undefined, true],
    ['its own', 'own', true],
    ['a foreign one', 'https://evil.example', false],
    ['its host at another port', 'http://127.0.0.1:1', false],
    ['null', 'null', false],
    ['no URL', '::', false],
  ])('S7 of origins takes only its own: %s', async (_what, origin, isTaken) => {
    const headers: { [name: string]: string } =
      origin === undefined ? {} : { origin: origin === 'own' ? `http://127.0.0.1:${api.port}` : origin };
    const opening = byTicket(await ticketOf(), headers);
    if (isTaken) await expect(opening).resolves.toBeDefined();
    else await expect(opening).rejects.toThrow('HTTP 403');
  });

  it('bounds the sockets of a key', async () => {
    const small = await ApiUnderTest.start({ beside: api, sockets: { maxSocketsPerKey: 2 } });
    const open = () => SocketClient.open(small.port, '/ws', { headers: { authorization: `Bearer ${session.key}` } });
    const two = [await open(), await open()];
    await expect(open()).rejects.toThrow('HTTP 429');
    await two[0]?.end();
    await expect(
      (async () => {
        for (let tries = 0; ; tries++) {
          const client = await open().catch((error: Error) => error);
          if (client instanceof SocketClient) return client.end();
          if (tries > 50) throw client;
        }
      })(),
    ).resolves.toBeUndefined();
    await two[1]?.end();
    await small.close();
  });
});

describe('channels', () => {
  it("R8 knows nothing of another owner's rows", async () => {
    const stranger = await api.person('admin', { name: 'Stranger' });
    const client = await connected(stranger.key);
    for (const channel of [`session:${session.id}`, `execution:${session.executionId}`, 'session:ses_none', 'execution:exe_none:x']) {
      client.send({ type: 'subscribe', id: channel, channel });
      expect(await client.answer(channel)).toMatchObject({ type: 'error', id: channel, code: 'not_found' });
    }
    await session.appendSteps(3);
    client.send({ type: 'ping' });
    await client.type('pong');
    expect(client.frames.filter((frame) => frame.type === 'event')).toEqual([]);
  });

  it('begins a session with its snapshot and goes on with its events, back-pointers in each', async () => {
    const client = await connected();
    client.send({ type: 'subscribe', id: 1, channel: session.channel });
    const subscribed = await client.answer(1);
    const snapshot = await client.type('snapshot');
    expect(subscribed).toMatchObject({ type: 'subscribed', channel: session.channel, cursor: snapshot.cursor });
    expect(snapshot.data).toMatchObject({
      session: { id: session.id, kind: 'execution', executionId: session.executionId },
      messages: [],
      steps: [],
      approvals: [],
      execution: { id: session.executionId, status: 'pending' },
    });
    await session.appendSteps(2);
    const event = await client.next((frame) => frame.type === 'event');
    expect(event).toMatchObject({
      channel: session.channel,
      seq: Number(snapshot.cursor) + 1,
      event: {
        executionId: session.executionId,
        sessionId: session.id,
        kind: 'step.completed',
        stepId: 'a',
        iterationPath: 'l:i0',
        attempt: 1,
        data: { output: 'done', step: { stepId: 'a', iterationPath: 'l:i0', attempt: 1, status: 'completed', output: 'done' } },
      },
    });
  });

  it('begins an execution with its snapshot and goes on by its own numbering', async () => {
    const client = await connected();
    client.send({ type: 'subscribe', id: 1, channel: `execution:${session.executionId}` });
    const snapshot = await client.type('snapshot');
    expect(snapshot).toMatchObject({ cursor: 1, data: { execution: { id: session.executionId }, steps: [], approvals: [] } });
    await session.appendSteps(2);
    await client.next((frame) => frame.seq === 3);
    expect(client.seqs(`execution:${session.executionId}`)).toEqual([2, 3]);
  });

  it.each(['session', 'execution'] as const)('R2 resumes a %s behind `after`, without a snapshot', async (kind) => {
    await session.appendSteps(130);
    const channel = kind === 'session' ? session.channel : `execution:${session.executionId}`;
    const client = await connected();
    client.send({ type: 'subscribe', id: 1, channel, after: 5 });
    expect(await client.answer(1)).toMatchObject({ type: 'subscribed', cursor: 5 });
    await session.appendSteps(1);
    await client.next((frame) => frame.seq === 132);
    expect(client.seqs(channel)).toEqual(Array.from({ length: 127 }, (_, index) => index + 6));
    expect(client.frames.map((frame) => frame.type).filter((type) => type === 'snapshot' || type === 'reset')).toEqual([]);
  });

  it('R5 answers a cursor that is too old, or of the future, by reset and snapshot', async () => {
    const strict = await ApiUnderTest.start({ beside: api, sockets: { maxBehind: 10 } });
    await session.appendSteps(20);
    for (const after of [5, 9_999]) {
      const client = await session.follow({ after, api: strict });
      await client.type('snapshot');
      expect(client.frames.slice(1).map((frame) => frame.type)).toEqual(['subscribed', 'reset', 'snapshot']);
      await session.appendSteps(1);
      const event = await client.type('event');
      expect(event.seq).toBe(Number((await client.type('snapshot')).cursor) + 1);
      await client.end();
    }
    await strict.close();
  });

  it('starts a channel over when it is subscribed to again, and is silent once it is unsubscribed', async () => {
    const client = await connected();
    client.send({ type: 'subscribe', id: 'a', channel: session.channel });
    client.send({ type: 'subscribe', id: 'b', channel: session.channel });
    await client.answer('b');
    await client.next(
      (frame) => frame.type === 'snapshot',
      client.frames.findIndex((frame) => frame.id === 'b'),
    );
    await session.appendSteps(1);
    const event = await client.type('event');
    client.send({ type: 'unsubscribe', id: 'b' });
    client.send({ type: 'unsubscribe', id: 'a' });
    expect(await client.next((frame) => frame.type === 'error')).toMatchObject({ id: 'a', code: 'not_found' });
    await session.appendSteps(1);
    client.send({ type: 'subscribe', id: 'c', channel: session.channel, after: event.seq });
    await client.next((frame) => frame.seq === Number(event.seq) + 1);
    expect(client.seqs(session.channel)).toEqual([event.seq, Number(event.seq) + 1]);
  });
});

async function openSockets(): Promise<number> {
  const response = await api.open('GET', '/metrics', { key: session.key });
  let text = '';
  for await (const chunk of response.setEncoding('utf8')) text += chunk as string;
  return Number(/^signalbox_sockets_open (\d+)$/m.exec(text)?.[1]);
}

describe('rights while it is open', () => {
  it('cuts the socket of a revoked key within seconds', async () => {
    const person = await api.person('runner');
    const client = await connected(person.key);
    await client.type('hello');
    await api.send('DELETE', `/api/keys/${person.keyId}`, { key: person.key });
    expect(await client.type('error')).toMatchObject({ code: 'unauthenticated' });
    expect(await client.closed).toEqual({ code: 4401, reason: 'unauthenticated' });
  });

  it('cuts the socket of a key that expires', async () => {
    const key = await api.keyOf(session.ownerId, { role: 'viewer', expiresAt: new Date(Date.now() + 3_600_000).toISOString() });
    const client = await connected(key);
    await client.type('hello');
    await api.db.pool.query('UPDATE api_keys SET expires_at = now() WHERE user_id = $1 AND expires_at IS NOT NULL', [session.ownerId]);
    expect(await client.closed).toEqual({ code: 4401, reason: 'unauthenticated' });
  });

  it('drops a peer that no longer answers', async () => {
    const client = await connected();
    await client.type('hello');
    // As a machine that was switched off: it takes nothing and answers nothing.
    client.socket.pause();
    const opened = await openSockets();
    expect(opened).toBeGreaterThan(0);
    for (const deadline = Date.now() + 10_000; (await openSockets()) === opened; )
      if (Date.now() > deadline) throw new Error('the socket is still there');
  });
});
