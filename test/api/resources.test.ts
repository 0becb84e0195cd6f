/** The wire of each resource: statuses, shapes (every answer is checked against its schema), paging, idempotency. */
import { openGate } from '../../src/store/gates.js';
import { ApiUnderTest, type Refusal } from './api-under-test.js';
import { aDefinition } from './fixtures.js';

interface WorkflowBody {
  readonly workflow: {
    readonly id: string;
    readonly slug: string;
    readonly hash: string;
    readonly version: string;
    readonly name: string;
    readonly description: string | null;
    readonly tags: string[];
    readonly enabled: boolean;
    readonly data: { readonly [field: string]: unknown };
  };
  readonly created: boolean;
  readonly warnings: { readonly code: string }[];
}
interface ExecutionBody {
  readonly execution: {
    readonly id: string;
    readonly status: string;
    readonly sessionId: string;
    readonly trigger: { readonly type: string };
  };
  readonly duplicate: boolean;
}
interface ListBody<T> {
  readonly items: T[];
  readonly cursor: string | null;
  readonly hasMore: boolean;
}

let api: ApiUnderTest;
let key: string;
let ownerId: string;
beforeAll(async () => {
  api = await ApiUnderTest.start();
  ({ key, id: ownerId } = await api.person('admin', { name: 'Ana' }));
});
afterAll(() => api.close());

const send = <Body = Refusal>(method: string, path: string, body?: unknown, headers: Record<string, string> = {}) =>
  api.send<Body>(method, path, { key, body, headers });
let names = 0;
const save = async (fields: object = {}, steps?: readonly object[]) => {
  const name = `Workflow ${(names += 1)}`;
  return (await send<WorkflowBody>('POST', '/api/workflows/sync', { name, data: aDefinition(name, steps), ...fields })).body;
};
const run = (id: string, body: unknown = {}, headers: Record<string, string> = {}) =>
  send<ExecutionBody>('POST', `/api/workflows/${id}/run`, body, headers);

describe('workflows', () => {
  it('are made, updated by name, and read by id and slug', async () => {
    const made = await save({ name: 'Nightly Report', tags: ['a'] });
    const again = (
      await send<WorkflowBody>('POST', '/api/workflows/sync', {
        name: 'Nightly Report',
        description: 'At night',
        version: '1.1.0',
        data: aDefinition('Other name'),
      })
    ).body;
    expect([made.created, made.workflow.slug, again.created, again.workflow.id]).toEqual([true, 'nightly-report', false, made.workflow.id]);
    expect(again.workflow.data).toMatchObject({ name: 'Nightly Report', description: 'At night', version: '1.1.0' });
    for (const id of [made.workflow.id, 'nightly-report'])
      expect((await send<WorkflowBody>('GET', `/api/workflows/${id}`)).body.workflow).toEqual(again.workflow);
  });

  it('are named by their definition where the body has no name', async () => {
    const { status, body } = await send<WorkflowBody>('POST', '/api/workflows/sync', { data: aDefinition('From the definition') });
    expect([status, body.workflow.name]).toEqual([200, 'From the definition']);
  });

  it('change field by field, and null clears', async () => {
    const { workflow } = await save({ description: 'Old', tags: ['x'], enabled: false });
    const changed = await send<WorkflowBody>('PUT', `/api/workflows/${workflow.id}`, { description: null, tags: null, enabled: null });
    expect([changed.status, changed.body.workflow]).toEqual([
      200,
      expect.objectContaining({ description: null, tags: [], enabled: true, name: workflow.name }),
    ]);
  });

  it('keep their history, tell differences, and go back', async () => {
    const first = await save({}, [{ id: 'a', type: 'set', values: { x: 1 } }]);
    const { id, name } = first.workflow;
    const second = (
      await send<WorkflowBody>('PUT', `/api/workflows/${id}`, {
        data: aDefinition(name, [
          { id: 'a', type: 'set', values: { x: 2 } },
          { id: 'b', type: 'set', values: {} },
        ]),
        version: '1.0.1',
      })
    ).body;
    const history = await send<ListBody<{ hash: string; source: string }> & { currentHash: string }>('GET', `/api/workflows/${id}/history`);
    expect([history.body.currentHash, history.body.items.map((item) => item.source)]).toEqual([second.workflow.hash, ['update', 'sync']]);
    const diff = await send<{ steps: { added: string[]; changed: { stepId: string }[] } }>(
      'GET',
      `/api/workflows/${id}/diff?from=${first.workflow.hash}&to=${second.workflow.hash}`,
    );
    expect(diff.body.steps).toMatchObject({ added: ['b'], changed: [{ stepId: 'a', fields: [{ path: '/values/x', from: 1, to: 2 }] }] });
    const back = await send<WorkflowBody>('POST', `/api/workflows/${id}/rollback`, { targetHash: first.workflow.hash });
    expect([back.status, back.body.workflow.version]).toEqual([200, '1.0.2']);
    expect((await send('POST', `/api/workflows/${id}/rollback`, { targetHash: `sha256:${'0'.repeat(64)}` })).status).toBe(404);
  });

  it('are listed newest first, page by page, by text, tag and state', async () => {
    for (let i = 0; i < 5; i++) await save({ tags: ['paged'], enabled: i !== 2 });
    const seen: string[] = [];
    for (let cursor: string | null = ''; cursor !== null; ) {
      const { body }: { body: ListBody<{ name: string }> } = await send<ListBody<{ name: string }>>(
        'GET',
        `/api/workflows?tag=paged&limit=2${cursor === '' ? '' : `&cursor=${encodeURIComponent(cursor)}`}`,
      );
      expect(body.hasMore).toBe(body.cursor !== null);
      seen.push(...body.items.map((item) => item.name));
      ({ cursor } = body);
    }
    expect(seen).toEqual(Array.from({ length: 5 }, (_, i) => `Workflow ${names - i}`));
    expect((await send<ListBody<unknown>>('GET', '/api/workflows?tag=paged&enabled=false')).body.items).toHaveLength(1);
    expect((await send<ListBody<unknown>>('GET', `/api/workflows?q=${encodeURIComponent(seen[0] as string)}`)).body.items).toHaveLength(1);
  });

  it('leave their executions behind when they are deleted', async () => {
    const { workflow } = await save();
    const { body } = await run(workflow.id);
    expect([
      (await send('DELETE', `/api/workflows/${workflow.id}`)).status,
      (await send('GET', `/api/workflows/${workflow.id}`)).status,
    ]).toEqual([204, 404]);
    expect((await send<{ data: unknown }>('GET', `/api/executions/${body.execution.id}/definition`)).body.data).toEqual(workflow.data);
  });

  it('V10 are validated with 200 whatever comes', async () => {
    for (const data of [aDefinition('Good'), { steps: [] }, null, 7]) {
      const { status, body } = await send<{ valid: boolean; hash: string | null }>('POST', '/api/workflows/validate', { data });
      expect([status, body.hash === null]).toEqual([200, !body.valid]);
    }
  });

  it('are tried dry with mocks, and live as a test', async () => {
    const data = aDefinition('Tried', [
      { id: 'call', type: 'tool', tool: 'http:request', arguments: { url: 'http://x' } },
      { id: 'gate', type: 'approval', prompt: 'Go?' },
      { id: 'boom', type: 'stop', outcome: 'failed', message: 'enough' },
    ]);
    const dry = await send<{ status: string; error: { code: string }; steps: { stepId: string; status: string }[] }>(
      'POST',
      '/api/workflows/test-run',
      { data, mode: 'dry', mocks: { call: { output: { status: 200 } } } },
    );
    expect([dry.status, dry.body.status, dry.body.error.code]).toEqual([200, 'failed', 'stopped']);
    expect(dry.body.steps.map((step) => step.stepId)).toEqual(['call', 'gate', 'boom']);
    const live = await send<ExecutionBody>('POST', '/api/workflows/test-run', { data, mode: 'live' });
    expect([live.status, live.body.execution.trigger.type]).toEqual([202, 'test']);
    const listed = async (query: string): Promise<boolean> =>
      (await send<ListBody<{ id: string }>>('GET', `/api/executions?${query}`)).body.items.some(
        (item) => item.id === live.body.execution.id,
      );
    expect([await listed(''), await listed('includeTest=true')]).toEqual([false, true]);
  });
});

describe('starting', () => {
  it('D13 starts one execution for a key sent twenty times at once', async () => {
    const { workflow } = await save();
    const answers = await Promise.all(Array.from({ length: 20 }, () => run(workflow.id, {}, { 'idempotency-key': 'once' })));
    expect(answers.map((answer) => answer.status).toSorted((a, b) => b - a)).toEqual([202, ...Array.from({ length: 19 }, () => 200)]);
    expect(new Set(answers.map((answer) => answer.body.execution.id)).size).toBe(1);
    expect(answers.filter((answer) => !answer.body.duplicate)).toHaveLength(1);
    const other = await send('POST', `/api/workflows/${workflow.id}/run`, { idempotencyKey: 'once', sessionId: 'ses_x' });
    expect([other.status, other.body.code]).toEqual([409, 'idempotency_key_reused']);
  });

  it('takes the key from the header or the body, and not two of them', async () => {
    const { workflow } = await save();
    const [header, body] = [await run(workflow.id, {}, { 'idempotency-key': 'k' }), await run(workflow.id, { idempotencyKey: 'k' })];
    expect([header.status, body.status, body.body.execution.id]).toEqual([202, 200, header.body.execution.id]);
    expect((await run(workflow.id, { idempotencyKey: 'k' }, { 'idempotency-key': 'other' })).status).toBe(422);
  });

  it('V8 lists every fault of the input and starts nothing', async () => {
    const name = 'Inputs';
    const { workflow } = await save({
      name,
      data: {
        ...aDefinition(name),
        variables: { a: { type: 'string', required: true }, b: { type: 'string', enum: ['x', 'y'] }, c: { type: 'number', default: 7 } },
      },
    });
    const { status, body } = await send('POST', `/api/workflows/${workflow.id}/run`, { variables: { b: 'z', c: 'x', d: 1 } });
    expect([status, body.code, body.problems?.map((problem) => problem.code).toSorted((a, b) => a.localeCompare(b))]).toEqual([
      422,
      'validation_failed',
      ['input_not_in_enum', 'input_required_missing', 'input_type_mismatch', 'input_unknown'],
    ]);
    expect((await send<ListBody<unknown>>('GET', `/api/workflows/${workflow.id}/executions`)).body.items).toEqual([]);
  });

  it('refuses a disabled workflow', async () => {
    const { workflow } = await save({ enabled: false });
    const { status, body } = await send('POST', `/api/workflows/${workflow.id}/run`, {});
    expect([status, body.code, body['workflowId']]).toEqual([409, 'workflow_disabled', workflow.id]);
  });

  it('is answered, and told to Temporal once, also while Temporal is away (D11)', async () => {
    const { workflow } = await save();
    api.temporal.answer = { kind: 'unavailable', error: new Error('away') };
    const { status, body } = await run(workflow.id);
    api.temporal.answer = { kind: 'sent' };
    expect([status, body.execution.status]).toEqual([202, 'pending']);
  });
});

describe('commands to an execution', () => {
  it('are accepted with 202, and ignored with 200 once it has ended', async () => {
    const { workflow } = await save();
    const { body } = await run(workflow.id);
    const command = (verb: string, sent?: unknown) =>
      send<{ ignored?: true; execution: { status: string } }>('POST', `/api/executions/${body.execution.id}/${verb}`, sent);
    expect([(await command('pause')).status, (await command('resume')).status]).toEqual([202, 202]);
    const cancelled = await command('cancel', { reason: 'enough' });
    expect([cancelled.status, cancelled.body.execution.status, cancelled.body.ignored]).toEqual([202, 'cancelled', undefined]);
    for (const verb of ['cancel', 'pause', 'resume']) {
      const again = await command(verb);
      expect([verb, again.status, again.body.ignored]).toEqual([verb, 200, true]);
    }
    const event = await send('POST', `/api/executions/${body.execution.id}/events`, { event: 'late' });
    expect([event.status, event.body.code, event.body['executionStatus']]).toEqual([409, 'execution_ended', 'cancelled']);
  });

  it('rerun it whole, or say why not', async () => {
    const { workflow } = await save();
    const { body } = await run(workflow.id);
    await send('POST', `/api/executions/${body.execution.id}/cancel`, {});
    const whole = await send<{ execution: { id: string; trigger: { type: string }; rerunOf: { executionId: string } } }>(
      'POST',
      `/api/executions/${body.execution.id}/rerun`,
    );
    expect([whole.status, whole.body.execution.trigger.type, whole.body.execution.rerunOf.executionId]).toEqual([
      202,
      'rerun',
      body.execution.id,
    ]);
    const refused = await send('POST', `/api/executions/${body.execution.id}/rerun`, { fromStepId: 'nowhere' });
    expect([refused.status, refused.body.code, typeof refused.body['reason']]).toEqual([409, 'rerun_not_possible', 'string']);
    const keyed = () =>
      send<{ execution: { id: string }; duplicate: boolean }>(
        'POST',
        `/api/executions/${body.execution.id}/rerun`,
        {},
        { 'idempotency-key': 'r' },
      );
    const [first, again] = [await keyed(), await keyed()];
    expect([first.status, again.status, again.body.duplicate, again.body.execution.id]).toEqual([202, 200, true, first.body.execution.id]);
    const passOfNothing = await send('POST', `/api/executions/${body.execution.id}/rerun`, { iterationPath: 'l:i2' });
    expect([passOfNothing.status, passOfNothing.body.problems?.[0]?.path]).toEqual([422, '/fromStepId']);
    const { body: read } = await send<{ execution: { reruns: string[] } }>('GET', `/api/executions/${body.execution.id}`);
    expect(read.execution.reruns).toEqual([first.body.execution.id, whole.body.execution.id]);
  });

  it('give an event once for its key', async () => {
    const { workflow } = await save();
    const { body } = await run(workflow.id);
    const event = (payload: unknown) =>
      send<{ duplicate: boolean } & Refusal>(
        'POST',
        `/api/executions/${body.execution.id}/events`,
        { event: 'go', payload },
        { 'idempotency-key': 'e' },
      );
    const answers = [await event({ n: 1 }), await event({ n: 1 }), await event({ n: 2 })];
    expect(answers.map((answer) => [answer.status, answer.body.duplicate ?? answer.body.code])).toEqual([
      [202, false],
      [202, true],
      [409, 'idempotency_key_reused'],
    ]);
  });
});

describe('approvals', () => {
  const gateOf = async (quorum: number, form?: object): Promise<string> => {
    const { workflow } = await save();
    const { body } = await run(workflow.id);
    const opened = await openGate(api.db, {
      ownerId,
      executionId: body.execution.id,
      sessionId: body.execution.sessionId,
      workflowName: workflow.name,
      instance: { stepId: 'gate', iterationPath: '', attempt: 1 },
      prompt: 'Go?',
      approvers: ['group:ops'],
      quorum,
      deadlineAt: null,
      carry: null,
      at: Date.now(),
      ...(form === undefined ? {} : { form: form as never }),
    });
    if (opened.kind !== 'gate') throw new Error('the gate did not open');
    return opened.gate.id;
  };
  const vote = (voter: string, id: string, verb = 'approve', body: unknown = {}) =>
    api.send<Refusal & { approval: { status: string; votes: { by: { name: string } }[]; decidedBy: { name: string }[] } }>(
      'POST',
      `/api/approvals/${id}/${verb}`,
      { key: voter, body },
    );

  it('count distinct people, tell who decided, and refuse in order', async () => {
    const [one, two, three] = await Promise.all(['One', 'Two', 'Three'].map((name) => api.person('approver', { name, groups: ['ops'] })));
    const outsider = await api.person('approver', { name: 'Out' });
    const id = await gateOf(2);
    expect((await vote(outsider.key, id)).status).toBe(404);
    const owner = await vote(key, id);
    expect([owner.status, owner.body.code]).toEqual([403, 'approver_not_allowed']);
    const first = await vote(one!.key, id);
    expect([first.status, first.body.approval.status]).toEqual([200, 'pending']);
    expect([(await vote(one!.key, id)).body.code]).toEqual(['already_voted']);
    const second = await vote(two!.key, id);
    expect([second.body.approval.status, second.body.approval.decidedBy.map((person) => person.name)]).toEqual([
      'approved',
      ['One', 'Two'],
    ]);
    const late = await vote(three!.key, id, 'deny');
    expect(late).toMatchObject({
      status: 409,
      body: {
        code: 'approval_settled',
        approvalStatus: 'approved',
        decidedBy: [{ name: 'One' }, { name: 'Two' }],
        decidedAt: expect.any(String),
      },
    });
    const mine = await api.send<ListBody<{ id: string }>>('GET', '/api/approvals?mine=true&status=approved', { key: one!.key });
    expect(mine.body.items.map((item) => item.id)).toContain(id);
  });

  it('check the answer against the form', async () => {
    const approver = await api.person('approver', { name: 'Form', groups: ['ops'] });
    const id = await gateOf(1, { type: 'object', properties: { amount: { type: 'number' } }, required: ['amount'] });
    const wrong = await vote(approver.key, id, 'approve', { answer: { amount: 'much' } });
    expect([wrong.status, wrong.body.code, wrong.body.problems?.length]).toEqual([422, 'validation_failed', 1]);
    expect((await vote(approver.key, id, 'approve', { answer: { amount: 3 } })).body.approval).toMatchObject({
      status: 'approved',
      answer: { amount: 3 },
    });
  });
});

describe('people, keys and secrets', () => {
  it('has one person for an e-mail', async () => {
    const person = { name: 'Uma', email: 'Uma@Example.com', role: 'viewer', groups: ['ops'], slackUserId: null };
    const made = await send<{ user: { email: string } }>('POST', '/api/users', person);
    expect([made.status, made.body.user.email]).toEqual([201, 'uma@example.com']);
    const again = await send('POST', '/api/users', person);
    expect([again.status, again.body.code]).toEqual([409, 'email_taken']);
  });

  it('makes keys that work until they are revoked', async () => {
    const made = await send<{ key: { id: string; kind: string; scopes: string[] }; secret: string }>('POST', '/api/keys', {
      name: 'ci',
      role: 'runner',
      kind: 'agent',
      scopes: ['read'],
      expiresAt: '2999-01-01T00:00:00+01:00',
    });
    expect([made.status, made.body.key]).toEqual([
      201,
      expect.objectContaining({ kind: 'agent', scopes: ['read'], expiresAt: '2998-12-31T23:00:00.000Z' }),
    ]);
    const me = () => api.send<{ key: { id: string }; csrfToken: null }>('GET', '/api/me', { key: made.body.secret });
    expect((await me()).body.key.id).toBe(made.body.key.id);
    expect([(await send('DELETE', `/api/keys/${made.body.key.id}`)).status, (await me()).status]).toEqual([204, 401]);
  });

  it('keeps secrets by name and never shows them', async () => {
    expect((await send('PUT', '/api/secrets/API_TOKEN', { value: 'do-not-show' })).status).toBe(204);
    const misnamed = await send('PUT', '/api/secrets/api-token', { value: 'x' });
    expect([misnamed.status, misnamed.body.code, misnamed.body.problems?.map(({ path }) => path)]).toEqual([
      422,
      'validation_failed',
      ['/params/name'],
    ]);
    expect((await send('PUT', '/api/secrets/NUL', { value: 'a\0' })).status).toBe(422);
    const { body } = await send<{ items: { name: string }[] }>('GET', '/api/secrets');
    expect([body.items.map((item) => item.name), JSON.stringify(body).includes('do-not-show')]).toEqual([['API_TOKEN'], false]);
    expect([(await send('DELETE', '/api/secrets/API_TOKEN')).status, (await send('DELETE', '/api/secrets/API_TOKEN')).status]).toEqual([
      204, 404,
    ]);
  });
});
