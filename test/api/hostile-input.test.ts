/** What nobody sends by accident: each gets its documented problem, nothing is half-written, the process goes on. */
import { ApiUnderTest, type Refusal } from './api-under-test.js';
import { aDefinition, somebodyWithEverything, type Owned } from './fixtures.js';

let api: ApiUnderTest;
let ana: Owned;
beforeAll(async () => {
  api = await ApiUnderTest.start();
  ana = await somebodyWithEverything(api, 'Ana');
});
afterAll(() => api.close());

const post = <Body = Refusal>(path: string, body: unknown) => api.send<Body>('POST', path, { key: ana.adminKey, body });
const validate = (data: string) =>
  post<{ valid: boolean; hash: string | null; problems: { code: string; path: string; message: string }[] }>(
    '/api/workflows/validate',
    `{"data":${data}}`,
  );

/** Conditionals inside conditionals, as JSON text: JSON.stringify would not survive it either. */
const nestedSteps = (depth: number): string =>
  `{"name":"Deep","steps":[${'{"type":"conditional","condition":"true","then":['.repeat(depth)}{"type":"set","values":{"x":1}}${']}'.repeat(depth)}]}`;
const withCondition = (condition: string): string =>
  `{"name":"Expression","steps":[{"id":"c","type":"loop","while":${JSON.stringify(condition)},"steps":[{"id":"s","type":"set","values":{}}]}]}`;

describe('hostile definitions', () => {
  it.each([
    ['2 000 nested steps', nestedSteps(2_000)],
    ['20 000 nested steps', nestedSteps(20_000)],
    ['100 000 nested arrays', '['.repeat(100_000) + ']'.repeat(100_000)],
    [
      '100 000 nested arrays as a value',
      `{"name":"x","steps":[{"id":"a","type":"set","values":{"v":${'['.repeat(100_000)}${']'.repeat(100_000)}}}]}`,
    ],
    ['100 000 nested objects', `${'{"a":'.repeat(100_000)}1${'}'.repeat(100_000)}`],
    ['an expression 1 000 deep', withCondition(`${'('.repeat(1_000)}1${')'.repeat(1_000)}${' + 1'.repeat(1_000)}`)],
    ['an expression 100 000 deep', withCondition(`${'('.repeat(100_000)}1${')'.repeat(100_000)}`)],
    ['100 000 nots', withCondition(`${'!'.repeat(100_000)}true`)],
    ['a template 20 000 braces deep', JSON.stringify({ name: 'x', steps: [{ id: 'a', type: 'set', values: { v: '{{'.repeat(20_000) } }] })],
    ['null', 'null'],
    ['a text', '"x"'],
    ['a number', '1e308'],
    ['a list', '[]'],
    ['__proto__ as a definition', '{"__proto__":{"name":"x","steps":[]}}'],
  ])('is told about %s, whole and at once', async (_what, data) => {
    const { status, body } = await validate(data);
    expect([status, body.valid, body.hash]).toEqual([200, false, null]);
    expect(body.problems.length).toBeGreaterThan(0);
    const saved = await post('/api/workflows/sync', `{"name":"Hostile","data":${data}}`);
    expect([saved.status, ['definition_invalid', 'definition_too_large'].includes(saved.body.code)]).toEqual([422, true]);
    expect(JSON.stringify(saved.body).length).toBeLessThan(200_000);
  });

  it.each([
    'constructor',
    'a["__proto__"]',
    'prototype',
    '`x`',
    'this',
    'new X()',
    'a[b]',
    'nope(1)',
    'process.exit()',
    'a.constructor("return 1")()',
    '(() => 1)()',
    'x = 1',
    'x++',
    'import("fs")',
    'eval("1")',
  ])('X8 refuses %s with its column', async (expression) => {
    const { body } = await validate(withCondition(expression));
    expect(body.problems).toHaveLength(1);
    expect(body.problems[0]).toMatchObject({ code: 'expression_parse_error', path: '/steps/0/while', column: expect.any(Number) });
  });

  it.each([
    ['NUL in a name', { name: 'a\0b', steps: [{ id: 'a', type: 'set', values: {} }] }],
    ['NUL in a value', aDefinition('NUL', [{ id: 'a', type: 'set', values: { v: 'x\0' } }])],
    ['half a surrogate pair', aDefinition('Half', [{ id: 'a', type: 'set', values: { v: '\ud800' } }])],
  ])('never breaks on %s', async (_what, data) => {
    const saved = await post<Refusal & { workflow?: { id: string } }>('/api/workflows/sync', { data });
    expect([200, 422]).toContain(saved.status);
    if (saved.status === 200)
      expect((await api.send('GET', `/api/workflows/${saved.body.workflow?.id}`, { key: ana.adminKey })).status).toBe(200);
  });

  it('lists every fault of a definition that has them all', async () => {
    const { body } = await post('/api/workflows/sync', {
      data: {
        steps: [
          { id: 'a/b', type: 'set', values: {} },
          { id: 'b', type: 'banana' },
          { id: 'c', type: 'bash' },
          { id: 'd', type: 'loop', while: '1 +', steps: [] },
          { id: 'e', type: 'wait', duration: '1 week' },
        ],
      },
    });
    expect(body.code).toBe('definition_invalid');
    expect(body.problems?.map(({ code }) => code)).toEqual(
      expect.arrayContaining(['invalid_step_id', 'unknown_step_type', 'missing_field', 'expression_parse_error', 'duration_invalid']),
    );
    expect(body.problems?.find(({ path }) => path === '/name')?.code).toBe('missing_field');
  });

  it('refuses a call that can never succeed, and leaves to the run what a template gives', async () => {
    const saving = (args: object) =>
      post('/api/workflows/sync', {
        data: aDefinition('Calls', [{ id: 'c', type: 'tool', tool: 'http:request', arguments: args }]),
      });
    const { status, body } = await saving({ methd: 'GET', method: 7, timeoutMs: '{{ variables.ms }}' });
    expect([status, body.code]).toEqual([422, 'definition_invalid']);
    const errors = body.problems?.filter(({ code }) => code !== 'unknown_variable');
    expect(errors?.map(({ code, path }) => `${code} ${path}`).toSorted()).toEqual([
      'invalid_field /steps/0/arguments/method',
      'missing_field /steps/0/arguments/url',
      'unknown_field /steps/0/arguments/methd',
    ]);
    expect((await saving({ url: '{{ variables.url }}', timeoutMs: '{{ variables.ms }}' })).status).toBe(200);
    const trying = (mode: string) =>
      post('/api/workflows/test-run', {
        data: aDefinition('Calls', [{ id: 'c', type: 'tool', tool: 'http:request' }]),
        mode,
      });
    expect([(await trying('live')).status, (await trying('dry')).status]).toEqual([422, 200]);
  });

  it('says what a call lacks in words', async () => {
    const { status, body } = await post('/api/workflows/validate', {});
    expect([status, body.detail]).toEqual([422, '/data: data is required']);
    expect((await post('/api/workflows/validate', [])).body.detail).toBe('Invalid input: expected object, received array');
  });

  it('refuses an input that would come back as null', async () => {
    const { status, body } = await post(`/api/workflows/${ana.workflowId}/run`, '{"variables":{"n":1e400}}');
    expect([status, body.code, body.problems?.map(({ path }) => path)]).toEqual([422, 'validation_failed', ['/variables/n']]);
  });

  it('takes a definition as large as a body may be, or says that it is too large', async () => {
    const data = aDefinition('Large', [{ id: 'a', type: 'set', values: { v: 'x'.repeat(1_000_000) } }]);
    const { status } = await post('/api/workflows/sync', { data });
    expect([200, 422]).toContain(status);
  });
});

describe('hostile input', () => {
  it.each([
    ['variables that are a list', { variables: [] }, 422],
    ['a variable that nobody declared', { variables: { nope: 1 } }, 422],
    ['constructor as a variable', { variables: { constructor: 1 } }, 422],
    ['NUL in a variable', { variables: { v: '\0' } }, 422],
    ['a key of 256 characters', { idempotencyKey: 'k'.repeat(256) }, 422],
    ['an empty key', { idempotencyKey: '' }, 422],
    ['NUL in a key', { idempotencyKey: '\0' }, 422],
    ['an unknown version', { version: '9.9.9' }, 404],
    ['NUL in a version', { version: '\0' }, 422],
    ['a session that is not there', { sessionId: 'ses_nope' }, 404],
    ['an unknown field', { varaibles: {} }, 422],
  ])('starts nothing with %s', async (_what, body, status) => {
    const executions = async (): Promise<number> =>
      ((await api.send('GET', `/api/workflows/${ana.workflowId}/executions`, { key: ana.adminKey })).body['items'] as unknown[]).length;
    const before = await executions();
    const answer = await post(`/api/workflows/${ana.workflowId}/run`, body);
    expect([answer.status, await executions()]).toEqual([status, before]);
  });

  it('says itself what triggered it, whatever the caller claims', async () => {
    const { status, body } = await post<{ execution: { variables: { _trigger: { type: string } }; trigger: { type: string } } }>(
      `/api/workflows/${ana.workflowId}/run`,
      '{"variables":{"_trigger":{"type":"webhook"},"__proto__":{"polluted":1}}}',
    );
    expect([status, body.execution.trigger.type, body.execution.variables._trigger.type]).toEqual([202, 'manual', 'manual']);
    expect(({} as { polluted?: unknown }).polluted).toBeUndefined();
  });

  it.each([
    'NUL%00',
    '%F0%9F%98%80',
    "'; drop table users; --",
    'exe_' + 'a'.repeat(140),
    '..%2f..%2fetc%2fpasswd',
    '%25',
    '__proto__',
    'constructor',
    '%u0000',
    '🦊',
  ])('answers 404 to an id such as %s', async (id) => {
    for (const path of ['/api/workflows/', '/api/executions/', '/api/approvals/', '/api/values/']) {
      const { status, body } = await api.send('GET', path + encodeURI(id).replaceAll('%25', '%'), { key: ana.adminKey });
      expect([path, status === 400 ? 404 : status, body.code === 'bad_request' ? 'not_found' : body.code]).toEqual([
        path,
        404,
        'not_found',
      ]);
    }
  });

  it.each([
    '?cursor=nonsense',
    '?cursor=%00',
    '?limit=0',
    '?limit=201',
    '?limit=x',
    '?since=yesterday',
    '?since=2026-13-01T00:00:00Z',
    '?status=banana',
    '?triggerType=x',
    '?includeTest=maybe',
    '?q=%00',
    '?q=%25_%5C',
    '?workflowId=%00',
  ])('answers a list with %s by items or 422', async (query) => {
    const { status } = await api.send('GET', `/api/executions${query}`, { key: ana.adminKey });
    expect([200, 422]).toContain(status);
  });

  it.each(['-1', '1.5', 'x', '9'.repeat(30), '1e3', '%00'])('answers 422 to events after %s', async (after) => {
    expect((await api.send('GET', `/api/executions/${ana.executionId}/events?after=${after}`, { key: ana.adminKey })).status).toBe(422);
  });

  it('keeps user data of the shape of a reference as data (D22)', async () => {
    const ref = { ref: ana.valueRef, bytes: 5, sha256: 'x', preview: '' };
    const { status } = await post(`/api/executions/${ana.executionId}/events`, { event: 'e', payload: ref });
    expect(status).toBe(202);
  });

  it('is alive behind all that, and met no fault of its own', async () => {
    expect((await api.send('GET', '/healthz')).status).toBe(200);
    expect(api.logged.filter((line) => line.includes('"level":50'))).toEqual([]);
  });
});
