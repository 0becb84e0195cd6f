import { routes } from '../../src/api/routes.js';
import { ROLES, type Role } from '../../src/operations/role-matrix.js';
import { ApiUnderTest, type Refusal } from './api-under-test.js';
import { somebodyWithEverything, type Owned } from './fixtures.js';
import { MATRIX, type Probe } from './route-matrix.js';

let api: ApiUnderTest;
let owned: Owned;
let keys: Readonly<Record<Role, string>>;
let browsers: Readonly<Record<Role, Browser>>;
let expired: string;
let revoked: string;
let disabled: string;
let stranger: string;
let otherAdmin: string;

beforeAll(async () => {
  api = await ApiUnderTest.start();
  owned = await somebodyWithEverything(api, 'Ana');
  keys = Object.fromEntries(
    await Promise.all(ROLES.map(async (role) => [role, await api.keyOf(owned.userId, { role })] as const)),
  ) as Record<Role, string>;
  browsers = Object.fromEntries(await Promise.all(ROLES.map(async (role) => [role, await loggedIn(keys[role])] as const))) as Record<
    Role,
    Browser
  >;
  expired = await api.keyOf(owned.userId, { role: 'admin', expiresAt: new Date(Date.now() - 1_000).toISOString() });
  stranger = (await api.person('editor', { name: 'Eve' })).key;
  otherAdmin = (await api.person('admin', { name: 'Zed' })).key;
  ({ key: revoked } = await revokedKey());
  const gone = await api.person('admin', { name: 'Gone' });
  await api.send('PATCH', `/api/users/${gone.id}`, { key: owned.adminKey, body: { disabled: true } });
  disabled = gone.key;
});
afterAll(() => api.close());

async function revokedKey(): Promise<{ readonly key: string }> {
  const { body } = await api.send<{ key: { id: string }; secret: string }>('POST', '/api/keys', {
    key: owned.adminKey,
    body: { name: 'short', role: 'admin', kind: 'person' },
  });
  await api.send('GET', '/api/me', { key: body.secret });
  await api.send('DELETE', `/api/keys/${body.key.id}`, { key: owned.adminKey });
  return { key: body.secret };
}

async function call(probe: Probe, key: string | null, more: { readonly [name: string]: string } = {}) {
  const { path, body, headers: own = {} } = probe.call(owned);
  const method = probe.route.split(' ')[0] as string;
  const headers = { ...own, ...more };
  if (probe.isEndless === true) {
    const response = await api.open(method, path, { key, headers });
    if (response.statusCode === 200) {
      response.destroy();
      return { status: 200, body: {} as Refusal };
    }
    response.resume();
  }
  return api.send(method, path, { key, body, headers });
}
/** What a logged-in browser sends by itself, and what its page adds to writes. */
interface Browser {
  readonly cookie: { readonly cookie: string };
  readonly token: { readonly 'x-csrf-token': string };
}

async function loggedIn(key: string): Promise<Browser> {
  const { headers, body } = await api.send<{ csrfToken: string }>('POST', '/api/login', { body: { key } });
  return { cookie: { cookie: headers['set-cookie']?.[0]?.split(';')[0] ?? '' }, token: { 'x-csrf-token': body.csrfToken } };
}
const isWrite = (probe: Probe): boolean => !probe.route.startsWith('GET ');
const may = (probe: Probe, role: Role): boolean => probe.roles === 'everybody' || probe.roles.includes(role);

describe('S1 who may call what', () => {
  it('has a line for every route of the table, and no other', () => {
    expect(MATRIX.map((probe) => probe.route).toSorted()).toEqual(
      routes.map((route) => `${route.method.toUpperCase()} ${route.path}`).toSorted(),
    );
  });

  describe.each(MATRIX)('$route', (probe) => {
    const isPublic = probe.roles === 'everybody';

    it.each([
      ['no key', () => null],
      ['an expired key', () => expired],
      ['a revoked key', () => revoked],
      ['the key of a disabled person', () => disabled],
    ])(`answers ${isPublic ? 'as anybody' : '401'} with %s`, async (_what, key) => {
      const { status, body } = await call(probe, key());
      if (isPublic) expect(probe.ok).toContain(status);
      else expect([status, body.code]).toEqual([401, 'unauthenticated']);
    });

    for (const role of ROLES.filter((each) => !may(probe, each))) {
      it(`refuses the role ${role}`, async () => {
        const { status, body } = await call(probe, keys[role]);
        expect([status, body.code]).toEqual([403, 'forbidden']);
      });
    }

    if (probe.stranger === 404) {
      it('S2 knows nothing of it for another owner, be it an admin', async () => {
        const { status, body } = await call(probe, stranger);
        expect([status, body.code]).toEqual([404, 'not_found']);
        if (!probe.route.includes('/api/approvals')) expect((await call(probe, otherAdmin)).status).toBe(404);
      });
    }
    if (probe.stranger === 'empty') {
      it('S2 shows another owner nothing of it', async () => {
        const { status, body } = await call(probe, stranger);
        expect([status, body['items']]).toEqual([200, []]);
      });
    }

    it.each(ROLES.filter((role) => may(probe, role)))('serves the role %s', async (role) => {
      const { status, body } = await call(probe, keys[role]);
      expect({ status, body }).toEqual({ status: probe.ok.find((each) => each === status) ?? probe.ok, body });
    });

    if (isPublic) return;
    it('S7 serves a browser that is logged in, by its role', async () => {
      for (const role of ROLES) {
        const { cookie, token } = probe.route === 'POST /api/logout' ? await loggedIn(keys[role]) : browsers[role];
        const { status, body } = await call(probe, null, { ...cookie, ...(isWrite(probe) ? token : {}) });
        if (may(probe, role)) expect({ status, body }).toEqual({ status: probe.ok.find((each) => each === status) ?? probe.ok, body });
        else expect([status, body.code]).toEqual([403, 'forbidden']);
      }
    });

    if (!isWrite(probe)) return;
    it('S7 refuses a write of a logged-in browser without its token, with another’s, and from a page of another origin', async () => {
      const { cookie, token } = browsers.admin;
      for (const sent of [cookie, { ...cookie, ...browsers.editor.token }, { ...cookie, ...token, origin: 'https://evil.example' }]) {
        const { status, body } = await call(probe, null, sent);
        expect([status, body.code]).toEqual([403, 'forbidden']);
      }
    });
  });
});

describe('S2 another owner’s ids inside a request', () => {
  let mine: Owned;
  beforeAll(async () => {
    mine = await somebodyWithEverything(api, 'Ben');
  });
  const items = async (path: string): Promise<unknown> => (await api.send(`GET`, path, { key: stranger })).body['items'];

  it.each([
    ['executions of a workflow', () => `/api/executions?workflowId=${mine.workflowId}`],
    ['approvals of an execution', () => `/api/approvals?executionId=${mine.executionId}`],
    ['executions by id', () => `/api/executions?q=${mine.executionId}`],
    ['workflows by name', () => '/api/workflows?q=Ben'],
  ])('finds no %s', async (_what, path) => {
    expect(await items(path())).toEqual([]);
  });

  it('starts nothing in another’s session', async () => {
    const { body: own } = await api.send<{ workflow: { id: string } }>('POST', '/api/workflows/sync', {
      key: stranger,
      body: { name: 'Own', data: { name: 'Own', steps: [{ type: 'set', values: {} }] } },
    });
    const { body: theirs } = await api.send<{ execution: { sessionId: string } }>('GET', `/api/executions/${mine.executionId}`, {
      key: mine.adminKey,
    });
    const answer = await api.send('POST', `/api/workflows/${own.workflow.id}/run`, {
      key: stranger,
      body: { sessionId: theirs.execution.sessionId },
    });
    expect([answer.status, answer.body.code]).toEqual([404, 'not_found']);
    expect(await items('/api/executions')).toEqual([]);
  });

  it('does not overwrite a workflow of the same slug or name', async () => {
    const before = await api.send('GET', `/api/workflows/${mine.workflowId}`, { key: mine.adminKey });
    const answer = await api.send<{ created: boolean }>('POST', '/api/workflows/sync', {
      key: stranger,
      body: { slug: mine.slug, name: "Ben's", data: { name: "Ben's", steps: [{ type: 'set', values: { stolen: true } }] } },
    });
    expect([answer.status, answer.body.created]).toEqual([200, true]);
    expect((await api.send('GET', `/api/workflows/${mine.workflowId}`, { key: mine.adminKey })).body).toEqual(before.body);
  });

  it('makes no key for another, and revokes none', async () => {
    const made = await api.send('POST', '/api/keys', {
      key: stranger,
      body: { name: 'x', role: 'editor', kind: 'person', userId: mine.userId },
    });
    const revoking = await api.send('DELETE', `/api/keys/${mine.keyId}`, { key: stranger });
    expect([made.status, revoking.status]).toEqual([403, 404]);
    expect((await api.send('GET', '/api/me', { key: mine.adminKey })).status).toBe(200);
  });
});

describe('keys and roles', () => {
  it.each([
    ['viewer', 'runner'],
    ['approver', 'runner'],
    ['runner', 'editor'],
    ['editor', 'admin'],
    ['runner', 'admin'],
  ] as const)('lets no %s make a key of a %s', async (role, wider) => {
    const answer = await api.send('POST', '/api/keys', { key: keys[role], body: { name: 'wider', role: wider, kind: 'person' } });
    expect([answer.status, answer.body.code]).toEqual([403, 'forbidden']);
  });

  it.each(ROLES)('lets an agent’s key of role %s decide nothing, make no person’s key, and writes the try down', async (role) => {
    const agent = await api.keyOf(owned.userId, { role, kind: 'agent' });
    for (const verb of ['approve', 'deny']) {
      const answer = await api.send('POST', `/api/approvals/${owned.approvalId}/${verb}`, { key: agent, body: {} });
      expect([answer.status, answer.body.code]).toEqual([403, 'agent_cannot_decide']);
    }
    const nonsense = await api.send('POST', `/api/approvals/${owned.approvalId}/approve`, { key: agent, body: { nonsense: true } });
    expect([nonsense.status, nonsense.body.code]).toEqual([403, 'agent_cannot_decide']);
    const key = await api.send('POST', '/api/keys', { key: agent, body: { name: 'x', role: 'viewer', kind: 'person' } });
    expect([key.status, key.body.code]).toEqual([403, 'forbidden']);
    const { body } = await api.send<{ items: { action: string; targetId: string; details: { code: string } }[] }>(
      'GET',
      '/api/audit?limit=1',
      { key: owned.adminKey },
    );
    expect(body.items[0]).toMatchObject({
      action: 'approval.refused',
      targetId: owned.approvalId,
      details: { code: 'agent_cannot_decide' },
    });
  });

  it('narrows a key to its scopes', async () => {
    const key = await api.keyOf(owned.userId, { role: 'admin', scopes: ['read'] });
    const [read, run, users] = await Promise.all([
      api.send('GET', '/api/workflows', { key }),
      api.send('POST', '/api/workflows/test-run', { key, body: {} }),
      api.send('GET', '/api/users', { key }),
    ]);
    expect([read.status, run.status, users.status]).toEqual([200, 403, 403]);
  });

  it('takes a role away from a person’s keys at once', async () => {
    const person = await api.person('editor', { name: 'Fay' });
    const write = () => api.send('PUT', '/api/secrets/TAKEN_AWAY', { key: person.key, body: { value: 'x' } });
    expect((await write()).status).toBe(204);
    await api.send('PATCH', `/api/users/${person.id}`, { key: owned.adminKey, body: { role: 'viewer' } });
    expect((await write()).status).toBe(403);
  });

  it('never shows a secret again', async () => {
    const { body: made } = await api.send<{ secret: string; key: { id: string } }>('POST', '/api/keys', {
      key: owned.adminKey,
      body: { name: 'once', role: 'viewer', kind: 'agent' },
    });
    expect(made.secret).toMatch(/^sbx_[A-Za-z0-9]{20,}$/);
    const lists = await Promise.all(
      ['/api/keys', '/api/me', '/api/audit', '/api/secrets', '/api/users'].map((path) => api.send('GET', path, { key: owned.adminKey })),
    );
    const shown = JSON.stringify(lists.map((list) => list.body));
    expect(shown).toContain(made.key.id);
    expect(shown).not.toMatch(/sbx_|hidden/);
  });
});
