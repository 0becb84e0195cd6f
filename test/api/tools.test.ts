import { Client } from '@modelcontextprotocol/sdk/client/index.js';
import { StreamableHTTPClientTransport } from '@modelcontextprotocol/sdk/client/streamableHttp.js';
import { putValue } from '../../src/store/values.js';
import { startStubServer, type StubServer } from '../support/stub-server.js';
import { McpHttpServer } from '../tools/support/mcp-http-server.js';
import { ApiUnderTest, type Refusal } from './api-under-test.js';

interface Listed {
  readonly items: readonly { readonly id: string; readonly risk: string; readonly parameters: object }[];
  readonly unavailable: readonly { readonly provider: string; readonly reason: string }[];
}
interface Called {
  readonly success: boolean;
  readonly data?: unknown;
  readonly error?: { readonly code: string; readonly message: string; readonly hint: string };
}

let api: ApiUnderTest;
let stub: StubServer;
let mcp: McpHttpServer;
let ana: { readonly id: string; readonly key: string };
let bo: { readonly id: string; readonly key: string };
let agent: string;

beforeAll(async () => {
  [stub, mcp] = await Promise.all([startStubServer(), McpHttpServer.start()]);
  const program = { headers: {}, timeoutMs: 10_000 };
  api = await ApiUnderTest.start({
    tools: {
      toolPolicy: { 'notes:note': 'deny' },
      mcpServers: { notes: { ...program, url: mcp.url }, away: { ...program, url: 'http://127.0.0.1:9/mcp' } },
    },
  });
  [ana, bo] = await Promise.all([api.person('editor', { name: 'Ana' }), api.person('editor', { name: 'Bo' })]);
  agent = await api.keyOf(ana.id, { role: 'editor', kind: 'agent' });
});
afterAll(async () => {
  await api.close();
  await Promise.all([stub.close(), mcp.stop()]);
});

const call = async (
  toolId: string,
  params: object = {},
  more: { readonly key?: string; readonly summary?: string } = {},
): Promise<Called> => {
  const { key = ana.key, summary } = more;
  const body = { toolId, params, ...(summary === undefined ? {} : { summary }) };
  const answer = await api.send<Called>('POST', '/api/tools/call', { key, body });
  expect(answer.status).toBe(200);
  return answer.body;
};
const audited = async (): Promise<readonly { action: string; targetId: string; actor: { kind: string } }[]> => {
  const admin = await api.person('admin');
  return (
    await api.send<{ items: { action: string; targetId: string; actor: { kind: string } }[] }>('GET', '/api/audit', { key: admin.key })
  ).body.items;
};

describe('GET /api/tools', () => {
  it('lists the tools, those of MCP servers with them, and says which server is away', async () => {
    const { body } = await api.send<Listed>('GET', '/api/tools', { key: ana.key });
    const risks = Object.fromEntries(body.items.map(({ id, risk }) => [id, risk]));
    expect(risks).toMatchObject({
      'files:read': 'low',
      'http:request': 'low',
      'shell:bash': 'low',
      'notes:echo': 'low',
      'notes:wipe': 'medium',
    });
    expect(body.items.find(({ id }) => id === 'http:request')?.parameters).toMatchObject({ type: 'object', required: ['url'] });
    expect(body.unavailable).toEqual([
      { provider: 'away', reason: expect.stringContaining('MCP server away cannot be reached') as string },
    ]);
  });

  it('keeps to a provider, and asks no other', async () => {
    const { body } = await api.send<Listed>('GET', '/api/tools?provider=skills', { key: ana.key });
    expect([body.items.map(({ id }) => id), body.unavailable]).toEqual([['skills:list', 'skills:read'], []]);
    expect((await api.send<Listed>('GET', '/api/tools?query=markdown%20nothing', { key: ana.key })).body.items).toEqual([]);
  });
});

describe('POST /api/tools/call', () => {
  it('calls a tool with the caller’s own idempotency key', async () => {
    stub.on('/x', { body: { n: 1 } });
    const body = { toolId: 'http:request', params: { url: `${stub.url}/x`, method: 'POST' } };
    const answer = await api.send<Called>('POST', '/api/tools/call', { key: ana.key, body, headers: { 'idempotency-key': 'k-1' } });
    expect(answer.body).toMatchObject({ success: true, data: { status: 200, body: { n: 1 } } });
    expect((await stub.called('/x'))[0]?.headers['idempotency-key']).toBe(`${ana.id}/k-1`);
  });

  it('K3: answers faults of the call with code, message and hint', async () => {
    expect(await call('http:reqest')).toEqual({
      success: false,
      error: { code: 'tool_unknown', message: 'There is no tool http:reqest', hint: 'Did you mean http:request?' },
    });
    expect(await call('http:request', { url: 7 })).toMatchObject({ success: false, error: { code: 'tool_failed' } });
    expect(await call('http:request', { url: 'http://169.254.169.254/' })).toMatchObject({
      success: false,
      error: { code: 'http_blocked' },
    });
    expect(await call('away:anything')).toMatchObject({
      success: false,
      error: { code: 'tool_failed', message: expect.stringContaining('cannot be reached') as string },
    });
    const { status, body } = await api.send('POST', '/api/tools/call', {
      key: ana.key,
      body: { toolId: 'x', params: 'text', more: 1 },
    });
    expect([status, body.code]).toEqual([422, 'validation_failed']);
  });

  it('S2: reads nobody else’s values', async () => {
    const { ref } = await putValue(api.db, bo.id, 'bo’s own');
    expect(await call('values:read', { ref })).toMatchObject({ success: false, error: { message: `There is no value ${ref}` } });
    expect(await call('values:read', { ref }, { key: bo.key })).toMatchObject({ success: true, data: { text: 'bo’s own' } });
  });

  it('gives large data by reference', async () => {
    stub.on('/large', { body: 'y'.repeat(100_000) });
    const { data } = await call('http:request', { url: `${stub.url}/large` });
    expect(data).toMatchObject({ ref: expect.stringMatching(/^val_/) as string, bytes: expect.any(Number) as number });
    const { ref } = data as { ref: string };
    expect(await call('values:read', { ref, offset: 90_000 })).toMatchObject({ success: true, data: { nextOffset: null } });
  });

  it('gives up a call whose caller has gone', async () => {
    mcp.calls.splice(0);
    mcp.cancelled.splice(0);
    const gone = new AbortController();
    const hanging = fetch(`http://127.0.0.1:${api.port}/api/tools/call`, {
      method: 'POST',
      headers: { authorization: `Bearer ${ana.key}`, 'content-type': 'application/json' },
      body: JSON.stringify({ toolId: 'notes:hang', params: {}, summary: 'to hang' }),
      signal: gone.signal,
    });
    hanging.catch(() => undefined);
    while (!mcp.calls.includes('hang')) await new Promise((resolve) => setImmediate(resolve));
    gone.abort();
    while (!mcp.cancelled.includes('hang')) await new Promise((resolve) => setImmediate(resolve));
    await expect(hanging).rejects.toThrow();
  });

  it('says that files and commands need a run', async () => {
    for (const [toolId, params] of [
      ['files:read', { path: 'a' }],
      ['shell:bash', { command: 'id' }],
    ] as const)
      expect(await call(toolId, params)).toMatchObject({
        success: false,
        error: { code: 'tool_failed', message: expect.stringContaining('the workspace of a run') as string },
      });
  });

  it('lets a person call what is held with a summary, and no agent; nobody calls what is denied', async () => {
    mcp.calls.splice(0);
    expect(await call('notes:crashless')).toMatchObject({ success: false, error: { code: 'tool_unknown' } });
    expect(await call('notes:structured')).toMatchObject({ success: false, error: { code: 'summary_required' } });
    expect(await call('notes:structured', {}, { key: agent, summary: 'please' })).toMatchObject({
      success: false,
      error: { code: 'approval_required' },
    });
    expect(await call('notes:note', {}, { summary: 'please' })).toMatchObject({ success: false, error: { code: 'tool_denied' } });
    expect(mcp.calls).toEqual([]);
    expect(await call('notes:structured', {}, { summary: 'count' })).toEqual({ success: true, data: { n: 1 } });
    expect(await call('notes:echo', { text: 'hi' }, { key: agent })).toEqual({ success: true, data: 'hi' });
    const narrow = await api.keyOf(ana.id, { role: 'editor', scopes: ['read', 'run'] });
    expect(await call('notes:structured', {}, { key: narrow, summary: 'count' })).toMatchObject({ error: { code: 'approval_required' } });
    const entries = (await audited()).filter(({ targetId }) => targetId === 'notes:structured' || targetId === 'notes:note');
    expect(entries.map(({ action, actor }) => `${action} ${actor.kind}`).toReversed()).toEqual([
      'tool.refused person',
      'tool.refused agent',
      'tool.refused person',
      'tool.called person',
      'tool.refused person',
    ]);
  });
});

describe('/api/policies', () => {
  it('are a person’s own: they tighten and loosen defaults, and never what the operator has set', async () => {
    expect((await api.send('GET', '/api/policies', { key: bo.key })).body).toEqual({ policies: {} });
    const policies = { 'http:*': 'deny', 'notes:structured': 'allow', 'notes:note': 'allow' };
    expect(await api.send('PUT', '/api/policies', { key: bo.key, body: { policies } })).toMatchObject({ status: 200, body: { policies } });
    expect(await call('http:request', { url: stub.url }, { key: bo.key })).toMatchObject({
      error: { code: 'tool_denied', message: expect.stringContaining('the owner’s policy') as string },
    });
    const boAgent = await api.keyOf(bo.id, { role: 'editor', kind: 'agent' });
    expect(await call('notes:structured', {}, { key: boAgent })).toMatchObject({ success: true });
    expect(await call('notes:note', {}, { key: bo.key })).toMatchObject({
      error: { code: 'tool_denied', message: expect.stringContaining('SIGNALBOX_TOOL_POLICY') as string },
    });
    // Ana's are others.
    expect(await call('http:request', { url: stub.url })).toMatchObject({ success: true });
    await api.send('PUT', '/api/policies', { key: bo.key, body: { policies: {} } });
    expect(await call('http:request', { url: stub.url }, { key: bo.key })).toMatchObject({ success: true });
  });

  it('are out of an agent’s reach', async () => {
    const body = { policies: { high: 'allow' } };
    expect(await api.send('PUT', '/api/policies', { key: agent, body })).toMatchObject({ status: 403, body: { code: 'forbidden' } });
    expect((await api.send('GET', '/api/policies', { key: ana.key })).body).toEqual({ policies: {} });
    expect((await audited())[0]).toMatchObject({ action: 'policies.refused', actor: { kind: 'agent' } });
  });

  it.each([[{ huge: 'deny' }], [{ low: 'maybe' }], [{ '__proto__:x y': 'allow' }], [null]])('refuse %j', async (policies) => {
    expect(await api.send('PUT', '/api/policies', { key: ana.key, body: { policies } })).toMatchObject({
      status: 422,
      body: { code: 'validation_failed' },
    });
  });
});

describe('/api/personas', () => {
  const put = (id: string, body: object, key = ana.key) =>
    api.send<{ persona: { id: string; name: string; model: string | null; createdAt: string } } & Refusal>('PUT', `/api/personas/${id}`, {
      key,
      body,
    });

  it('are made, changed, listed and deleted by their owner', async () => {
    const made = await put('critic', { name: 'Critic', prompt: 'You find faults.', model: 'large' });
    expect(made).toMatchObject({
      status: 201,
      body: { persona: { id: 'critic', name: 'Critic', prompt: 'You find faults.', model: 'large' } },
    });
    const changed = await put('critic', { name: 'Critic', prompt: 'You are kind.' });
    expect(changed).toMatchObject({
      status: 200,
      body: { persona: { prompt: 'You are kind.', model: null, createdAt: made.body.persona.createdAt } },
    });
    await put('author', { name: 'Author', prompt: 'You write.' });
    const { body } = await api.send<{ items: { id: string }[] }>('GET', '/api/personas', { key: ana.key });
    expect(body.items.map(({ id }) => id)).toEqual(['author', 'critic']);
    expect((await api.send('PUT', '/api/personas/no.name', { key: ana.key, body: { name: 'x', prompt: 'y' } })).status).toBe(422);
    expect((await api.send('DELETE', '/api/personas/critic', { key: ana.key })).status).toBe(204);
    expect((await api.send('GET', '/api/personas/critic', { key: ana.key })).status).toBe(404);
    expect((await audited()).filter(({ targetId }) => targetId === 'critic').map(({ action }) => action)).toEqual([
      'persona.deleted',
      'persona.written',
      'persona.written',
    ]);
  });

  it('S2: are nobody else’s, who may have one of the same id and name', async () => {
    await put('own', { name: 'Own', prompt: 'Ana’s' });
    expect((await api.send('GET', '/api/personas/own', { key: bo.key })).status).toBe(404);
    expect((await api.send('DELETE', '/api/personas/own', { key: bo.key })).status).toBe(404);
    expect(await put('own', { name: 'Own', prompt: 'Bo’s' }, bo.key)).toMatchObject({ status: 201 });
    expect((await api.send('GET', '/api/personas/own', { key: ana.key })).body).toMatchObject({ persona: { prompt: 'Ana’s' } });
  });

  it('have a name each, whatever its case', async () => {
    await put('one', { name: 'Doubled', prompt: 'x' });
    expect(await put('two', { name: 'DOUBLED', prompt: 'x' })).toMatchObject({
      status: 409,
      body: { code: 'persona_name_taken', name: 'DOUBLED' },
    });
  });

  it.each([
    ['a path', '..%2fx', { name: 'X', prompt: 'x' }, 422],
    ['no prompt', 'x', { name: 'X', prompt: '' }, 422],
    ['a NUL character', 'x', { name: 'X', prompt: 'a\0b' }, 422],
    ['an unknown field', 'x', { name: 'X', prompt: 'x', tools: [] }, 422],
  ])('refuse %s', async (_, id, body, status) => expect((await put(id, body)).status).toBe(status));
});

describe('the repo of a run', () => {
  it.each([
    [{ url: 'https://user:pass@github.com/a/b' }, '/repo/url'],
    [{ url: 'ssh://github.com/a/b' }, '/repo/url'],
    [{ url: 'https://github.com/a/b', branch: '--upload-pack=x' }, '/repo/branch'],
    [{ url: 'https://github.com/a/b', ref: 'a b' }, '/repo/ref'],
  ])('is refused as %j', async (repo, path) => {
    const data = { name: 'Repo', steps: [{ type: 'set', values: {} }] };
    const saved = await api.send<{ workflow: { id: string } }>('POST', '/api/workflows/sync', {
      key: ana.key,
      body: { name: 'Repo', data },
    });
    const answer = await api.send('POST', `/api/workflows/${saved.body.workflow.id}/run`, { key: ana.key, body: { repo } });
    expect(answer).toMatchObject({ status: 422, body: { code: 'validation_failed', problems: [{ path }] } });
  });
});

describe('/mcp', () => {
  const connected = async (key: string): Promise<Client> => {
    const client = new Client({ name: 'test', version: '1' });
    const transport = new StreamableHTTPClientTransport(new URL(`http://127.0.0.1:${api.port}/mcp`), {
      requestInit: { headers: { authorization: `Bearer ${key}` } },
    });
    await client.connect(transport);
    return client;
  };

  it('serves the tools that can be called without a run, under their ids', async () => {
    const client = await connected(ana.key);
    const names = (await client.listTools()).tools.map(({ name }) => name);
    expect(names).toEqual(expect.arrayContaining(['http:request', 'skills:read', 'values:read', 'notes:echo']));
    expect(names.filter((name) => /^(?:files|shell):|^notes:note$/.test(name))).toEqual([]);
    await client.close();
  });

  it('K4: answers what the API answers', async () => {
    const client = await connected(ana.key);
    const result = await client.callTool({ name: 'skills:list', arguments: {} });
    const byHttp = await call('skills:list');
    expect(result.structuredContent).toEqual(byHttp);
    expect(result.content).toEqual([{ type: 'text', text: JSON.stringify(byHttp) }]);
    expect(await client.callTool({ name: 'skills:lst', arguments: {} })).toMatchObject({
      isError: true,
      structuredContent: { success: false, error: { code: 'tool_unknown' } },
    });
    await client.close();
  });

  it('H16: counts as an agent’s, also with a person’s key', async () => {
    mcp.calls.splice(0);
    const client = await connected(ana.key);
    expect(await client.callTool({ name: 'notes:structured', arguments: {} })).toMatchObject({
      isError: true,
      structuredContent: { error: { code: 'approval_required' } },
    });
    expect(mcp.calls).toEqual([]);
    await client.close();
  });

  it('calls nothing for a viewer, who may look', async () => {
    const viewer = await api.person('viewer');
    const client = await connected(viewer.key);
    expect((await client.listTools()).tools.length).toBeGreaterThan(3);
    expect(await client.callTool({ name: 'skills:list', arguments: {} })).toMatchObject({
      isError: true,
      structuredContent: { error: { code: 'forbidden' } },
    });
    await client.close();
  });

  it('is closed without a key, takes POST alone, and refuses what is no message', async () => {
    await expect(connected('sbx_wrong')).rejects.toThrow();
    const accept = { accept: 'application/json, text/event-stream' };
    expect((await api.send('GET', '/mcp', { key: ana.key, headers: accept })).status).toBe(405);
    expect((await api.send('POST', '/mcp', { key: ana.key, body: '{', headers: accept })).status).toBe(400);
    expect((await api.send('POST', '/mcp', { key: ana.key, body: { hello: 1 }, headers: accept })).status).toBe(400);
    expect((await api.send('POST', '/mcp', { key: ana.key, body: { text: 'x'.repeat(2 * 1024 * 1024) }, headers: accept })).status).toBe(
      413,
    );
    expect((await api.send('POST', '/mcp', { key: ana.key, body: { jsonrpc: '2.0', id: 1, method: 'tools/list' } })).status).toBe(406);
  });

  it('gives up a call whose caller has gone', async () => {
    mcp.calls.splice(0);
    mcp.cancelled.splice(0);
    await api.send('PUT', '/api/policies', { key: bo.key, body: { policies: { 'notes:hang': 'allow' } } });
    const client = await connected(bo.key);
    const hanging = client.callTool({ name: 'notes:hang', arguments: {} }).catch((error: unknown) => error);
    while (!mcp.calls.includes('hang')) await new Promise((resolve) => setImmediate(resolve));
    await client.close();
    while (!mcp.cancelled.includes('hang')) await new Promise((resolve) => setImmediate(resolve));
    expect(await hanging).toBeInstanceOf(Error);
  });
});
