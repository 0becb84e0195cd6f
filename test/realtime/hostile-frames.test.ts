/** What nobody well-meaning sends: each gets its documented answer, and nobody else notices. */
import { connect } from 'node:net';
import { ApiUnderTest } from '../api/api-under-test.js';
import { LiveSession } from './support/live-session.js';
import type { SocketClient } from './support/socket-client.js';

let api: ApiUnderTest;
let session: LiveSession;
let client: SocketClient;

beforeAll(async () => {
  api = await ApiUnderTest.start();
  session = await LiveSession.start(api);
});
beforeEach(async () => {
  client = await session.connect();
});
afterEach(() => client.end());
afterAll(() => api.close());

/** The socket still serves, and so does the gateway. */
async function expectServing(one = client): Promise<void> {
  const from = one.frames.length;
  one.send({ type: 'ping' });
  await one.type('pong', from);
}

describe('hostile frames', () => {
  it('closes with 1009 for a frame of 5 MB, and goes on for others', async () => {
    const other = await session.connect();
    client.socket.send(
      JSON.stringify({ type: 'send', id: 1, sessionId: session.id, content: 'x'.repeat(5_000_000), clientMessageId: 'm' }),
    );
    expect((await client.closed).code).toBe(1009);
    await expectServing(other);
    await other.end();
  });

  it.each([
    ['binary', Buffer.from('{"type":"ping"}'), 'bad_request'],
    ['no JSON', 'subscribe!', 'bad_request'],
    ['half of it', '{"type":"ping"', 'bad_request'],
    ['raw control characters', '{"type":"ping\u0000\u0007"}', 'bad_request'],
    ['a number', '7', 'bad_request'],
    ['null', 'null', 'bad_request'],
    ['a list', '[{"type":"ping"}]', 'bad_request'],
    ['no type', '{"id":"a"}', 'bad_request'],
    ['an unknown type', '{"type":"drop","id":"a"}', 'bad_request'],
    ['a type that objects have', '{"type":"constructor","id":"a"}', 'bad_request'],
    ['no channel', '{"type":"subscribe","id":"a"}', 'validation_failed'],
    ['a cursor of text', '{"type":"subscribe","id":"a","channel":"executions","after":"x"}', 'validation_failed'],
    ['a negative cursor', '{"type":"subscribe","id":"a","channel":"executions","after":-1}', 'validation_failed'],
    ['a decision that is none', '{"type":"decide","id":"a","approvalId":"apr_1","decision":"maybe"}', 'validation_failed'],
    ['an unknown channel', '{"type":"subscribe","id":"a","channel":"everything"}', 'bad_request'],
    ['a channel without id', '{"type":"subscribe","id":"a","channel":"session:"}', 'bad_request'],
    ['a prototype as channel', '{"type":"subscribe","id":"a","channel":"__proto__"}', 'bad_request'],
    ['an id of SQL', `{"type":"subscribe","id":"a","channel":"session:' OR 1=1 --"}`, 'not_found'],
    ['an id with NUL', '{"type":"subscribe","id":"a","channel":"session:ses_\\u0000"}', 'not_found'],
    ['half a character', '{"type":"subscribe","id":"a","channel":"execution:\\ud83d"}', 'not_found'],
    [
      'brackets without end',
      `{"type":"decide","id":"a","approvalId":"apr_1","decision":"deny","answer":${'['.repeat(100_000)}${']'.repeat(100_000)}}`,
      'bad_request',
    ],
    [
      'a key that is a prototype',
      '{"type":"decide","id":"a","approvalId":"apr_1","decision":"deny","answer":{"__proto__":{}}}',
      'bad_request',
    ],
    ['a message of NUL', '{"type":"send","id":"a","sessionId":"ses_1","content":"\\u0000","clientMessageId":"c"}', 'validation_failed'],
    ['a message of blanks', '{"type":"send","id":"a","sessionId":"ses_1","content":"  ","clientMessageId":"c"}', 'validation_failed'],
    ['another channel of somebody', '{"type":"unsubscribe","id":"none"}', 'not_found'],
  ])('answers %s and goes on', async (_what, frame, code) => {
    client.socket.send(frame, { binary: typeof frame !== 'string' });
    const error = await client.type('error');
    expect(error.code).toBe(code);
    expect(typeof error.message).toBe('string');
    if (typeof frame === 'string' && frame.includes('"id":"a"') && frame.includes('subscribe')) expect(error.id).toBe('a');
    await expectServing();
  });

  it('keeps control characters of a text as data', async () => {
    const content = 'a\u0001\u001b[31m\u2028<script>alert(1)</script>\ud83d\udea6';
    client.send({ type: 'send', id: 's', sessionId: session.id, content, clientMessageId: 'ctl' });
    const answer = await client.answer('s');
    expect(answer).toMatchObject({ type: 'result', duplicate: false, message: { content } });
  });

  it('refuses subscriptions above the limit, and takes another when one is given up', async () => {
    // What is refused for want of a row leaves no trace.
    for (let i = 0; i < 20; i++) client.send({ type: 'subscribe', id: i, channel: `execution:exe_${i}` });
    for (let i = 0; i < 20; i++) expect(await client.answer(i)).toMatchObject({ type: 'error', code: 'not_found' });
    const owner = { id: session.ownerId, key: session.key, keyId: session.keyId };
    const own = await Promise.all(Array.from({ length: 101 }, () => LiveSession.start(api, owner)));
    own.forEach(({ channel }, index) => client.send({ type: 'subscribe', id: `own${index}`, channel, after: 0 }));
    const answers = await Promise.all(own.map((_, index) => client.answer(`own${index}`)));
    expect(answers.filter((answer) => answer.type === 'subscribed')).toHaveLength(100);
    expect(answers.filter((answer) => answer.type === 'error')).toMatchObject([{ code: 'rate_limited' }]);
    client.send({ type: 'unsubscribe', id: answers.find((answer) => answer.type === 'subscribed')?.id });
    client.send({ type: 'subscribe', id: 'again', channel: own[answers.findIndex((answer) => answer.type === 'error')]?.channel });
    expect((await client.answer('again')).type).toBe('subscribed');
  });

  it('answers a flood of frames by rate_limited, and cuts it off when it goes on', async () => {
    for (let i = 0; i < 400; i++) client.send({ type: 'unsubscribe', id: `u${i}` });
    const answers = await Promise.all(Array.from({ length: 400 }, (_, i) => client.answer(`u${i}`)));
    expect(new Set(answers.map((answer) => answer.code))).toEqual(new Set(['not_found', 'rate_limited']));
    client.send({ type: 'ping' });
    await client.type('pong');
    for (let i = 0; i < 10_000; i++) client.send({ type: 'unsubscribe', id: 'more' });
    expect((await client.closed).code).toBe(1008);
    expect(client.frames.filter((frame) => frame.code === 'not_found').length).toBeLessThan(1_000);
  });

  it('answers 10,000 sends at once, each by its id, and takes the next one when it has calmed down', async () => {
    const send = (id: string | number, clientMessageId = 'once') =>
      client.send({ type: 'send', id, sessionId: session.id, content: 'Hello', clientMessageId });
    for (let i = 0; i < 10_000; i++) send(i);
    await client.answer(9_999);
    const told = new Map(client.frames.flatMap((frame) => (typeof frame.id === 'number' ? [[frame.id, frame]] : [])));
    for (let i = 0; i < 10_000; i++) if (!told.has(i)) told.set(i, await client.answer(i));
    const [results, refusals] = ['result', 'error'].map((type) => [...told.values()].filter((frame) => frame.type === type));
    expect([told.size, new Set(refusals?.map((frame) => frame.code))]).toEqual([10_000, new Set(['rate_limited'])]);
    expect(results?.filter((frame) => frame['duplicate'] === false)).toHaveLength(1);
    for (let tries = 0; ; tries++) {
      send(`late${tries}`);
      const answer = await client.answer(`late${tries}`);
      if (answer.type === 'result') break;
      expect([answer.code, tries < 500]).toEqual(['rate_limited', true]);
    }
  });

  it('survives bytes that are no WebSocket frames', async () => {
    const raw = connect(api.port, '127.0.0.1');
    raw.on('error', () => undefined);
    raw.write(
      `GET /ws HTTP/1.1\r\nHost: 127.0.0.1:${api.port}\r\nAuthorization: Bearer ${session.key}\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n` +
        'Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n',
    );
    const closed = new Promise((resolve) => raw.once('close', resolve));
    raw.once('data', () => raw.write(Buffer.alloc(300, 0xff)));
    raw.resume();
    await closed;
    await expectServing();
  });

  it('takes no WebSocket at a route', async () => {
    const raw = connect(api.port, '127.0.0.1');
    let text = '';
    raw.on('data', (chunk: Buffer) => (text += chunk.toString()));
    raw.write(`GET /api/executions HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n`);
    await new Promise((resolve) => raw.once('close', resolve));
    expect(text).toMatch(/^HTTP\/1.1 404 /);
  });
});
