import { settleExecution } from '../../src/store/end-execution.js';
import { closeLost } from '../../src/operations/close-lost.js';
import { afterSettled } from '../../src/operations/report-child.js';
import { startTick } from '../../src/operations/triggers/start-tick.js';
import { dropOldDeliveries, keepSchedules } from '../../src/operations/triggers/reconcile-schedules.js';
import { fresh, TriggersStage, type ExecutionShape, type Fired, type TriggerShape } from './triggers-stage.js';
import type { Refusal } from '../api/api-under-test.js';

let stage: TriggersStage;
beforeAll(async () => {
  stage = await TriggersStage.start();
});
afterAll(() => stage.close());

interface Saved {
  readonly trigger: TriggerShape;
  readonly created: boolean;
}
interface Started {
  readonly execution: ExecutionShape | null;
  readonly duplicate: boolean;
}
const post = <Body = Saved & Refusal>(path: string, body?: unknown, key?: string) => stage.send<Body>('POST', path, body, key);
const schedule = async (config: object = {}, rest: object = {}): Promise<TriggerShape> =>
  stage.trigger({
    name: fresh('Nightly'),
    type: 'schedule',
    workflowId: await stage.workflow(),
    config: { cron: '0 9 * * *', ...config },
    ...rest,
  });

describe('saving a trigger', () => {
  it('T8 replaces the one of that name in any case: id and creation stay, what is left out has its default', async () => {
    const workflowId = await stage.workflow();
    const name = fresh('Hook');
    const first = await post('/api/triggers', {
      name,
      type: 'webhook',
      workflowId,
      enabled: false,
      config: { path: name, method: 'PUT', secret: 'a-secret' },
      variableMapping: { a: '$.a' },
    });
    const again = await post('/api/triggers', { name: name.toUpperCase(), type: 'webhook', workflowId, config: { path: name } });
    expect([first.status, first.body.created, again.status, again.body.created]).toEqual([201, true, 200, false]);
    const { id, createdAt } = first.body.trigger;
    expect(first.body.trigger).toMatchObject({
      enabled: false,
      hasSecret: true,
      config: { path: name, method: 'PUT' },
      variableMapping: { a: '$.a' },
    });
    expect(again.body.trigger).toMatchObject({
      id,
      createdAt,
      name: name.toUpperCase(),
      enabled: true,
      hasSecret: false,
      config: { path: name, method: 'POST' },
      variableMapping: {},
    });
    expect(JSON.stringify(first.body)).not.toContain('a-secret');
    expect(first.body.trigger.webhookUrl).toBe(`http://127.0.0.1:${stage.api.port}/webhooks/${name}`);
  });

  it('T8 keeps owners apart, refuses another type and a path that is taken', async () => {
    const hook = await stage.webhook();
    const { key } = await stage.api.person('editor', { name: 'Ed' });
    const { body: own } = await stage.send<{ workflow: { id: string } }>(
      'POST',
      '/api/workflows/sync',
      { name: 'Own', data: { name: 'Own', steps: [{ type: 'set', values: {} }] } },
      key,
    );
    const separate = await post('/api/triggers', { name: hook.name, type: 'manual', workflowId: own.workflow.id }, key);
    const taken = await post(
      '/api/triggers',
      { name: fresh('x'), type: 'webhook', workflowId: own.workflow.id, config: { path: hook.path } },
      key,
    );
    const other = await post('/api/triggers', { name: hook.name, type: 'manual', workflowId: hook.workflowId });
    expect([separate.status, taken.status, taken.body.code, other.status, other.body.problems?.[0]?.path]).toEqual([
      201,
      409,
      'webhook_path_taken',
      422,
      '/type',
    ]);
    expect(separate.body.trigger.id).not.toBe(hook.id);
  });

  it('changes only what is sent', async () => {
    const trigger = await schedule({ timezone: 'Europe/Berlin', variables: { a: 1 } });
    const patch = (body: object) => stage.send<Saved & Refusal>('PATCH', `/api/triggers/${trigger.id}`, body);
    const renamed = await patch({ name: 'Renamed', config: { cron: '0 8 * * *' } });
    expect(renamed.body.trigger).toMatchObject({
      id: trigger.id,
      name: 'Renamed',
      workflowId: trigger.workflowId,
      config: { cron: '0 8 * * *', timezone: 'Europe/Berlin', variables: { a: 1 } },
    });
    const cleared = await patch({ config: { variables: null } });
    expect(cleared.body.trigger.config).not.toHaveProperty('variables');
    const refusals = [
      await patch({ type: 'manual' }),
      await patch({ config: { cron: '0 9 1 * 1' } }),
      await patch({ workflowId: 'wf_nothing' }),
      await patch({ color: 'red' }),
    ];
    expect(refusals.map(({ status }) => status)).toEqual([422, 422, 404, 422]);
    expect(refusals[0]?.body.problems?.map(({ path }) => path)).toEqual(['/type']);
    expect(refusals[1]?.body.problems?.[0]).toMatchObject({ code: 'schedule_dom_dow', path: '/config/cron' });
    const other = await schedule();
    const clash = await patch({ name: other.name.toLowerCase() });
    expect([clash.status, clash.body.problems?.[0]?.path]).toEqual([422, '/name']);
  });

  it('tells every fault at once, the workflow that is none included', async () => {
    const { status, body } = await post('/api/triggers', {
      name: '',
      type: 'schedule',
      workflowId: 'wf_nothing',
      config: { cron: 'x', timezone: 'y' },
    });
    expect([status, body.problems?.map(({ path }) => path).toSorted()]).toEqual([
      422,
      ['/config/cron', '/config/timezone', '/name', '/workflowId'],
    ]);
  });

  it('finds a trigger by id or name, and lists by workflow, type and state', async () => {
    const workflowId = await stage.workflow();
    const [a, b] = [await schedule({}, { workflowId }), await stage.webhook({}, { workflowId, enabled: false })];
    const list = async (query: string) =>
      (await stage.send<{ items: TriggerShape[] }>('GET', `/api/triggers?workflowId=${workflowId}${query}`)).body.items.map(({ id }) => id);
    expect([await list(''), await list('&type=webhook'), await list('&enabled=true')]).toEqual([[b.id, a.id], [b.id], [a.id]]);
    expect((await stage.send<Saved>('GET', `/api/triggers/${encodeURIComponent(a.name.toUpperCase())}`)).body.trigger.id).toBe(a.id);
  });

  it('K12 goes with its workflow, and its Temporal Schedule with it; executions stay', async () => {
    const trigger = await schedule();
    const { body: run } = await post<Started>(`/api/triggers/${trigger.id}/run`, {});
    expect(stage.api.temporal.schedules.requests.has(trigger.id)).toBe(true);
    expect((await stage.send('DELETE', `/api/workflows/${trigger.workflowId}`)).status).toBe(204);
    expect(stage.api.temporal.schedules.requests.has(trigger.id)).toBe(false);
    expect((await stage.send('GET', `/api/triggers/${trigger.id}`)).status).toBe(404);
    expect((await stage.execution(run.execution?.id ?? '')).trigger).toMatchObject({
      type: 'schedule',
      id: trigger.id,
      name: trigger.name,
    });
  });

  it('takes its Temporal Schedule with it when it is deleted', async () => {
    const trigger = await schedule();
    expect((await stage.send('DELETE', `/api/triggers/${trigger.id}`)).status).toBe(204);
    expect(stage.api.temporal.schedules.requests.has(trigger.id)).toBe(false);
  });
});

describe('a schedule in Temporal', () => {
  it('is what the trigger says, and is changed in place', async () => {
    const trigger = await schedule({ timezone: 'Europe/Berlin', overlap: 'buffer_one', catchupWindow: '1h', jitter: '30s' });
    const { schedules } = stage.api.temporal;
    expect(schedules.requests.get(trigger.id)).toMatchObject({
      executionId: `exe_${trigger.id.slice(4)}`,
      cron: '0 9 * * *',
      timezone: 'Europe/Berlin',
      overlap: 'buffer_one',
      catchupWindowMs: 3_600_000,
      jitterMs: 30_000,
      attributes: { owner: stage.userId, trigger: 'schedule' },
    });
    await post(`/api/triggers/${trigger.id}/pause`);
    await stage.send('PATCH', `/api/triggers/${trigger.id}`, { config: { cron: '0 7 * * *' } });
    expect(schedules.requests.get(trigger.id)?.cron).toBe('0 7 * * *');
    const { body } = await stage.send<Saved>('GET', `/api/triggers/${trigger.id}`);
    expect(body.trigger.schedule).toMatchObject({ paused: true, description: 'At 07:00 AM', catchupWindowMs: 3_600_000 });
    await post(`/api/triggers/${trigger.id}/resume`);
    expect((await stage.send<Saved>('GET', `/api/triggers/${trigger.id}`)).body.trigger.schedule?.paused).toBe(false);
  });

  it('is made later when Temporal is away: the trigger is saved all the same', async () => {
    const { schedules } = stage.api.temporal;
    schedules.isAway = true;
    const trigger = await schedule().finally(() => (schedules.isAway = false));
    expect([schedules.requests.has(trigger.id), trigger.schedule?.next]).toEqual([false, []]);
    await keepSchedules(stage.api.operations);
    expect(schedules.requests.has(trigger.id)).toBe(true);
  });

  it('backfills one after the other unless it allows all; never what is to come, never more than a thousand ticks', async () => {
    const { schedules } = stage.api.temporal;
    const [one, all] = [await schedule(), await schedule({ overlap: 'allow_all' })];
    const past = { start: '2026-01-01T00:00:00Z', end: '2026-01-02T00:00:00Z' };
    for (const { id } of [one, all]) expect((await post(`/api/triggers/${id}/backfill`, past)).status).toBe(202);
    expect(schedules.backfills.slice(-2).map(({ overlap }) => overlap)).toEqual(['buffer_all', 'allow_all']);
    const backwards = await post(`/api/triggers/${one.id}/backfill`, { start: past.end, end: past.start });
    const future = await post(`/api/triggers/${one.id}/backfill`, { start: past.start, end: new Date(Date.now() + 60_000).toISOString() });
    schedules.matching = Array.from({ length: 1_000 }, () => '2026-01-01T00:00:00.000Z');
    const many = await post(`/api/triggers/${one.id}/backfill`, past);
    schedules.matching = [];
    expect([backwards, future, many].map(({ status }) => status)).toEqual([422, 422, 422]);
  });

  it('is refused for what is no schedule', async () => {
    const hook = await stage.webhook();
    const answers = [
      await post(`/api/triggers/${hook.id}/pause`),
      await post(`/api/triggers/${hook.id}/backfill`, { start: '2026-01-01T00:00:00Z', end: '2026-01-01T00:00:00Z' }),
    ];
    expect([...answers, await stage.send('GET', `/api/triggers/${hook.id}/upcoming`)].map(({ status }) => status)).toEqual([422, 422, 422]);
  });

  it('tells ticks that it skipped and missed, each once, however often is looked', async () => {
    const trigger = await schedule();
    const { schedules } = stage.api.temporal;
    await keepSchedules(stage.api.operations);
    schedules.counters = { skippedOverlap: 2, missedCatchup: 1 };
    schedules.matching = ['2026-02-01T09:00:00.000Z', '2026-02-02T09:00:00.000Z', '2026-02-03T09:00:00.000Z'];
    await Promise.all([keepSchedules(stage.api.operations), keepSchedules(stage.api.operations)]);
    await keepSchedules(stage.api.operations);
    // After an outage Temporal may count twice what it missed.
    schedules.counters = { skippedOverlap: 2, missedCatchup: 2 };
    await keepSchedules(stage.api.operations);
    schedules.counters = { skippedOverlap: 0, missedCatchup: 0 };
    schedules.matching = [];
    const told = (await stage.deliveries(trigger.id)).map(({ outcome, reason, deliveryId }) => [outcome, reason, deliveryId]);
    expect(told.toSorted((a, b) => String(a[2]).localeCompare(String(b[2])))).toEqual([
      ['error', 'missed', '2026-02-01T09:00:00Z'],
      ['skipped_overlap', 'the run before was still active', '2026-02-02T09:00:00Z'],
      ['skipped_overlap', 'the run before was still active', '2026-02-03T09:00:00Z'],
    ]);
  });
});

describe('a schedule that has long had nothing to tell', () => {
  it('is looked at anew, so that its next skipped tick is found among few', async () => {
    const trigger = await schedule();
    await keepSchedules(stage.api.operations);
    await stage.api.db.pool.query(
      `UPDATE triggers SET schedule_look = jsonb_set(schedule_look::jsonb, '{at}', to_jsonb('2026-01-02T00:00:00.000Z'::text)) WHERE id = $1`,
      [trigger.id],
    );
    await keepSchedules(stage.api.operations);
    const { rows } = await stage.api.db.pool.query<{ at: string }>(`SELECT schedule_look->>'at' AS at FROM triggers WHERE id = $1`, [
      trigger.id,
    ]);
    expect(Date.now() - Date.parse(rows[0]?.at ?? '')).toBeLessThan(60_000);
  });
});

describe('a schedule with jitter', () => {
  it('tells a tick that it skipped under its nominal time, not under the start that jitter gave it', async () => {
    const trigger = await schedule({ jitter: '10m' });
    const { schedules } = stage.api.temporal;
    await keepSchedules(stage.api.operations);
    schedules.counters = { skippedOverlap: 1, missedCatchup: 0 };
    schedules.matching = ['2026-02-01T09:07:31.250Z'];
    await keepSchedules(stage.api.operations);
    schedules.counters = { skippedOverlap: 0, missedCatchup: 0 };
    schedules.matching = [];
    expect((await stage.deliveries(trigger.id)).map(({ outcome, deliveryId }) => [outcome, deliveryId])).toEqual([
      ['skipped_overlap', '2026-02-01T09:00:00Z'],
    ]);
  });
});

describe('a tick', () => {
  const tickOf = (trigger: TriggerShape, nominal = '2026-03-01T09:00:00Z', run = 'run-1') =>
    startTick(stage.api.operations, {
      triggerId: trigger.id,
      workflowId: `exe_${trigger.id.slice(4)}-${nominal}`,
      firstExecutionRunId: run,
    });

  it('T14 starts its execution once, for ever; another run of it ends as a duplicate', async () => {
    const trigger = await schedule({ variables: {} });
    const first = await tickOf(trigger);
    const id = `exe_${trigger.id.slice(4)}-2026-03-01T09:00:00Z`;
    expect(first).toEqual({ kind: 'start', executionId: id });
    expect(await tickOf(trigger, undefined, 'run-2')).toMatchObject({ kind: 'nothing', outcome: { status: 'duplicate', executionId: id } });
    await stage.api.db.pool.query('DELETE FROM executions WHERE id = $1', [id]);
    expect(await tickOf(trigger, undefined, 'run-3')).toMatchObject({ kind: 'nothing', outcome: { status: 'duplicate' } });
    expect((await stage.deliveries(trigger.id)).map(({ outcome }) => outcome)).toEqual(['duplicate', 'duplicate', 'matched']);
  });

  it('has its nominal time in the run, and is told to be late', async () => {
    const trigger = await schedule({ timezone: 'Europe/Berlin' });
    await tickOf(trigger);
    const execution = await stage.execution(`exe_${trigger.id.slice(4)}-2026-03-01T09:00:00Z`);
    expect(execution.trigger).toEqual({ type: 'schedule', id: trigger.id, name: trigger.name, scheduledAt: '2026-03-01T09:00:00.000Z' });
    expect(execution.variables).toMatchObject({
      _payload: {},
      _trigger: { cron: '0 9 * * *', timezone: 'Europe/Berlin', scheduledAt: '2026-03-01T09:00:00.000Z' },
    });
    expect((await stage.deliveries(trigger.id))[0]).toMatchObject({
      outcome: 'matched',
      deliveryId: '2026-03-01T09:00:00Z',
      reason: expect.stringMatching(/^late: started \d+ s after its time$/),
    });
    expect((await stage.send<Saved>('GET', `/api/triggers/${trigger.id}`)).body.trigger.lastFiredAt).not.toBeNull();
  });

  it('T19 goes on with what an attempt of the same run has written, whether claimed or not', async () => {
    const trigger = await schedule();
    await tickOf(trigger);
    const id = `exe_${trigger.id.slice(4)}-2026-03-01T09:00:00Z`;
    expect(await tickOf(trigger)).toEqual({ kind: 'start', executionId: id });
    await stage.api.db.pool.query('UPDATE executions SET first_execution_run_id = NULL WHERE id = $1', [id]);
    await stage.api.db.pool.query('DELETE FROM deliveries WHERE trigger_id = $1', [trigger.id]);
    expect(await tickOf(trigger)).toEqual({ kind: 'start', executionId: id });
    expect(await tickOf(trigger, undefined, 'run-2')).toMatchObject({ outcome: { status: 'duplicate' } });
    expect((await stage.deliveries(trigger.id)).map(({ outcome }) => outcome)).toEqual(['duplicate', 'matched']);
    expect(await stage.executionsOf(trigger.workflowId ?? '')).toHaveLength(1);
  });

  it('T12 closes the run that was terminated for it at once, as cancelled, and alarms nobody', async () => {
    const trigger = await schedule({ overlap: 'terminate_other' });
    const idOf = (nominal: string): string => `exe_${trigger.id.slice(4)}-${nominal}`;
    const [first, second, third] = ['2026-03-01T09:00:00Z', '2026-03-02T09:00:00Z', '2026-03-03T09:00:00Z'] as const;
    const statuses = async (): Promise<unknown[]> =>
      (await Promise.all([first, second].map((nominal) => stage.execution(idOf(nominal))))).map((execution) => [
        (execution as unknown as { status: string }).status,
        (execution as unknown as { error: unknown }).error,
      ]);
    await tickOf(trigger, first, 'run-1');
    stage.api.temporal.schedules.replaced.add(idOf(first));
    await tickOf(trigger, second, 'run-2');
    expect(await statuses()).toEqual([
      ['cancelled', null],
      ['pending', null],
    ]);
    // What the reconciler sees first is the same; what somebody else has terminated is not.
    stage.api.temporal.schedules.replaced.add(idOf(second));
    await closeLost(stage.api.operations, idOf(second));
    await tickOf(trigger, third, 'run-3');
    await stage.api.operations.background.drain();
    const { name } = (await stage.send<{ workflow: { name: string } }>('GET', `/api/workflows/${trigger.workflowId}`)).body.workflow;
    expect(await statuses()).toEqual([
      ['cancelled', null],
      ['cancelled', null],
    ]);
    const told = (): Promise<{ rows: unknown[] }> =>
      stage.api.db.pool.query(`SELECT id FROM messages WHERE author = 'Signalbox' AND parts::text LIKE $1`, [`%${name}%`]);
    expect((await told()).rows).toEqual([]);
    await closeLost(stage.api.operations, idOf(third));
    await stage.api.operations.background.drain();
    expect((await told()).rows).toHaveLength(1);
  });

  it('starts nothing while the owner of its trigger is disabled', async () => {
    const trigger = await schedule();
    const disable = async (disabled: boolean): Promise<void> => {
      await stage.api.db.pool.query('UPDATE users SET disabled = $2 WHERE id = $1', [stage.userId, disabled]);
    };
    await disable(true);
    const refused = await tickOf(trigger);
    await disable(false);
    expect(refused).toMatchObject({ outcome: { status: 'no_match', reason: 'the owner of the trigger is disabled' } });
    // The tick was not claimed: a backfill may still run it.
    expect(await tickOf(trigger, undefined, 'run-2')).toMatchObject({ kind: 'start' });
  });

  it('T15 has the definition that is current then', async () => {
    const trigger = await schedule();
    await tickOf(trigger, '2026-03-01T09:00:00Z');
    await stage.send('PUT', `/api/workflows/${trigger.workflowId}`, { version: '2.0.0' });
    await tickOf(trigger, '2026-03-02T09:00:00Z');
    const versions = await Promise.all(
      ['2026-03-01', '2026-03-02'].map((day) => stage.execution(`exe_${trigger.id.slice(4)}-${day}T09:00:00Z`)),
    );
    expect(versions.map((execution) => (execution as unknown as { version: string }).version)).toEqual(['1.0.0', '2.0.0']);
  });

  it('starts nothing while trigger or workflow is disabled, or at the cap: a delivery says so, and the tick is free again', async () => {
    const trigger = await schedule();
    await post(`/api/triggers/${trigger.id}/disable`);
    expect(await tickOf(trigger)).toMatchObject({ outcome: { status: 'no_match', reason: 'the trigger is disabled' } });
    await post(`/api/triggers/${trigger.id}/enable`);
    await stage.send('PUT', `/api/workflows/${trigger.workflowId}`, { enabled: false });
    expect(await tickOf(trigger, undefined, 'run-2')).toMatchObject({ outcome: { status: 'workflow_disabled' } });
    await stage.send('PUT', `/api/workflows/${trigger.workflowId}`, { enabled: true });
    const { limits } = stage.api.operations;
    Object.assign(stage.api.operations, { limits: { activePerUser: 1, active: 0 } });
    expect(await tickOf(trigger, undefined, 'run-3')).toMatchObject({ outcome: { status: 'concurrency_cap' } });
    Object.assign(stage.api.operations, { limits });
    expect(await tickOf(trigger, undefined, 'run-4')).toMatchObject({ kind: 'start' });
    expect((await stage.deliveries(trigger.id)).map(({ outcome }) => outcome)).toEqual([
      'matched',
      'concurrency_cap',
      'workflow_disabled',
      'no_match',
    ]);
  });

  it('T16 of the orchestrator says its prompt in a fresh thread, once, without an execution', async () => {
    const trigger = await stage.trigger({
      name: fresh('Digest'),
      type: 'schedule',
      config: { cron: '0 8 * * *', timezone: 'Europe/Berlin', target: 'orchestrator', prompt: 'Brief me' },
    });
    const results = [
      await tickOf(trigger),
      await tickOf(trigger),
      await tickOf(trigger, undefined, 'run-2'),
      await tickOf(trigger, '2026-03-02T07:00:00Z'),
    ];
    expect(results.map((result) => (result.kind === 'nothing' ? (result.outcome as { status: string }).status : result.kind))).toEqual([
      'matched',
      'matched',
      'duplicate',
      'matched',
    ]);
    const { body: sessions } = await stage.send<{ items: { id: string; kind: string }[] }>('GET', '/api/sessions?kind=orchestrator');
    const { body } = await stage.send<{ items: { author: string; content: string; thread: string; role: string }[] }>(
      'GET',
      `/api/sessions/${sessions.items[0]?.id}/messages`,
    );
    const said = body.items.filter(({ author }) => author === 'Schedule');
    expect(said).toHaveLength(2);
    expect(new Set(said.map(({ thread }) => thread)).size).toBe(2);
    expect(said[0]).toMatchObject({
      role: 'user',
      content: expect.stringMatching(/^Sunday,? 1 March 2026.*10:00 \(Europe\/Berlin\).*no earlier context\.\n\nBrief me$/s),
    });
    expect((await stage.deliveries(trigger.id)).map(({ outcome }) => outcome)).toEqual(['matched', 'duplicate', 'matched']);
  });

  it('of a trigger that is gone ends with the reason', async () => {
    const trigger = await schedule();
    await stage.send('DELETE', `/api/triggers/${trigger.id}`);
    expect(await tickOf(trigger)).toMatchObject({ kind: 'nothing', outcome: { status: 'error', reason: 'the trigger is deleted' } });
  });
});

describe('firing by hand', () => {
  it('runs a disabled trigger with given variables over its own, and moves lastFiredAt only forward', async () => {
    const workflowId = await stage.workflow({ variables: { a: { type: 'number' }, b: { type: 'number' } } });
    const trigger = await schedule({ variables: { a: 1, b: 1 } }, { workflowId, enabled: false });
    const { status, body } = await post<Started>(`/api/triggers/${trigger.id}/run`, { variables: { b: 2, _trigger: 'mine' } });
    expect([status, body.duplicate]).toEqual([202, false]);
    expect(body.execution).toMatchObject({
      trigger: { type: 'schedule', id: trigger.id },
      variables: { a: 1, b: 2, _trigger: { type: 'schedule', triggerId: trigger.id } },
    });
    await stage.api.db.pool.query(`UPDATE triggers SET last_fired_at = '2099-01-01' WHERE id = $1`, [trigger.id]);
    await post(`/api/triggers/${trigger.id}/run`, {});
    expect((await stage.send<Saved>('GET', `/api/triggers/${trigger.id}`)).body.trigger.lastFiredAt).toBe('2099-01-01T00:00:00.000Z');
  });

  it('maps the body of a manual trigger, which is its payload', async () => {
    const workflowId = await stage.workflow({ variables: { id: { type: 'number', required: true }, extra: { type: 'string' } } });
    const trigger = await stage.trigger({ name: fresh('By hand'), type: 'manual', workflowId, variableMapping: { id: '$.ticket.id' } });
    const sent = { ticket: { id: 7 }, variables: { extra: 'x' } };
    const { body } = await post<Started>(`/api/triggers/${trigger.id}/run`, sent);
    expect(body.execution).toMatchObject({
      trigger: { type: 'manual', name: trigger.name },
      variables: { id: 7, extra: 'x', _payload: sent },
    });
  });

  it('T20 is idempotent by key within the trigger: the same again is a duplicate, another body is refused', async () => {
    const workflowId = await stage.workflow({ variables: { a: { type: 'number' } } });
    const [one, two] = [
      await stage.trigger({ name: fresh('m'), type: 'manual', workflowId }),
      await stage.trigger({ name: fresh('m'), type: 'manual', workflowId }),
    ];
    const run = (id: string, a: number) => post<Started & Refusal>(`/api/triggers/${id}/run`, { variables: { a }, idempotencyKey: 'k' });
    const answers = [await run(one.id, 1), await run(one.id, 1), await run(one.id, 2), await run(two.id, 1)];
    expect(answers.map(({ status, body }) => [status, body.code ?? body.duplicate])).toEqual([
      [202, false],
      [200, true],
      [409, 'idempotency_key_reused'],
      [202, false],
    ]);
    expect(answers[1]?.body.execution?.id).toBe(answers[0]?.body.execution?.id);
  });

  it('starts a workflow by hand without a trigger', async () => {
    const workflowId = await stage.workflow({ variables: { a: { type: 'number' } } });
    const { status, body } = await post<Started>('/api/triggers/manual/run', { workflowId, variables: { a: 1 } });
    expect([status, body.execution?.trigger, body.execution?.variables['_payload']]).toEqual([
      202,
      { type: 'manual' },
      { workflowId, variables: { a: 1 } },
    ]);
  });

  it('T9 test-fires a webhook and a schedule as tests, which lists leave out; a manual one is 400', async () => {
    const workflowId = await stage.workflow({ variables: { id: { type: 'number', required: true }, list: { type: 'array' } } });
    const hook = await stage.webhook(
      { secret: 'never asked for' },
      { workflowId, enabled: false, variableMapping: { id: '$.tickets[1].id' } },
    );
    const timer = await schedule({ variables: { id: 3 } }, { workflowId });
    const manual = await stage.trigger({ name: fresh('m'), type: 'manual', workflowId });
    const fire = (id: string, body: object = {}) =>
      post<{ outcome: string; executionId: string; reason: string | null }>(`/api/triggers/${id}/test-fire`, body);
    const [synthetic, given, tick, unfit, none] = [
      await fire(hook.id),
      await fire(hook.id, { payload: { tickets: [{}, { id: 9 }] } }),
      await fire(timer.id),
      await fire(hook.id, { payload: {} }),
      await fire(manual.id),
    ];
    expect([synthetic, given, tick, unfit, none].map(({ status }) => status)).toEqual([202, 202, 202, 202, 400]);
    expect([synthetic, given, tick, unfit].map(({ body }) => body.outcome)).toEqual(['matched', 'matched', 'matched', 'error']);
    const ids = await Promise.all(
      [synthetic, given, tick].map(async ({ body }) => (await stage.execution(body.executionId)).variables['id']),
    );
    expect(ids).toEqual([1, 9, 3]);
    expect((await stage.execution(given.body.executionId)).trigger).toMatchObject({
      type: 'test',
      id: hook.id,
      deliveryId: expect.stringMatching(/^test-/),
    });
    expect(await stage.executionsOf(workflowId)).toEqual([]);
    expect(await stage.executionsOf(workflowId, '&includeTest=true')).toHaveLength(3);
    const deliveries = [...(await stage.deliveries(hook.id)), ...(await stage.deliveries(timer.id))];
    expect(deliveries.map(({ test, deliveryId }) => [test, deliveryId?.startsWith('test-')])).toEqual(
      Array.from({ length: 4 }, () => [true, true]),
    );
    expect((await stage.send<Saved>('GET', `/api/triggers/${hook.id}`)).body.trigger.lastFiredAt).toBeNull();
  });
});

describe('T18 a failure that nobody watches', () => {
  interface Message {
    readonly author: string;
    readonly content: string;
  }
  async function notices(workflowName: string): Promise<readonly Message[]> {
    const { body: sessions } = await stage.send<{ items: { id: string }[] }>('GET', '/api/sessions?kind=orchestrator');
    const { body } = await stage.send<{ items: Message[] }>('GET', `/api/sessions/${sessions.items[0]?.id}/messages?limit=200`);
    return body.items.filter(({ author, content }) => author === 'Signalbox' && content.includes(workflowName));
  }
  async function fail(executionId: string, status: 'failed' | 'cancelled' = 'failed'): Promise<void> {
    const error = {
      code: 'bash_exit_code',
      message: 'the command ended with 3',
      retryable: false,
      stepId: 'boom',
      iterationPath: '',
      attempt: 1,
    };
    const carry = { counter: 1, status, progress: { done: 0, total: 1, current: [] }, events: [], delivered: [] };
    const settled = await settleExecution(stage.api.db, executionId, carry, {
      status,
      output: { v: null },
      error: status === 'failed' ? error : null,
      reason: null,
      requested: false,
    });
    if (settled === undefined) throw new Error('no such execution');
    // A retry of the activity tells again.
    afterSettled(stage.api.operations, settled);
    afterSettled(stage.api.operations, settled);
    await stage.api.operations.background.drain();
  }
  const nameOf = async (workflowId: string): Promise<string> =>
    (await stage.send<{ workflow: { name: string } }>('GET', `/api/workflows/${workflowId}`)).body.workflow.name;

  it('is told once to the owner’s orchestrator, with step, error, trigger and link', async () => {
    const hook = await stage.webhook();
    const { body } = await stage.once<Fired>(hook.path);
    await fail(body.executionId);
    const told = await notices(await nameOf(hook.workflowId ?? ''));
    expect(told).toHaveLength(1);
    for (const part of [
      '`boom`',
      'bash_exit_code',
      'the command ended with 3',
      `webhook ${hook.name}`,
      `/executions/${body.executionId}`,
      body.executionId.slice(-8),
    ])
      expect(told[0]?.content).toContain(part);
  });

  it('is not told for failureNotify none, for what a person started, for a test, or for a cancel', async () => {
    const silent = await stage.webhook({}, { workflowId: await stage.workflow({ failureNotify: 'none' }) });
    const hook = await stage.webhook();
    const workflowId = hook.workflowId ?? '';
    const byHand = await post<Started>('/api/triggers/manual/run', { workflowId });
    const test = await post<{ executionId: string }>(`/api/triggers/${hook.id}/test-fire`, {});
    const cancelled = await stage.once<Fired>(hook.path);
    await fail((await stage.once<Fired>(silent.path)).body.executionId);
    await fail(byHand.body.execution?.id ?? '');
    await fail(test.body.executionId);
    await fail(cancelled.body.executionId, 'cancelled');
    expect([...(await notices(await nameOf(silent.workflowId ?? ''))), ...(await notices(await nameOf(workflowId)))]).toEqual([]);
  });
});

describe('old deliveries', () => {
  it('go after thirty days, keys whose time is over with them', async () => {
    const hook = await stage.webhook();
    await stage.call(hook.path, { body: '{"old":1}' });
    await stage.call(hook.path, { body: '{"new":1}' });
    await stage.api.db.pool.query(
      `UPDATE deliveries SET created_at = now() - interval '31 days' WHERE trigger_id = $1 AND payload_preview LIKE '%old%'`,
      [hook.id],
    );
    await stage.api.db.pool.query(`UPDATE idempotency_keys SET expires_at = now() WHERE door = $1`, [`trigger:${hook.id}`]);
    await dropOldDeliveries(stage.api.operations);
    expect((await stage.deliveries(hook.id)).map(({ payloadPreview }) => payloadPreview)).toEqual(['{"new":1}']);
    const { rows } = await stage.api.db.pool.query('SELECT key FROM idempotency_keys WHERE door = $1', [`trigger:${hook.id}`]);
    expect(rows).toEqual([]);
  });
});
