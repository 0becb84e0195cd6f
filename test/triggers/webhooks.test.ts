import { fresh, sign, TriggersStage } from './triggers-stage.js';

let stage: TriggersStage;
beforeAll(async () => {
  stage = await TriggersStage.start();
});
afterAll(() => stage.close());

describe('a webhook', () => {
  it('T1 refuses an unknown path, another method, no signature and a wrong one; takes a right one with and without prefix', async () => {
    const hook = await stage.webhook({ secret: 'right' });
    const body = '{"a":1}';
    const signed = (signature: string, name = 'x-webhook-signature') => stage.once(hook.path, { body, headers: { [name]: signature } });
    const answers = [
      await stage.call('no-such-hook', { body }),
      await stage.call(hook.path, { method: 'GET' }),
      await stage.call(hook.path, { method: 'PUT', body }),
      await stage.once(hook.path, { body }),
      await signed(sign('wrong', body)),
      await signed(sign('right', body)),
      await signed(`sha256=${sign('right', body)}`),
      await signed(`sha256=${sign('right', body)}`, 'x-hub-signature-256'),
    ];
    expect(answers.map(({ status }) => status)).toEqual([404, 405, 405, 401, 401, 202, 202, 202]);
    expect(answers[1]?.headers.allow).toBe('POST');
    expect((await stage.api.open('HEAD', '/webhooks/no-such-hook')).statusCode).toBe(404);
    expect((await stage.deliveries(hook.id)).map(({ outcome, reason }) => [outcome, reason]).toReversed()).toEqual([
      ['no_match', 'the method GET is not POST'],
      ['no_match', 'the method PUT is not POST'],
      ['no_match', 'invalid signature'],
      ['no_match', 'invalid signature'],
      ['matched', null],
      ['matched', null],
      ['matched', null],
    ]);
  });

  it('T2 starts one execution of twenty deliveries of one id, whatever the body; with an empty body and no id each time; else once a body', async () => {
    const hook = await stage.webhook();
    const id = { 'x-webhook-id': 'same' };
    const repeats = await Promise.all(
      Array.from({ length: 20 }, (_, index) => stage.call(hook.path, { body: `{"n":${index}}`, headers: id })),
    );
    expect(repeats.filter(({ status, body }) => status === 202 && !body.deduplicated)).toHaveLength(1);
    expect(repeats.filter(({ status, body }) => status === 200 && body.deduplicated)).toHaveLength(19);
    expect(new Set(repeats.map(({ body }) => body.executionId)).size).toBe(1);
    const empty = [await stage.call(hook.path), await stage.call(hook.path)];
    expect(empty.map(({ status }) => status)).toEqual([202, 202]);
    const same = [await stage.call(hook.path, { body: '{"s":1}' }), await stage.call(hook.path, { body: '{"s":1}' })];
    expect(same.map(({ status, body }) => [status, body.deduplicated])).toEqual([
      [202, false],
      [200, true],
    ]);
    expect(await stage.executionsOf(hook.workflowId ?? '')).toHaveLength(4);
  });

  it('T2 forgets a body after a day, not before', async () => {
    const hook = await stage.webhook();
    const call = () => stage.call(hook.path, { body: '{"day":1}' });
    const first = await call();
    const age = (hours: number) =>
      stage.api.db.pool.query(`UPDATE idempotency_keys SET expires_at = expires_at - $1 * interval '1 hour' WHERE door = $2`, [
        hours,
        `trigger:${hook.id}`,
      ]);
    await age(23);
    expect((await call()).body).toMatchObject({ deduplicated: true, executionId: first.body.executionId });
    await age(1);
    expect((await call()).status).toBe(202);
    expect((await call()).status).toBe(200);
  });

  it('T2 takes the sender’s ids in their order', async () => {
    const hook = await stage.webhook();
    const send = (headers: { [name: string]: string }) => stage.call(hook.path, { body: '{}', headers });
    const answers = [
      await send({ 'x-github-delivery': 'a', 'x-webhook-id': 'w', 'x-request-id': 'r' }),
      await send({ 'x-webhook-id': 'w', 'x-request-id': 'r' }),
      await send({ 'x-webhook-id': 'a' }),
      await send({ 'x-request-id': 'r' }),
    ];
    expect(answers.map(({ status, body }) => [status, body.deliveryId])).toEqual([
      [202, 'a'],
      [202, 'w'],
      [200, 'a'],
      [202, 'r'],
    ]);
  });

  it('T3 takes both secrets while they change over, and the old one no more once it is dropped', async () => {
    const hook = await stage.webhook({ secret: 'new', secretPrevious: 'old' });
    const by = (secret: string) => stage.once(hook.path, { body: '{}', headers: { 'x-webhook-signature': sign(secret, '{}') } });
    expect([(await by('new')).status, (await by('old')).status]).toEqual([202, 202]);
    await stage.send('PATCH', `/api/triggers/${hook.id}`, { config: { secretPrevious: null } });
    expect([(await by('new')).status, (await by('old')).status]).toEqual([202, 401]);
    await stage.send('PATCH', `/api/triggers/${hook.id}`, { config: { secret: 'newest', secretPrevious: 'new' } });
    expect([(await by('newest')).status, (await by('new')).status, (await by('old')).status]).toEqual([202, 202, 401]);
    await stage.send('PATCH', `/api/triggers/${hook.id}`, { config: { secret: null } });
    expect((await stage.once(hook.path, { body: '{}' })).status).toBe(202);
  });

  it('T4 maps the payload; what is not there has its default; _payload is whole and _trigger ours', async () => {
    const workflowId = await stage.workflow({ variables: { a: { type: 'number' }, b: { type: 'string', default: 'none' } } });
    const hook = await stage.webhook({}, { workflowId, variableMapping: { a: '$.x.y[0]', b: '$.no' } });
    const payload = { x: { y: [5] }, _trigger: 1 };
    const { body } = await stage.once(hook.path, { body: JSON.stringify(payload) });
    const execution = await stage.execution(body.executionId);
    expect(execution.variables).toMatchObject({
      a: 5,
      b: 'none',
      _payload: payload,
      _trigger: { type: 'webhook', triggerId: hook.id, name: hook.name, path: hook.path, method: 'POST', deliveryId: body.deliveryId },
    });
    expect(execution.variables['_payload']).toEqual(payload);
    expect(execution.trigger).toEqual({ type: 'webhook', id: hook.id, name: hook.name, deliveryId: body.deliveryId });
  });

  it('T4 has the query of a GET as payload', async () => {
    const hook = await stage.webhook({ method: 'GET' });
    const { body } = await stage.once(`${hook.path}?a=1&b=x%20y`, { method: 'GET' });
    expect((await stage.execution(body.executionId)).variables['_payload']).toEqual({ a: '1', b: 'x y' });
  });

  it('T2 never tells a GET by its body, which is not read', async () => {
    const hook = await stage.webhook({ method: 'GET' });
    const ask = (query: string) => stage.call(`${hook.path}?${query}`, { method: 'GET', body: '{"same":1}' });
    expect([await ask('a=1'), await ask('a=2')].map(({ status }) => status)).toEqual([202, 202]);
  });

  it('starts nothing while its owner is disabled or may start nothing: what somebody has made may do what they may', async () => {
    const { key, id } = await stage.api.person('editor', { name: 'Leaver' });
    const { body: own } = await stage.send<{ workflow: { id: string } }>(
      'POST',
      '/api/workflows/sync',
      { name: 'Left', data: { name: 'Left', steps: [{ type: 'set', values: {} }] } },
      key,
    );
    const path = fresh('left');
    const { body } = await stage.send<{ trigger: { id: string } }>(
      'POST',
      '/api/triggers',
      { name: path, type: 'webhook', workflowId: own.workflow.id, config: { path } },
      key,
    );
    const change = (user: object) => stage.send('PATCH', `/api/users/${id}`, user);
    const statuses: number[] = [];
    for (const user of [{ disabled: true }, { disabled: false, role: 'viewer' }, { role: 'runner' }]) {
      expect((await change(user)).status).toBe(200);
      statuses.push((await stage.once(path)).status);
    }
    expect(statuses).toEqual([404, 404, 202]);
    const { rows } = await stage.api.db.pool.query('SELECT outcome, reason FROM deliveries WHERE trigger_id = $1 ORDER BY created_at', [
      body.trigger.id,
    ]);
    expect(rows).toEqual([
      { outcome: 'no_match', reason: 'the owner of the trigger is disabled' },
      { outcome: 'no_match', reason: 'the owner of the trigger is a viewer, who may start nothing' },
      { outcome: 'matched', reason: null },
    ]);
  });

  it('T5 answers 429 at the cap and leaves the delivery id free', async () => {
    const hook = await stage.webhook();
    await stage.once(hook.path);
    const call = () => stage.call(hook.path, { body: '{"c":1}', headers: { 'x-webhook-id': 'capped' } });
    const limits = stage.api.operations.limits;
    Object.assign(stage.api.operations, { limits: { activePerUser: 1, active: 0 } });
    const refused = await call();
    Object.assign(stage.api.operations, { limits });
    expect([refused.status, refused.body.code, refused.body['reason'], refused.headers['retry-after']]).toEqual([
      429,
      'concurrency_limit',
      'per_user_limit_exceeded',
      '5',
    ]);
    expect((await stage.deliveries(hook.id))[0]).toMatchObject({ outcome: 'concurrency_cap', deliveryId: 'capped', executionId: null });
    expect((await call()).status).toBe(202);
  });

  it('T5 is not there while its workflow or itself is disabled, for people 409; inputs that do not fit are 422', async () => {
    const workflowId = await stage.workflow({ variables: { need: { type: 'string', required: true } } });
    const hook = await stage.webhook({}, { workflowId, variableMapping: { need: '$.need' } });
    const unfit = await stage.once(hook.path, { body: '{}' });
    expect([unfit.status, unfit.body.code, unfit.body.problems?.[0]?.code]).toEqual([422, 'validation_failed', 'input_required_missing']);
    await stage.send('PUT', `/api/workflows/${workflowId}`, { enabled: false });
    expect((await stage.once(hook.path, { body: '{"need":"x"}' })).status).toBe(404);
    const run = await stage.send('POST', `/api/triggers/${hook.id}/run`, { variables: { need: 'x' } });
    const manual = await stage.send('POST', '/api/triggers/manual/run', { workflowId, variables: { need: 'x' } });
    const test = await stage.send('POST', `/api/triggers/${hook.id}/test-fire`, {});
    expect([run, manual, test].map(({ status, body }) => [status, body.code])).toEqual(
      Array.from({ length: 3 }, () => [409, 'workflow_disabled']),
    );
    await stage.send('PUT', `/api/workflows/${workflowId}`, { enabled: true });
    await stage.send('POST', `/api/triggers/${hook.id}/disable`);
    expect((await stage.once(hook.path, { body: '{"need":"x"}' })).status).toBe(404);
    expect((await stage.deliveries(hook.id)).map(({ outcome }) => outcome).toReversed()).toEqual([
      'error',
      'workflow_disabled',
      'workflow_disabled',
      'workflow_disabled',
      'no_match',
    ]);
    await stage.send('POST', `/api/triggers/${hook.id}/enable`);
    expect((await stage.once(hook.path, { body: '{"need":"x"}' })).status).toBe(202);
  });

  it('T6 keeps 8,192 characters of what matched and 512 of the rest, secrets taken out', async () => {
    await stage.send('PUT', '/api/secrets/TOKEN', { value: 'tok-1234567890' });
    const hook = await stage.webhook({ secret: 'hook-secret-1' });
    const body = JSON.stringify({ token: 'tok-1234567890', own: 'hook-secret-1', filler: 'x'.repeat(10_000) });
    await stage.once(hook.path, { body, headers: { 'x-webhook-signature': sign('hook-secret-1', body) } });
    await stage.once(hook.path, { body });
    const [refused, matched] = await stage.deliveries(hook.id);
    expect([matched?.payloadPreview?.length, refused?.payloadPreview?.length]).toEqual([8_192, 512]);
    for (const delivery of [matched, refused]) {
      expect(delivery?.payloadPreview).toContain('[secret TOKEN]');
      expect(delivery?.payloadPreview).not.toMatch(/tok-1234567890|hook-secret-1/);
      expect(delivery?.latencyMs).toBeGreaterThanOrEqual(0);
    }
    expect(refused?.reason).toBe('invalid signature');
  });

  it('T20 keeps two webhooks of one owner apart that get the same id', async () => {
    const [one, two] = [await stage.webhook(), await stage.webhook()];
    const answers = await Promise.all(
      [one, two].map(({ path }) => stage.call(path, { body: '{}', headers: { 'x-request-id': 'shared' } })),
    );
    expect(answers.map(({ status }) => status)).toEqual([202, 202]);
    expect(new Set(answers.map(({ body }) => body.executionId)).size).toBe(2);
  });

  it('E1 starts one execution of a hundred deliveries at once; every one is written down', async () => {
    const hook = await stage.webhook({ secret: 'new', secretPrevious: 'old' });
    const body = '{"order":1}';
    const signed = (secret: string, sent = body) => ({
      body: sent,
      headers: { 'x-webhook-id': 'storm', 'x-webhook-signature': sign(secret, body) },
    });
    const storm = await Promise.all(Array.from({ length: 100 }, () => stage.call(hook.path, signed('new'))));
    expect(storm.filter(({ status }) => status === 202)).toHaveLength(1);
    expect(storm.filter(({ status, body }) => status === 200 && body.deduplicated)).toHaveLength(99);
    expect(new Set(storm.map((answer) => answer.body.executionId)).size).toBe(1);
    const altered = await stage.call(hook.path, signed('new', '{"order":2}'));
    const previous = await stage.once(hook.path, { body, headers: { 'x-webhook-signature': sign('old', body) } });
    const unknown = await stage.call(`${hook.path}-x`, signed('new'));
    expect([altered.status, previous.status, unknown.status]).toEqual([401, 202, 404]);
    expect(await stage.executionsOf(hook.workflowId ?? '')).toHaveLength(2);
    const deliveries = await stage.deliveries(hook.id);
    const counts = (outcome: string) => deliveries.filter((delivery) => delivery.outcome === outcome).length;
    expect([deliveries.length, counts('matched'), counts('duplicate'), counts('no_match')]).toEqual([102, 2, 99, 1]);
  }, 60_000);

  it('is bounded: 413 above 1 MiB, 422 for what cannot be kept, 415 for what is packed', async () => {
    const hook = await stage.webhook();
    const answers = [
      await stage.once(hook.path, { body: `{"a":"${'x'.repeat(1024 * 1024)}"}` }),
      await stage.once(hook.path, { body: '['.repeat(5_000) + ']'.repeat(5_000) }),
      await stage.once(hook.path, { body: '{}', headers: { 'content-encoding': 'gzip' } }),
    ];
    expect(answers.map(({ status }) => status)).toEqual([413, 422, 415]);
    expect((await stage.deliveries(hook.id)).map(({ outcome }) => outcome)).toEqual(['error', 'error', 'error']);
  });

  it('does not break when its delivery cannot be written down', async () => {
    const hook = await stage.webhook();
    await stage.api.db.pool.query('ALTER TABLE deliveries RENAME TO deliveries_away');
    try {
      expect((await stage.once(hook.path)).status).toBe(202);
    } finally {
      await stage.api.db.pool.query('ALTER TABLE deliveries_away RENAME TO deliveries');
    }
    expect((await stage.once(hook.path)).status).toBe(202);
    expect(await stage.deliveries(hook.id)).toHaveLength(1);
  });

  it('does not wait for a delivery that is being written down at the same moment', async () => {
    const hook = await stage.webhook();
    const other = await stage.api.db.pool.connect();
    try {
      await other.query('BEGIN');
      await other.query('UPDATE triggers SET last_fired_at = now() WHERE id = $1', [hook.id]);
      expect((await stage.once(hook.path)).status).toBe(202);
      expect(await stage.deliveries(hook.id)).toHaveLength(1);
    } finally {
      await other.query('ROLLBACK');
      other.release();
    }
  });

  it('starts nothing of another owner’s, and shows nothing of it', async () => {
    const { key } = await stage.api.person('editor', { name: 'Eve' });
    const hook = await stage.webhook();
    const { body } = await stage.send<{ items: unknown[] }>('GET', '/api/triggers', undefined, key);
    expect(body.items).toEqual([]);
    const taken = await stage.send(
      'POST',
      '/api/triggers',
      { name: fresh('mine'), type: 'webhook', workflowId: hook.workflowId, config: { path: hook.path } },
      key,
    );
    expect([taken.status, taken.body.code]).toEqual([404, 'not_found']);
  });
});

describe('a webhook with config.event', () => {
  it('gives its payload to the execution that it names, once, and starts nothing', async () => {
    const workflowId = await stage.workflow({ steps: [{ id: 'paid', type: 'wait_for_event', event: 'paid', timeout: '1h' }] });
    const hook = await stage.webhook({ event: { name: 'paid', executionId: '$.query.execution' } }, { workflowId });
    const { body: started } = await stage.send<{ execution: { id: string } }>('POST', `/api/workflows/${workflowId}/run`, {});
    const call = (execution: string) =>
      stage.call(`${hook.path}?execution=${execution}`, { body: '{"amount":5}', headers: { 'x-webhook-id': 'p1' } });
    const answers = [await call(started.execution.id), await call(started.execution.id)];
    expect(answers.map(({ status, body }) => [status, body.executionId, body.deduplicated])).toEqual([
      [202, started.execution.id, false],
      [200, started.execution.id, true],
    ]);
    const { rows } = await stage.api.db.pool.query(`SELECT payload FROM commands WHERE target_id = $1 AND kind = 'event'`, [
      started.execution.id,
    ]);
    expect(rows).toEqual([{ payload: { event: 'paid', payload: { v: { amount: 5, query: { execution: started.execution.id } } } } }]);
    expect(await stage.executionsOf(workflowId)).toHaveLength(1);
    expect((await stage.deliveries(hook.id)).map(({ outcome, reason }) => [outcome, reason])).toEqual([
      ['duplicate', 'delivered before'],
      ['matched', 'event paid'],
    ]);
  });

  it('has nothing to run or to test by hand', async () => {
    const hook = await stage.webhook({ event: { name: 'paid', executionId: '$.id' } });
    const answers = await Promise.all(['run', 'test-fire'].map((verb) => stage.send('POST', `/api/triggers/${hook.id}/${verb}`, {})));
    expect(answers.map(({ status }) => status)).toEqual([400, 400]);
  });

  it('finds no execution of another workflow, and none that has ended', async () => {
    const other = await stage.webhook();
    const { body: foreign } = await stage.once(other.path);
    const workflowId = await stage.workflow();
    const hook = await stage.webhook({ event: { name: 'paid', executionId: '$.id' } }, { workflowId });
    const { body: started } = await stage.send<{ execution: { id: string } }>('POST', `/api/workflows/${workflowId}/run`, {});
    await stage.api.db.pool.query(`UPDATE executions SET status = 'completed' WHERE id = $1`, [started.execution.id]);
    const answers = await Promise.all(
      [foreign.executionId, 7, started.execution.id].map((id) => stage.once(hook.path, { body: JSON.stringify({ id }) })),
    );
    expect(answers.map(({ status, body }) => [status, body.code])).toEqual([
      [404, 'not_found'],
      [404, 'not_found'],
      [409, 'execution_ended'],
    ]);
  });
});

describe('the rate of a webhook', () => {
  let limited: TriggersStage;
  beforeAll(async () => {
    limited = await TriggersStage.start({ webhookRate: 3 });
  });
  afterAll(() => limited.close());

  it('is limited for each trigger, and duplicates and other triggers do not pay', async () => {
    const [hook, other] = [await limited.webhook(), await limited.webhook()];
    const first = () => limited.call(hook.path, { body: '{}', headers: { 'x-webhook-id': 'first' } });
    const answers = [await first(), await first(), await limited.once(hook.path), await limited.once(hook.path)];
    const refused = await limited.once(hook.path);
    expect(answers.map(({ status }) => status)).toEqual([202, 200, 202, 202]);
    expect([refused.status, refused.body.code]).toEqual([429, 'rate_limited']);
    expect(Number(refused.headers['retry-after'])).toBeGreaterThan(0);
    expect((await limited.once(other.path)).status).toBe(202);
    expect((await limited.deliveries(hook.id))[0]).toMatchObject({ outcome: 'error', reason: 'rate limit' });
  });

  it('does not let refused calls fill the table of deliveries', async () => {
    const hook = await limited.webhook({ secret: 'right' });
    const answers = await Promise.all(Array.from({ length: 10 }, () => limited.once(hook.path, { body: '{}' })));
    expect(answers.map(({ status }) => status)).toEqual(Array.from({ length: 10 }, () => 401));
    expect(await limited.deliveries(hook.id)).toHaveLength(3);
  });
});
