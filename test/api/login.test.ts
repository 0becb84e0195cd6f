/** Browsers that are logged in by cookie: what they are given, what ends them, and what ends with them. */
import { SocketClient } from '../realtime/support/socket-client.js';
import { ApiUnderTest } from './api-under-test.js';

let api: ApiUnderTest;
let other: ApiUnderTest;
beforeAll(async () => {
  // Long between looks: what happens at once happens because it was told.
  api = await ApiUnderTest.start({ recheckMs: 600_000 });
  other = await ApiUnderTest.start({ beside: api, recheckMs: 600_000 });
});
afterAll(async () => {
  await other.close();
  await api.close();
});

interface Me {
  readonly user: { readonly id: string };
  readonly key: { readonly id: string } | null;
  readonly csrfToken: string | null;
}
type Headers = { readonly [name: string]: string };

async function logIn(key: string, headers: Headers = {}) {
  const answer = await api.send<Me>('POST', '/api/login', { body: { key }, headers });
  const set = answer.headers['set-cookie']?.[0] ?? '';
  const cookie: Headers = { cookie: `theme=dark; ${set.split(';')[0] ?? ''}` };
  return { answer, set, cookie, csrf: { 'x-csrf-token': answer.body.csrfToken ?? '' } };
}
const me = (headers: Headers, at = api) => at.send<Me>('GET', '/api/me', { headers });
const socket = (headers: Headers, path = '/ws', at = api) => SocketClient.open(at.port, path, { headers });
const streamOf = async (headers: Headers, at = api) => {
  const { body } = await at.send<{ items: { id: string }[] }>('GET', '/api/sessions', { headers });
  const response = await at.open('GET', `/api/sessions/${body.items[0]?.id ?? ''}/stream`, { headers });
  response.resume();
  return { status: response.statusCode, ended: new Promise<void>((resolve) => response.once('close', resolve)) };
};

describe('logging in', () => {
  it('sets a cookie that no script reads and no other site sends, and answers as GET /api/me does', async () => {
    const { id, key, keyId } = await api.person('runner');
    const { answer, set, cookie } = await logIn(key);
    expect([answer.status, answer.body.user.id, answer.body.key?.id]).toEqual([200, id, keyId]);
    expect(set).toMatch(/^signalbox_login=sbl_[\w-]{43}; Path=\/; HttpOnly; SameSite=Strict; Expires=\w{3}, .* GMT$/);
    expect((await me(cookie)).body).toEqual(answer.body);
    expect((await me(cookie, other)).body).toEqual(answer.body);
  });

  it('keeps the cookie to https where it is reached by that', async () => {
    const { set } = await logIn((await api.person('viewer')).key, { 'x-forwarded-proto': 'https' });
    expect(set).toContain('; Secure;');
  });

  it('keeps neither cookie nor token as they are shown', async () => {
    const { set, csrf } = await logIn((await api.person('viewer')).key);
    const { rows } = await api.db.pool.query('SELECT * FROM logins');
    expect(JSON.stringify(rows)).not.toContain(/=([^;]+)/.exec(set)?.[1]);
    expect(JSON.stringify(rows)).not.toContain(csrf['x-csrf-token']);
  });

  it.each([
    ['an unknown key', `sbx_${'x'.repeat(43)}`, {}, 401, 'unauthenticated'],
    ['no key', 'hunter2', {}, 401, 'unauthenticated'],
    ['a page of another origin', null, { origin: 'https://evil.example' }, 403, 'forbidden'],
  ])('refuses %s', async (_what, given, headers, status, code) => {
    const { answer, set } = await logIn(given ?? (await api.person('viewer')).key, headers);
    expect([answer.status, (answer.body as unknown as { code: string }).code, set]).toEqual([status, code, '']);
  });

  it('refuses a body that is no JSON, as a form of another site would send it', async () => {
    const { key } = await api.person('viewer');
    const answer = await api.send('POST', '/api/login', {
      body: `key=${key}`,
      headers: { 'content-type': 'application/x-www-form-urlencoded' },
    });
    expect([answer.status, answer.headers['set-cookie']]).toEqual([415, undefined]);
  });

  it('goes by a key in the header where both are shown', async () => {
    const [one, two] = [await api.person('viewer'), await api.person('admin')];
    const { cookie } = await logIn(one.key);
    const { body } = await api.send<Me>('GET', '/api/me', { key: two.key, headers: cookie });
    expect([body.user.id, body.csrfToken]).toEqual([two.id, null]);
    const wrong = await api.send('GET', '/api/me', { key: `sbx_${'x'.repeat(43)}`, headers: cookie });
    expect(wrong.status).toBe(401);
  });

  it('counts as a use of its key', async () => {
    const { key, keyId } = await api.person('viewer');
    const { cookie } = await logIn(key);
    await api.db.pool.query('UPDATE api_keys SET last_used_at = NULL WHERE id = $1', [keyId]);
    await me(cookie);
    const { rows } = await api.db.pool.query<{ used: boolean }>('SELECT last_used_at IS NOT NULL AS used FROM api_keys WHERE id = $1', [
      keyId,
    ]);
    expect(rows).toEqual([{ used: true }]);
  });

  it('has an agent’s key stay an agent', async () => {
    const { key } = await api.person('admin', { kind: 'agent' });
    const { cookie, csrf } = await logIn(key);
    const answer = await api.send('POST', '/api/approvals/apr_00000000000000000000000000/approve', {
      body: {},
      headers: { ...cookie, ...csrf },
    });
    expect([answer.status, answer.body.code]).toEqual([403, 'agent_cannot_decide']);
  });
});

describe('sockets and streams of a logged-in browser', () => {
  it('opens a socket by the cookie alone, and by a ticket', async () => {
    const { cookie, csrf } = await logIn((await api.person('runner')).key);
    const byCookie = await socket({ ...cookie, origin: `http://127.0.0.1:${api.port}` });
    const { body } = await api.send<{ ticket: string }>('POST', '/api/ws-ticket', { headers: { ...cookie, ...csrf } });
    const byTicket = await socket(cookie, `/ws?ticket=${body.ticket}`, other);
    for (const client of [byCookie, byTicket]) {
      await client.type('hello');
      await client.end();
    }
  });

  it('S7 refuses a socket of another origin, and a ticket without the token', async () => {
    const { cookie } = await logIn((await api.person('runner')).key);
    await expect(socket({ ...cookie, origin: 'https://evil.example' })).rejects.toThrow('HTTP 403');
    expect((await api.send('POST', '/api/ws-ticket', { headers: cookie })).status).toBe(403);
    await expect(socket(cookie, '/ws?ticket=wst_made_up')).rejects.toThrow('HTTP 401');
  });
});

describe('the end of a login', () => {
  /** All that a browser can have open, at both gateways. */
  async function openAll(cookie: Headers, csrf: Headers) {
    const { body } = await api.send<{ ticket: string }>('POST', '/api/ws-ticket', { headers: { ...cookie, ...csrf } });
    const sockets = [await socket(cookie), await socket(cookie, '/ws', other), await socket({}, `/ws?ticket=${body.ticket}`, other)];
    for (const client of sockets) await client.type('hello');
    const streams = [await streamOf(cookie), await streamOf(cookie, other)];
    expect(streams.map(({ status }) => status)).toEqual([200, 200]);
    return { sockets, streams };
  }

  it.each([
    ['it logs out', async (_keyId: string, headers: Headers) => void (await api.send('POST', '/api/logout', { headers }))],
    ['its key is revoked', async (keyId: string, headers: Headers) => void (await api.send('DELETE', `/api/keys/${keyId}`, { headers }))],
    [
      'its person is disabled',
      async (_keyId: string, _headers: Headers, id: string) =>
        void (await api.send('PATCH', `/api/users/${id}`, { key: (await api.person('admin')).key, body: { disabled: true } })),
    ],
  ])('ends what is open, at every gateway, when %s', async (_when, end) => {
    const { id, key, keyId } = await api.person('runner');
    const { cookie, csrf } = await logIn(key);
    const { sockets, streams } = await openAll(cookie, csrf);
    await end(keyId, { ...cookie, ...csrf }, id);
    const closes = await Promise.all(sockets.map((client) => client.closed));
    expect(closes.map(({ code }) => code)).toEqual([4401, 4401, 4401]);
    await Promise.all(streams.map(({ ended }) => ended));
    for (const at of [api, other]) expect((await me(cookie, at)).status).toBe(401);
  });

  it('leaves the key and its other logins as they are', async () => {
    const { key } = await api.person('runner');
    const [one, two] = [await logIn(key), await logIn(key)];
    const kept = await socket(two.cookie);
    const gone = await api.send('POST', '/api/logout', { headers: { ...one.cookie, ...one.csrf } });
    expect([gone.status, gone.headers['set-cookie']]).toEqual([204, ['signalbox_login=; Path=/; HttpOnly; SameSite=Strict; Max-Age=0']]);
    expect([(await me(one.cookie)).status, (await me(two.cookie)).status]).toEqual([401, 200]);
    expect((await api.send('GET', '/api/me', { key })).status).toBe(200);
    kept.send({ type: 'ping' });
    await kept.type('pong');
    await kept.end();
  });

  it('comes no later than its key’s', async () => {
    const { id } = await api.person('runner');
    const expiresAt = new Date(Date.now() + 3_600_000);
    const { cookie, set } = await logIn(await api.keyOf(id, { role: 'runner', expiresAt: expiresAt.toISOString() }));
    expect(Date.parse(/Expires=([^;]+)/.exec(set)?.[1] ?? '')).toBeLessThanOrEqual(expiresAt.getTime());
    await api.db.pool.query("UPDATE api_keys SET expires_at = now() - interval '1 ms' WHERE user_id = $1 AND expires_at IS NOT NULL", [id]);
    // A gateway remembers a login for two seconds.
    for (const deadline = Date.now() + 20_000; (await me(cookie)).status === 200; ) expect(Date.now()).toBeLessThan(deadline);
  });

  it('comes after its time', async () => {
    const { cookie } = await logIn((await api.person('runner')).key);
    await api.db.pool.query("UPDATE logins SET expires_at = now() - interval '1 ms'");
    expect((await me(cookie)).status).toBe(401);
  });
});
