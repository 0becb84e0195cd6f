/** Who may call what, written by hand beside the table of routes: a route that is not here fails the matrix test. */
import type { Role } from '../../src/operations/role-matrix.js';
import type { Owned } from './fixtures.js';
import { aDefinition } from './fixtures.js';

export interface Probe {
  /** `METHOD /path` of the table. */
  readonly route: string;
  readonly roles: readonly Role[] | 'everybody';
  /** A call that is right in itself, on what somebody owns. */
  readonly call: (owned: Owned) => {
    readonly path: string;
    readonly body?: unknown;
    readonly headers?: { readonly [name: string]: string };
  };
  /** What those who may get; more than one where it depends on who was first. */
  readonly ok: readonly number[];
  /** How another owner (an editor) is answered; absent: the route names nothing that has an owner. */
  readonly stranger?: 404 | 'empty';
  /** A stream without an end: its head is the answer. */
  readonly isEndless?: true;
}

const ALL: readonly Role[] = ['viewer', 'approver', 'runner', 'editor', 'admin'];
const DECIDERS: readonly Role[] = ['approver', 'runner', 'editor', 'admin'];
const RUNNERS: readonly Role[] = ['runner', 'editor', 'admin'];
const EDITORS: readonly Role[] = ['editor', 'admin'];
const ADMINS: readonly Role[] = ['admin'];
let fresh = 0;
const definition = (): object => aDefinition(`Probe ${(fresh += 1)}`);

const get = (path: string, roles: Probe['roles'], call: (owned: Owned) => string, stranger?: Probe['stranger']): Probe => ({
  route: `GET ${path}`,
  roles,
  call: (owned) => ({ path: call(owned) }),
  ok: [200],
  ...(stranger === undefined ? {} : { stranger }),
});
const send = (route: string, roles: Probe['roles'], ok: readonly number[], call: Probe['call'], stranger?: Probe['stranger']): Probe => ({
  route,
  roles,
  call,
  ok,
  ...(stranger === undefined ? {} : { stranger }),
});
const workflow = (owned: Owned, rest = ''): string => `/api/workflows/${owned.workflowId}${rest}`;
const trigger = (owned: Owned, rest = ''): string => `/api/triggers/${owned.triggerId}${rest}`;
const execution = (owned: Owned, rest = ''): string => `/api/executions/${owned.executionId}${rest}`;

const session = (owned: Owned, rest = ''): string => `/api/sessions/${owned.sessionId}${rest}`;

export const MATRIX: readonly Probe[] = [
  get('/api/workflows', ALL, () => '/api/workflows', 'empty'),
  send('POST /api/workflows/validate', ALL, [200], () => ({ path: '/api/workflows/validate', body: { data: definition() } })),
  send('POST /api/workflows/test-run', RUNNERS, [200], () => ({
    path: '/api/workflows/test-run',
    body: { data: definition(), mode: 'dry' },
  })),
  send(
    'POST /api/workflows/sync',
    EDITORS,
    [200],
    (owned) => ({ path: '/api/workflows/sync', body: { id: owned.workflowId, name: 'Synced', data: definition() } }),
    404,
  ),
  get('/api/workflows/:id', ALL, workflow, 404),
  get('/api/workflows/:id/executions', ALL, (owned) => workflow(owned, '/executions'), 404),
  get('/api/workflows/:id/history', ALL, (owned) => workflow(owned, '/history'), 404),
  get('/api/workflows/:id/diff', ALL, (owned) => workflow(owned, `/diff?from=${owned.hash}&to=${owned.hash}`), 404),
  send('PUT /api/workflows/:id', EDITORS, [200], (owned) => ({ path: workflow(owned), body: { tags: ['probed'] } }), 404),
  send(
    'POST /api/workflows/:id/rollback',
    EDITORS,
    [200],
    (owned) => ({ path: workflow(owned, '/rollback'), body: { targetHash: owned.hash } }),
    404,
  ),
  send('POST /api/workflows/:id/run', RUNNERS, [202], (owned) => ({ path: workflow(owned, '/run'), body: {} }), 404),
  get('/api/executions', ALL, () => '/api/executions', 'empty'),
  get('/api/executions/:id', ALL, execution, 404),
  get('/api/executions/:id/definition', ALL, (owned) => execution(owned, '/definition'), 404),
  get('/api/executions/:id/steps', ALL, (owned) => execution(owned, '/steps'), 404),
  get('/api/executions/:id/events', ALL, (owned) => execution(owned, '/events'), 404),
  get('/api/executions/:id/children', ALL, (owned) => execution(owned, '/children'), 404),
  send('POST /api/executions/:id/pause', RUNNERS, [202], (owned) => ({ path: execution(owned, '/pause') }), 404),
  send('POST /api/executions/:id/resume', RUNNERS, [202], (owned) => ({ path: execution(owned, '/resume') }), 404),
  send('POST /api/executions/:id/events', RUNNERS, [202], (owned) => ({ path: execution(owned, '/events'), body: { event: 'ping' } }), 404),
  send('POST /api/executions/:id/rerun', RUNNERS, [202, 409], (owned) => ({ path: execution(owned, '/rerun'), body: {} }), 404),
  get('/api/sessions', ALL, () => '/api/sessions'),
  send('POST /api/sessions', RUNNERS, [201], () => ({ path: '/api/sessions', body: { title: 'Notes' } })),
  get('/api/sessions/:id', ALL, session, 404),
  get('/api/sessions/:id/messages', ALL, (owned) => session(owned, '/messages'), 404),
  { ...get('/api/sessions/:id/stream', ALL, (owned) => session(owned, '/stream'), 404), isEndless: true },
  get('/api/sessions/:id/feed', ALL, (owned) => session(owned, '/feed'), 404),
  send(
    'POST /api/sessions/:id/messages',
    RUNNERS,
    [202],
    (owned) => ({ path: session(owned, '/messages'), body: { content: 'Hello', clientMessageId: 'probe' } }),
    404,
  ),
  send('POST /api/sessions/:id/stop', RUNNERS, [202], (owned) => ({ path: session(owned, '/stop'), body: {} }), 404),
  get('/api/approvals', ALL, () => '/api/approvals', 'empty'),
  get('/api/approvals/:id', ALL, (owned) => `/api/approvals/${owned.approvalId}`, 404),
  send(
    'POST /api/approvals/:id/approve',
    DECIDERS,
    [200, 409],
    (owned) => ({ path: `/api/approvals/${owned.approvalId}/approve`, body: {} }),
    404,
  ),
  send(
    'POST /api/approvals/:id/deny',
    DECIDERS,
    [200, 409],
    (owned) => ({ path: `/api/approvals/${owned.approvalId}/deny`, body: {} }),
    404,
  ),
  get('/api/triggers', ALL, () => '/api/triggers', 'empty'),
  send(
    'POST /api/triggers',
    EDITORS,
    [200, 201],
    (owned) => ({ path: '/api/triggers', body: { name: 'Probed', type: 'manual', workflowId: owned.workflowId } }),
    404,
  ),
  send(
    'POST /api/triggers/manual/run',
    RUNNERS,
    [202],
    (owned) => ({ path: '/api/triggers/manual/run', body: { workflowId: owned.workflowId } }),
    404,
  ),
  get('/api/triggers/:id', ALL, trigger, 404),
  get('/api/triggers/:id/deliveries', ALL, (owned) => trigger(owned, '/deliveries'), 404),
  get('/api/triggers/:id/upcoming', ALL, (owned) => trigger(owned, '/upcoming'), 404),
  send('PATCH /api/triggers/:id', EDITORS, [200], (owned) => ({ path: trigger(owned), body: { enabled: true } }), 404),
  ...(['enable', 'disable', 'pause', 'resume'] as const).map((verb) =>
    send(`POST /api/triggers/:id/${verb}`, EDITORS, [200], (owned) => ({ path: trigger(owned, `/${verb}`) }), 404),
  ),
  send('POST /api/triggers/:id/run', RUNNERS, [202], (owned) => ({ path: trigger(owned, '/run'), body: {} }), 404),
  send('POST /api/triggers/:id/test-fire', RUNNERS, [202], (owned) => ({ path: trigger(owned, '/test-fire'), body: {} }), 404),
  send(
    'POST /api/triggers/:id/backfill',
    RUNNERS,
    [202],
    (owned) => ({ path: trigger(owned, '/backfill'), body: { start: '2026-01-01T00:00:00Z', end: '2026-01-02T00:00:00Z' } }),
    404,
  ),
  // Signed, not keyed: what is not known or not signed is refused by their own rules.
  ...['GET', 'POST', 'PUT', 'PATCH', 'DELETE'].map((method) =>
    send(`${method} /webhooks/:path`, 'everybody', [404], () => ({ path: '/webhooks/nobody' })),
  ),
  send('POST /webhooks/github', 'everybody', [401], () => ({ path: '/webhooks/github', body: {} })),
  get('/api/tools', ALL, () => '/api/tools?provider=http'),
  send('POST /api/tools/call', RUNNERS, [200], () => ({ path: '/api/tools/call', body: { toolId: 'skills:list' } })),
  send('POST /mcp', ALL, [200], () => ({
    path: '/mcp',
    body: { jsonrpc: '2.0', id: 1, method: 'tools/list' },
    headers: { accept: 'application/json, text/event-stream' },
  })),
  get('/api/policies', ALL, () => '/api/policies'),
  send('PUT /api/policies', EDITORS, [200], () => ({ path: '/api/policies', body: { policies: {} } })),
  get('/api/personas', ALL, () => '/api/personas', 'empty'),
  get('/api/personas/:id', ALL, (owned) => `/api/personas/${owned.personaId}`, 404),
  send('PUT /api/personas/:id', EDITORS, [200, 201], () => ({
    path: '/api/personas/probe',
    body: { name: 'Probe', prompt: 'You probe.' },
  })),
  send('DELETE /api/personas/:id', EDITORS, [204, 404], (owned) => ({ path: `/api/personas/${owned.personaId}` }), 404),
  get('/api/values/:ref', ALL, (owned) => `/api/values/${owned.valueRef}`, 404),
  get('/api/me', ALL, () => '/api/me'),
  send('POST /api/login', 'everybody', [200], (owned) => ({ path: '/api/login', body: { key: owned.adminKey } })),
  send('POST /api/logout', ALL, [204], () => ({ path: '/api/logout' })),
  send('POST /api/ws-ticket', ALL, [200], () => ({ path: '/api/ws-ticket' })),
  get('/api/audit', ADMINS, () => '/api/audit'),
  get('/api/keys', ALL, () => '/api/keys'),
  // A key within one's own role: what nobody lacks is a viewer's.
  send('POST /api/keys', ALL, [201], () => ({ path: '/api/keys', body: { name: 'probe', role: 'viewer', kind: 'person' } })),
  send('DELETE /api/keys/:id', ALL, [404], () => ({ path: '/api/keys/key_00000000000000000000000000' })),
  get('/api/secrets', ALL, () => '/api/secrets', 'empty'),
  send('PUT /api/secrets/:name', EDITORS, [204], () => ({ path: '/api/secrets/PROBE', body: { value: 'x' } })),
  send('DELETE /api/secrets/:name', EDITORS, [204, 404], (owned) => ({ path: `/api/secrets/${owned.secretName}` }), 404),
  get('/api/users', ADMINS, () => '/api/users'),
  send('POST /api/users', ADMINS, [201], () => ({
    path: '/api/users',
    body: { name: 'Probe', email: `probe-${(fresh += 1)}@example.com`, role: 'viewer' },
  })),
  send('PATCH /api/users/:id', ADMINS, [200], (owned) => ({ path: `/api/users/${owned.userId}`, body: { groups: [] } })),
  // Slack signs: whatever key comes along says nothing.
  send('POST /slack/interactions', 'everybody', [401], () => ({ path: '/slack/interactions', body: { payload: '{}' } })),
  get('/healthz', 'everybody', () => '/healthz'),
  send('GET /readyz', 'everybody', [503], () => ({ path: '/readyz' })),
  get('/metrics', ALL, () => '/metrics'),
  get('/openapi.json', 'everybody', () => '/openapi.json'),
  get('/api/schema/definition', 'everybody', () => '/api/schema/definition'),
  // Last, as they end what the others look at. A stream of an execution that is over ends by itself.
  send('POST /api/executions/:id/cancel', RUNNERS, [202, 200], (owned) => ({ path: execution(owned, '/cancel'), body: {} }), 404),
  get('/api/executions/:id/stream', ALL, (owned) => execution(owned, '/stream'), 404),
  send('DELETE /api/triggers/:id', EDITORS, [204, 404], (owned) => ({ path: trigger(owned) }), 404),
  send('DELETE /api/workflows/:id', EDITORS, [204, 404], (owned) => ({ path: workflow(owned) }), 404),
];
