import { gzipSync } from 'node:zlib';
import { createHttpClient, createHttpRequestTool, type HttpClient, type ToolCall } from '../../src/tools/index.js';
import type { StepFault } from '../../src/tools/step-fault.js';
import type { Json } from '../../src/definition/value.js';
import { startStubServer, type StubServer } from '../support/stub-server.js';

const aCall = (overrides: Partial<ToolCall> = {}): ToolCall => ({
  idempotencyKey: 'exe_1/step',
  signal: new AbortController().signal,
  ownerId: 'usr_1',
  executionId: 'exe_1',
  sessionId: 'ses_1',
  redact: (text) => text,
  ...overrides,
});
interface Answer {
  status: number;
  headers: Record<string, string>;
  body: Json;
  bytes: number;
  encoding?: string;
}

describe('http:request', () => {
  let stub: StubServer;
  let other: StubServer;
  let client: HttpClient;
  beforeAll(async () => {
    [stub, other] = await Promise.all([startStubServer(), startStubServer()]);
    client = createHttpClient({ allow: ['127.0.0.1'] });
  });
  afterEach(() => (stub.clear(), other.clear()));
  afterAll(async () => {
    await client.close();
    await Promise.all([stub.close(), other.close()]);
  });
  const send = async (args: Json, call = aCall()) => (await createHttpRequestTool(client).prepare(args).run(call)) as unknown as Answer;
  const faultOf = async (args: Json, call = aCall()) =>
    send(args, call).then(
      () => {
        throw new Error('no fault');
      },
      (error: unknown) => error as StepFault,
    );

  it('gives status, headers, the parsed body and its bytes', async () => {
    stub.on('/json', { body: { a: [1, 'ü'] } });
    expect(await send({ url: `${stub.url}/json` })).toMatchObject({
      status: 200,
      body: { a: [1, 'ü'] },
      bytes: 14,
      headers: { 'content-type': 'application/json' },
    });
  });
  it.each([
    ['text stays text', { body: '{"a":1}', headers: { 'content-type': 'text/plain' } }, { body: '{"a":1}' }],
    ['JSON that does not parse stays text', { body: '{"a":', headers: { 'content-type': 'application/json' } }, { body: '{"a":' }],
    [
      'a +json type is JSON',
      { body: '{"a":1}', headers: { 'content-type': 'application/problem+json; charset=utf-8' } },
      { body: { a: 1 } },
    ],
    [
      'JSON nested 2,000 deep stays text',
      { body: '['.repeat(2000) + ']'.repeat(2000), headers: { 'content-type': 'application/json' } },
      { body: '['.repeat(2000) + ']'.repeat(2000) },
    ],
    [
      'bytes that are no text become base64',
      { body: Buffer.from([0xff, 0xfe, 0x00]), headers: { 'content-type': 'application/octet-stream' } },
      { body: '//4A', encoding: 'base64' },
    ],
    [
      'gzip is undone',
      { body: gzipSync('{"z":1}'), headers: { 'content-type': 'application/json', 'content-encoding': 'gzip' } },
      { body: { z: 1 }, bytes: 7 },
    ],
    [
      'an own property named __proto__ is data',
      { body: '{"__proto__":{"x":1}}', headers: { 'content-type': 'application/json' } },
      { body: JSON.parse('{"__proto__":{"x":1}}') as Json },
    ],
  ])('reads bodies: %s', async (_name, reply, expected) => {
    stub.on('/body', reply);
    expect(await send({ url: `${stub.url}/body` })).toMatchObject(expected);
  });
  it('sends query, JSON body, headers and the idempotency key', async () => {
    await send({
      url: `${stub.url}/in?x=1`,
      method: 'post',
      query: { y: 2, list: ['a', 'b'], gone: null },
      headers: { 'X-A': 5 },
      body: { n: null },
    });
    expect(stub.calls('/in')[0]).toMatchObject({
      method: 'POST',
      query: { x: '1', y: '2', list: 'b' },
      json: { n: null },
      headers: { 'x-a': '5', 'content-type': 'application/json', 'idempotency-key': 'exe_1/step' },
    });
  });
  it('leaves a key of the caller as it is, and credentials of the URL become a header', async () => {
    await send({ url: stub.url.replace('//', '//me:p%40ss@') + '/in', headers: { 'Idempotency-Key': 'own' } });
    expect(stub.calls('/in')[0]?.headers).toMatchObject({
      'idempotency-key': 'own',
      authorization: `Basic ${Buffer.from('me:p@ss').toString('base64')}`,
    });
  });
  it('sends an object as a form when the content type says so', async () => {
    await send({
      url: `${stub.url}/form`,
      method: 'POST',
      headers: { 'content-type': 'application/x-www-form-urlencoded' },
      body: { a: 'b c', n: 1 },
    });
    expect(stub.calls('/form')[0]?.body).toBe('a=b+c&n=1');
  });

  it.each([
    [400, false],
    [404, false],
    [408, true],
    [425, true],
    [429, true],
    [500, true],
    [503, true],
  ])('L28: fails with http_%s, retryable %s', async (status, retryable) => {
    stub.on('/fault', { status, body: { why: 'so' } });
    expect(await faultOf({ url: `${stub.url}/fault` })).toMatchObject({
      code: `http_${status}`,
      retryable,
      details: { status, body: { why: 'so' } },
    });
  });
  it.each([
    ['2', 2_000, 2_000],
    [new Date(Date.now() + 5_000).toUTCString(), 3_000, 5_000],
  ])('L28: passes on Retry-After %s', async (value, least, most) => {
    stub.on('/busy', { status: 429, headers: { 'retry-after': value } });
    const { retryAfterMs } = await faultOf({ url: `${stub.url}/busy` });
    expect(retryAfterMs).toBeGreaterThanOrEqual(least);
    expect(retryAfterMs).toBeLessThanOrEqual(most);
  });
  it('cuts a large body in the details, after secrets are out of it', async () => {
    stub.on('/big-fault', { status: 500, body: 'x'.repeat(8_190) + 'hunter2' });
    const fault = await faultOf({ url: `${stub.url}/big-fault` }, aCall({ redact: (text) => text.replaceAll('hunter2', '***') }));
    expect(fault.details?.['body']).toHaveLength(8_193);
    expect(fault.details?.['body']).not.toContain('hu');
  });
  it.each([
    ['any', 418],
    [[404], 404],
    [404, 404],
  ])('takes statuses of `expect` %j as answers', async (expect_, status) => {
    stub.on('/teapot', { status });
    expect(await send({ url: `${stub.url}/teapot`, expect: expect_ })).toMatchObject({ status });
  });
  it('takes 200 for a failure when only 404 is expected', async () => {
    expect(await faultOf({ url: `${stub.url}/ok`, expect: [404] })).toMatchObject({ code: 'http_200' });
  });
  it('fails with http_timeout after its own time, closing the connection', async () => {
    stub.on('/slow', { fault: 'hang' });
    expect(await faultOf({ url: `${stub.url}/slow`, timeoutMs: 100 })).toMatchObject({ code: 'http_timeout', retryable: true });
    expect(await stub.aborted('/slow')).toHaveLength(1);
  });
  it('fails with http_timeout also when the body stalls', async () => {
    stub.on('/stall', { fault: 'stall', body: 'abcdef' });
    expect(await faultOf({ url: `${stub.url}/stall`, timeoutMs: 100 })).toMatchObject({ code: 'http_timeout' });
  });
  it('D9: an abort closes the socket at once', async () => {
    stub.on('/slow', { fault: 'hang' });
    const cancel = new AbortController();
    const sent = faultOf({ url: `${stub.url}/slow` }, aCall({ signal: cancel.signal }));
    await stub.called('/slow');
    const at = Date.now();
    cancel.abort(new Error('cancelled'));
    expect((await sent).message).toBe('cancelled');
    await stub.aborted('/slow');
    expect(Date.now() - at).toBeLessThan(200);
  });
  it('fails with http_unreachable when the connection is cut or refused, retryable', async () => {
    stub.on('/cut', { fault: 'drop' });
    expect(await faultOf({ url: `${stub.url}/cut` })).toMatchObject({ code: 'http_unreachable', retryable: true });
    expect(await faultOf({ url: 'http://127.0.0.1:1/' })).toMatchObject({ code: 'http_unreachable', details: { cause: 'ECONNREFUSED' } });
  });
  it.each([
    ['announced', { body: Buffer.alloc(16 * 1024 * 1024 + 1) }],
    ['compressed', { body: gzipSync(Buffer.alloc(16 * 1024 * 1024 + 1)), headers: { 'content-encoding': 'gzip' } }],
  ])('fails with http_too_large above 16 MiB (%s)', async (_name, reply) => {
    stub.on('/huge', reply);
    expect(await faultOf({ url: `${stub.url}/huge` })).toMatchObject({ code: 'http_too_large', retryable: false });
  });
  it.each([
    [{}],
    [{ url: 'not a url' }],
    [{ url: 'http://x', unknown: 1 }],
    [{ url: 'http://x', timeoutMs: '5' }],
    [{ url: 'http://127.0.0.1:1', headers: { Host: 'x' } }],
    [{ url: 'http://127.0.0.1:1', headers: { 'a b': 'x' } }],
    [{ url: 'http://127.0.0.1:1', headers: { a: 'x\r\nb: c' } }],
  ])('refuses arguments that do not fit: %j', async (args) => {
    const attempt = Promise.resolve().then(() => send(args as Json));
    await expect(attempt).rejects.toMatchObject({ code: 'tool_failed', retryable: false });
  });

  describe('redirects', () => {
    it.each([
      [301, 'POST', 'GET', ''],
      [302, 'POST', 'GET', ''],
      [303, 'PUT', 'GET', ''],
      [307, 'POST', 'POST', '{"a":1}'],
      [308, 'PUT', 'PUT', '{"a":1}'],
      [301, 'PUT', 'PUT', '{"a":1}'],
    ])('%s turns %s into %s', async (status, method, then, body) => {
      stub.on('/from', { status, headers: { location: '/to' } });
      await send({ url: `${stub.url}/from`, method, body: { a: 1 } });
      expect(stub.calls('/to')[0]).toMatchObject({ method: then, body });
    });
    it('S4: drops credentials at another origin, keeps the rest and the idempotency key', async () => {
      stub.on('/from', { status: 302, headers: { location: `${other.url}/to` } });
      await send({ url: `${stub.url}/from`, headers: { Authorization: 'Bearer x', Cookie: 'a=b', 'X-Api-Key': 'k', 'X-Trace': 't' } });
      const headers = other.calls('/to')[0]?.headers;
      expect(headers).toMatchObject({ 'x-trace': 't', 'idempotency-key': 'exe_1/step' });
      expect(Object.keys(headers ?? {})).not.toEqual(expect.arrayContaining(['authorization']));
      for (const name of ['authorization', 'cookie', 'x-api-key']) expect(headers).not.toHaveProperty(name);
    });
    it('S4: keeps credentials at the same origin', async () => {
      stub.on('/from', { status: 302, headers: { location: '/to' } });
      await send({ url: `${stub.url}/from`, headers: { Authorization: 'Bearer x' } });
      expect(stub.calls('/to')[0]?.headers).toMatchObject({ authorization: 'Bearer x' });
    });
    it('ends after five with the sixth answer', async () => {
      stub.on('/round', { status: 302, headers: { location: '/round' } });
      expect(await faultOf({ url: `${stub.url}/round` })).toMatchObject({ code: 'http_302' });
      expect(stub.calls('/round')).toHaveLength(6);
    });
    it('gives the redirect itself when its status is expected', async () => {
      stub.on('/from', { status: 302, headers: { location: '/to' } });
      expect(await send({ url: `${stub.url}/from`, expect: [302] })).toMatchObject({ status: 302, headers: { location: '/to' } });
    });
  });
});
