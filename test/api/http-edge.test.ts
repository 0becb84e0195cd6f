/** The edge of HTTP: what every route shares, over a small table of its own. */
import { createHash } from 'node:crypto';
import { createServer, request, type Server } from 'node:http';
import { connect, type AddressInfo } from 'node:net';
import pino from 'pino';
import { z } from 'zod';
import { createApp } from '../../src/api/app.js';
import type { ApiDependencies } from '../../src/api/dependencies.js';
import { KeyRing } from '../../src/api/key-ring.js';
import { createApiMetrics } from '../../src/api/metrics.js';
import { RateLimiter } from '../../src/api/rate-limiter.js';
import { noContent, publicRoute, reply, route } from '../../src/api/route.js';
import { AnyJson, JsonObjectInput, pageQuery, text } from '../../src/api/shapes.js';
import { AppError } from '../../src/errors.js';
import type { Principal } from '../../src/operations/principal.js';
import { EventHub } from '../../src/realtime/event-hub.js';
import type { ProblemDocument } from '../support/service-shapes.js';

const ADMIN = `sbx_${'a'.repeat(24)}`;
const VIEWER = `sbx_${'v'.repeat(24)}`;
const aPrincipal = (overrides: Partial<Principal> = {}): Principal => ({
  userId: 'usr_1',
  name: 'Ana',
  email: 'ana@example.com',
  groups: [],
  role: 'admin',
  kind: 'person',
  keyId: 'key_1',
  scopes: null,
  ...overrides,
});

const table = [
  publicRoute({
    method: 'get',
    path: '/healthz',
    tag: 'Health',
    summary: 'Up',
    responses: { 200: z.object({ ok: z.boolean() }) },
    handle: async () => reply(200, { ok: true }),
  }),
  route({
    method: 'get',
    path: '/api/things/:id',
    tag: 'Things',
    summary: 'One',
    auth: 'read',
    params: z.object({ id: z.string().regex(/^th_\w+$/) }),
    query: z.object(pageQuery),
    responses: { 200: z.object({ id: z.string(), limit: z.number() }) },
    handle: async ({ params, query }) => reply(200, { id: params.id, limit: query.limit }),
  }),
  route({
    method: 'post',
    path: '/api/things',
    tag: 'Things',
    summary: 'Write',
    auth: 'write',
    idempotent: true,
    body: z.strictObject({
      name: text(1, 20),
      count: z.number().int(),
      free: JsonObjectInput.exactOptional(),
      any: AnyJson.exactOptional(),
    }),
    responses: { 201: z.object({ keys: z.array(z.string()), polluted: z.boolean(), idempotencyKey: z.string().nullable() }) },
    handle: async ({ body, idempotencyKey }) =>
      reply(201, { keys: Object.keys(body.free ?? {}), polluted: 'polluted' in {}, idempotencyKey: idempotencyKey ?? null }),
  }),
  route({
    method: 'post',
    path: '/api/things/decide',
    tag: 'Things',
    summary: 'Decide',
    auth: 'decide',
    body: z.strictObject({}).default({}),
    responses: { 204: null },
    handle: async () => noContent,
  }),
  route({
    method: 'get',
    path: '/api/fail/:how',
    tag: 'Things',
    summary: 'Fail',
    auth: 'read',
    params: z.object({ how: z.string() }),
    responses: { 200: z.object({ right: z.string() }) },
    handle: ({ params }) => fail(params.how),
  }),
];

async function fail(how: string): Promise<never> {
  if (how === 'away')
    throw new Error('query failed', { cause: Object.assign(new Error('connect ECONNREFUSED'), { code: 'ECONNREFUSED' }) });
  if (how === 'settled')
    throw new AppError('approval_settled', 'Settled by Bo', {
      approvalId: 'apr_1',
      approvalStatus: 'denied',
      decidedBy: [{ id: 'usr_2', name: 'Bo' }],
      decidedAt: null,
    });
  if (how === 'wrong') return { status: 200, body: { wrong: 1 } } as never;
  throw new Error('password=hunter2 at /srv/secret.ts');
}

const hash = (key: string): string => createHash('sha256').update(key).digest('hex');

let server: Server;
let base: string;
let reads: number;
const logged: string[] = [];
let limit = 0;

beforeAll(async () => {
  reads = 0;
  const keyRing = new KeyRing(async (sha256) => {
    reads++;
    if (sha256 === hash(ADMIN)) return { principal: aPrincipal(), expiresAtMs: null };
    if (sha256 === hash(VIEWER)) return { principal: aPrincipal({ role: 'viewer', keyId: 'key_2' }), expiresAtMs: null };
    return null;
  });
  const limiter = {
    take: (caller: string) => (caller === 'key_2' && limit > 0 ? new RateLimiter(limit).take(caller) || 1_500 : 0),
  } as RateLimiter;
  const deps = {
    gatekeepers: { keyRing, rateLimiter: limiter, onRateLimited: () => undefined },
    events: new EventHub({ read: async () => [], place: async () => undefined, lastSeqs: async () => new Map() }),
    metrics: createApiMetrics(),
    version: '0.0.0',
    checkReplies: true,
    log: pino({ level: 'info', serializers: { error: pino.stdSerializers.err } }, { write: (line: string) => void logged.push(line) }),
  } as unknown as ApiDependencies;
  server = createServer(createApp(deps, table)).listen(0, '127.0.0.1');
  await new Promise((resolve) => server.once('listening', resolve));
  base = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
});
afterAll(async () => {
  server.closeAllConnections();
  await new Promise((resolve) => server.close(resolve));
});

interface Sent {
  readonly status: number;
  readonly headers: { readonly [name: string]: string | string[] | undefined };
  readonly body: ProblemDocument & { readonly [field: string]: unknown };
}

/** Paths go out exactly as given: fetch and URL would tidy them. */
function send(
  method: string,
  path: string,
  options: { key?: string | null; body?: string | Buffer; headers?: Record<string, string> } = {},
): Promise<Sent> {
  const { key = ADMIN, body, headers = {} } = options;
  return new Promise((resolve, reject) => {
    const outgoing = request(
      {
        host: '127.0.0.1',
        port: Number(new URL(base).port),
        method,
        path,
        agent: false,
        headers: {
          ...(key === null ? {} : { authorization: `Bearer ${key}` }),
          ...(body === undefined ? {} : { 'content-type': 'application/json', 'content-length': String(Buffer.byteLength(body)) }),
          ...headers,
        },
      },
      (response) => {
        const chunks: Buffer[] = [];
        response
          .on('data', (chunk: Buffer) => chunks.push(chunk))
          .on('end', () => {
            const whole = Buffer.concat(chunks).toString();
            resolve({
              status: response.statusCode ?? 0,
              headers: response.headers,
              body: (whole !== '' && /json/.test(String(response.headers['content-type'])) ? JSON.parse(whole) : {}) as Sent['body'],
            });
          });
      },
    );
    outgoing.on('error', reject);
    outgoing.end(body);
  });
}
const good = JSON.stringify({ name: 'x', count: 1 });
const nested = (depth: number): string => '['.repeat(depth) + ']'.repeat(depth);

describe('HTTP edge', () => {
  describe('S8 paths', () => {
    const odd = [
      '/api/things/th_1/',
      '/api//things/th_1',
      '//api/things/th_1',
      '/api/things/th_1.',
      '/api/things/%2e%2e/th_1',
      '/api%2Fthings%2Fth_1',
      '/api/things/th_1%2F..',
      '/api/things/..%2fth_1',
      '/API/things/th_1',
      '/api/%74hings/th_1',
      '/api/things/th_1%00',
      '/api/things/th_1;x',
      '/api/things/',
      '/api/things/th_1/../th_1',
      '/api/things./th_1',
      '/healthz/',
      '/healthz/..',
      '/nothing',
    ];
    it.each(odd)('answers 401 without a key and 404 with one: %s', async (path) => {
      expect((await send('GET', path, { key: null })).status).toBe(401);
      const answer = await send('GET', path);
      expect([answer.status, answer.body.code]).toEqual([404, 'not_found']);
    });

    it.each(['/api/things/%', '/api/things/%E0%A4', '/%c0%ae', '/api/%zz'])(
      'answers 401 without a key and 400 with one: %s',
      async (path) => {
        expect((await send('GET', path, { key: null })).status).toBe(401);
        const answer = await send('GET', path);
        expect([answer.status, answer.body.code]).toEqual([400, 'bad_request']);
      },
    );
  });

  describe('keys', () => {
    it.each([
      ['none', {}],
      ['another scheme', { authorization: 'Basic YTpi' }],
      ['an unknown key', { authorization: `Bearer sbx_${'x'.repeat(24)}` }],
      ['no key shape', { authorization: "Bearer sbx_' or 1=1" }],
      ['a key twice', { authorization: `Bearer ${ADMIN} ${ADMIN}` }],
    ])('answers 401 with %s', async (_what, headers) => {
      const answer = await send('GET', '/api/things/th_1', { key: null, headers });
      expect([answer.status, answer.body.code, answer.headers['www-authenticate']]).toEqual([
        401,
        'unauthenticated',
        'Bearer realm="signalbox"',
      ]);
    });

    it('looks a key up once for a burst of requests', async () => {
      await send('GET', '/api/things/th_1');
      const before = reads;
      for (let i = 0; i < 20; i++) await send('GET', '/api/things/th_1');
      expect(reads - before).toBeLessThanOrEqual(1);
    });

    it('refuses what the role does not allow before it reads the body', async () => {
      const answer = await send('POST', '/api/things', { key: VIEWER, body: 'not json' });
      expect([answer.status, answer.body.code]).toEqual([403, 'forbidden']);
    });

    it('answers 429 with Retry-After above the rate', async () => {
      limit = 1;
      const answer = await send('GET', '/api/things/th_1', { key: VIEWER });
      limit = 0;
      expect([answer.status, answer.body.code, answer.headers['retry-after']]).toEqual([429, 'rate_limited', '2']);
    });
  });

  describe('methods', () => {
    it.each([
      ['DELETE', '/api/things/th_1', 'GET, HEAD'],
      ['GET', '/api/things', 'POST'],
      ['PATCH', '/api/things/decide', 'GET, HEAD, POST'],
      ['OPTIONS', '/api/things', 'POST'],
      ['TRACE', '/api/things', 'POST'],
    ])('%s %s answers 405 with Allow', async (method, path, allow) => {
      const answer = await send(method, path);
      expect([answer.status, answer.body.code, answer.headers['allow']]).toEqual([405, 'method_not_allowed', allow]);
      expect((await send(method, path, { key: null })).status).toBe(401);
    });
    it.each(['/healthz', '/docs', '/docs/start.js', '/'])('answers 405 without a key on the public path %s', async (path) => {
      const answer = await send('POST', path, { key: null });
      expect([answer.status, answer.body.code, answer.headers['allow']]).toEqual([405, 'method_not_allowed', 'GET, HEAD']);
    });
    it('answers HEAD as GET without the body', async () => {
      const answer = await send('HEAD', '/api/things/th_1');
      expect([answer.status, answer.headers['content-length']]).toEqual([200, '24']);
    });
    it('leads the bare address to the documentation', async () => {
      const answer = await send('GET', '/', { key: null });
      expect([answer.status, answer.headers['location']]).toEqual([302, '/docs']);
    });
    it('prefers a fixed path to a parameter', async () => {
      expect((await send('POST', '/api/things/decide')).status).toBe(204);
    });
  });

  describe('bodies', () => {
    it.each([
      ['not JSON', '{', {}, 400, 'bad_request'],
      ['not UTF-8', Buffer.from([0x22, 0xff, 0x22]), {}, 400, 'bad_request'],
      ['text', good, { 'content-type': 'text/plain' }, 415, 'unsupported_media_type'],
      ['a form', 'name=x', { 'content-type': 'application/x-www-form-urlencoded' }, 415, 'unsupported_media_type'],
      ['no type', good, { 'content-type': '' }, 415, 'unsupported_media_type'],
      ['another charset', good, { 'content-type': 'application/json; charset=latin1' }, 415, 'unsupported_media_type'],
      ['a compressed body', good, { 'content-encoding': 'gzip' }, 415, 'unsupported_media_type'],
      ['a list', '[]', {}, 422, 'validation_failed'],
      ['null', 'null', {}, 422, 'validation_failed'],
      ['no body', undefined, {}, 422, 'validation_failed'],
      ['100 000 nested arrays', `{"name":"x","count":1,"any":${nested(100_000)}}`, {}, 422, 'validation_failed'],
      ['NUL in text', '{"name":"a\\u0000","count":1}', {}, 422, 'validation_failed'],
      ['NUL deep in JSON', '{"name":"a","count":1,"any":{"x":["\\u0000"]}}', {}, 422, 'validation_failed'],
      ['half a surrogate pair', '{"name":"a","count":1,"any":"\\ud800"}', {}, 422, 'validation_failed'],
      ['a number that no double holds', '{"name":"a","count":1,"any":{"x":[1e400]}}', {}, 422, 'validation_failed'],
      ['a number below all that a double holds', '{"name":"a","count":1,"any":-1e400}', {}, 422, 'validation_failed'],
      ['a long Idempotency-Key', good, { 'idempotency-key': 'k'.repeat(256) }, 422, 'validation_failed'],
      ['over 1 MiB', `{"name":"x","count":1,"any":"${'y'.repeat(1024 * 1024)}"}`, {}, 413, 'payload_too_large'],
    ] as const)('refuses %s', async (_what, body, headers, status, code) => {
      const answer = await send('POST', '/api/things', { ...(body === undefined ? {} : { body }), headers });
      expect([answer.status, answer.body.code, answer.headers['content-type']]).toEqual([
        status,
        code,
        'application/problem+json; charset=utf-8',
      ]);
    });

    it.each([['application/json; charset=UTF-8'], ['application/vnd.api+json'], ['Application/JSON']])('takes %s', async (type) => {
      expect((await send('POST', '/api/things', { body: good, headers: { 'content-type': type } })).status).toBe(201);
    });

    it('lists every fault of body, query and headers at once, with pointers', async () => {
      const answer = await send('POST', '/api/things', {
        body: JSON.stringify({ name: '', cuont: 2, 'a/b~': 1, any: { x: '\0', 'y/z': ['\0'] } }),
        headers: { 'idempotency-key': 'k'.repeat(300) },
      });
      expect(answer.body.problems?.map(({ code, path }) => [code, path])).toEqual([
        ['invalid_field', '/headers/idempotency-key'],
        ['invalid_field', '/name'],
        ['missing_field', '/count'],
        ['invalid_field', '/any/x'],
        ['invalid_field', '/any/y~1z/0'],
        ['unknown_field', '/cuont'],
        ['unknown_field', '/a~1b~0'],
      ]);
    });

    it('X8 leaves keys such as __proto__ without effect', async () => {
      const answer = await send('POST', '/api/things', {
        body: '{"name":"x","count":1,"free":{"__proto__":{"polluted":1},"constructor":{"prototype":{"polluted":1}}}}',
      });
      expect(answer.body).toEqual({ keys: ['__proto__', 'constructor'], polluted: false, idempotencyKey: null });
      const top = await send('POST', '/api/things', { body: '{"name":"x","count":1,"__proto__":{"polluted":1}}' });
      expect([200, 201, 422]).toContain(top.status);
      expect(({} as { polluted?: unknown }).polluted).toBeUndefined();
    });

    it('answers 413 to 20 MB, sent whole, and goes on', async () => {
      expect((await send('POST', '/api/things', { body: Buffer.alloc(20 * 1024 * 1024, 32) })).status).toBe(413);
      expect((await send('GET', '/api/things/th_1')).status).toBe(200);
    });

    it.each([
      ['announced', { 'content-length': String(20 * 1024 * 1024) }, 0],
      ['streamed', {}, 1024 * 1024 + 1],
    ])('answers 413 without waiting for a body that is too large: %s', async (_how, headers, bytes) => {
      expect(await sendUnfinished(bytes, headers)).toBe(413);
    });

    it('survives a caller that hangs up in the middle of its body', async () => {
      const socket = connect(Number(new URL(base).port), '127.0.0.1');
      socket.write(
        `POST /api/things HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer ${ADMIN}\r\nContent-Type: application/json\r\nContent-Length: 500\r\n\r\n{"name":`,
      );
      await new Promise((resolve) => setImmediate(resolve));
      socket.resetAndDestroy();
      expect((await send('GET', '/api/things/th_1')).status).toBe(200);
    });
  });

  describe('queries', () => {
    it.each([
      ['limit=0'],
      ['limit=201'],
      ['limit=abc'],
      ['limit=1&limit=2'],
      ['limit=-1'],
      ['limit=1e3'],
      ['cursor=%00'],
      ['cursor='],
      ['cursor=nonsense'],
    ])('refuses ?%s with 422', async (query) => {
      const answer = await send('GET', `/api/things/th_1?${query}`);
      expect([answer.status, answer.body.code]).toEqual([422, 'validation_failed']);
      expect(answer.body.problems?.[0]?.path).toBe(`/query/${query.split('=')[0]}`);
    });
    it.each([
      ['', 50],
      ['?limit=200', 200],
      ['?limit=7&other=%E0', 7],
      ['?__proto__=1', 50],
    ])('takes %s', async (query, limit) => {
      expect((await send('GET', `/api/things/th_1${query}`)).body).toEqual({ id: 'th_1', limit });
    });
  });

  describe('errors', () => {
    it('hides what went wrong inside, and logs it under the request id', async () => {
      const answer = await send('GET', '/api/fail/inside', { headers: { 'x-request-id': 'mine-1' } });
      expect([answer.status, answer.body.code, answer.body['requestId'], answer.headers['x-request-id']]).toEqual([
        500,
        'internal_error',
        'mine-1',
        'mine-1',
      ]);
      expect(JSON.stringify(answer.body)).not.toMatch(/hunter2|secret|\.ts/);
      expect(logged.some((line) => line.includes('mine-1') && line.includes('hunter2'))).toBe(true);
    });
    it('answers 503 with Retry-After while the database is away', async () => {
      const answer = await send('GET', '/api/fail/away');
      expect([answer.status, answer.body.code, answer.headers['retry-after']]).toEqual([503, 'unavailable', '2']);
    });
    it('puts the fields of a code beside the common ones', async () => {
      const answer = await send('GET', '/api/fail/settled');
      expect(answer.body).toMatchObject({
        status: 409,
        code: 'approval_settled',
        title: 'Approval settled',
        approvalStatus: 'denied',
        decidedBy: [{ id: 'usr_2', name: 'Bo' }],
        decidedAt: null,
      });
    });
    it('throws on an answer that its schema does not allow', async () => {
      expect((await send('GET', '/api/fail/wrong')).status).toBe(500);
    });
    it.each([['a b'], ['x'.repeat(200)], ['"quoted"']])('gives its own request id instead of %s', async (given) => {
      expect((await send('GET', '/api/things/th_1', { headers: { 'x-request-id': given } })).headers['x-request-id']).toMatch(/^req_/);
    });
  });
});

/** Sends so many bytes of a body and never its end. */
function sendUnfinished(bytes: number, headers: Record<string, string>): Promise<number> {
  return new Promise((resolve, reject) => {
    const outgoing = request(
      {
        host: '127.0.0.1',
        port: Number(new URL(base).port),
        method: 'POST',
        path: '/api/things',
        agent: false,
        headers: { authorization: `Bearer ${ADMIN}`, 'content-type': 'application/json', ...headers },
      },
      (response) => {
        resolve(response.statusCode ?? 0);
        outgoing.destroy();
      },
    );
    outgoing.on('error', reject);
    outgoing.write(Buffer.alloc(Math.max(bytes, 1), 32));
  });
}
