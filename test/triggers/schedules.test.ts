import { readFileSync } from 'node:fs';
import { keepSchedules } from '../../src/operations/triggers/reconcile-schedules.js';
import { freshName, Service } from '../support/service.js';
import type { DefinitionJson } from '../support/service-shapes.js';
import { matched, nominal, SchedulesStage } from './schedules-stage.js';
import { sign } from './triggers-stage.js';

const save = (steps: readonly object[] = [{ id: 'a', type: 'set', values: { x: 1 } }]) =>
  service.save({ name: freshName('Scheduled'), steps } as DefinitionJson);

let service: Service;
let stage: SchedulesStage;
beforeAll(async () => {
  service = await Service.start();
  stage = new SchedulesStage(service);
}, 120_000);
afterAll(async () => {
  await stage?.close();
  await service?.close();
});

describe('a schedule on Temporal', () => {
  it('T10 T14 T15 fires at the times that were shown, each once, with the definition current then; a backfill over them starts nothing', async () => {
    const workflow = await save();
    const trigger = await stage.trigger({ cron: '*/2 * * * * * *', overlap: 'allow_all' }, { workflowId: workflow.id });
    const shown = (await stage.read(trigger.id)).schedule?.next ?? [];
    expect(shown).toHaveLength(5);
    await stage.untilDeliveries(trigger, 'the first two ticks', (found) => matched(found).length >= 2);
    await service.api.put(`/api/workflows/${workflow.id}`, { version: '2.0.0' });
    const savedAt = new Date().toISOString();
    const last = nominal(shown.at(-1) ?? '');
    await stage.untilDeliveries(trigger, 'all that were shown, and one after the edit', (found) =>
      matched(found).some(({ deliveryId }) => (deliveryId ?? '') > last && (deliveryId ?? '') > nominal(savedAt)),
    );
    await stage.pause(trigger);
    const fired = matched(await stage.deliveries(trigger)).map(({ deliveryId }) => deliveryId ?? '');
    expect(fired).toEqual(expect.arrayContaining(shown.map(nominal)));
    expect(new Set(fired).size).toBe(fired.length);
    const executions = await stage.untilAllEnded(trigger, fired.length);
    expect(executions.map(({ id }) => id)).toEqual(fired.toSorted().map((tick) => `exe_${trigger.id.slice(4)}-${tick}`));
    expect(executions.map(({ status }) => status)).toEqual(executions.map(() => 'completed'));
    expect(executions[0]?.version).toBe('1.0.0');
    expect(executions.at(-1)?.version).toBe('2.0.0');
    const accepted = await service.api.post(`/api/triggers/${trigger.id}/backfill`, { start: shown[0], end: shown[2] });
    expect(accepted.status).toBe(202);
    const after = await stage.untilDeliveries(
      trigger,
      'three duplicates',
      (found) => found.filter(({ outcome }) => outcome === 'duplicate').length === 3,
    );
    expect(matched(after)).toHaveLength(fired.length);
    expect(await stage.executionsOf(trigger)).toHaveLength(executions.length);
    const client = await service.temporalClient();
    expect(await client.workflow.getHandle(`exe_${trigger.id.slice(4)}-${nominal(shown[0] ?? '')}`).result()).toMatchObject({
      status: 'duplicate',
    });
  }, 90_000);

  it('T15 is still paused after an edit, which leaves no old times', async () => {
    const workflow = await save();
    const trigger = await stage.trigger({ cron: '0 3 * * *', timezone: 'Asia/Tokyo' }, { workflowId: workflow.id });
    await stage.pause(trigger);
    await service.api.call('PATCH', `/api/triggers/${trigger.id}`, { config: { cron: '30 4 * * *' } });
    const { schedule } = await stage.read(trigger.id);
    expect(schedule?.paused).toBe(true);
    expect(schedule?.next.map((time) => time.slice(11, 16))).toEqual(Array.from({ length: 5 }, () => '19:30'));
    const { body } = await service.api.get<{ items: string[] }>(`/api/triggers/${trigger.id}/upcoming?count=12`);
    expect(body.items).toHaveLength(12);
    expect(body.items.slice(0, 5)).toEqual(schedule?.next);
    // Paused or not, a person may run it; two within one second are two.
    const run = () => service.api.post<{ execution: { id: string } }>(`/api/triggers/${trigger.id}/run`);
    const runs = await Promise.all([run(), run()]);
    const ended = await Promise.all(runs.map((answer) => service.untilEnded(answer.body.execution.id)));
    expect(ended.map(({ status }) => status)).toEqual(['completed', 'completed']);
    expect(new Set(ended.map(({ id }) => id)).size).toBe(2);
  });

  it('T11 skips 02:30 in spring and has it twice in autumn: what is shown, and what runs', async () => {
    const workflow = await save();
    const trigger = await stage.trigger(
      { cron: '30 2 * * *', timezone: 'Europe/Berlin', overlap: 'allow_all' },
      { workflowId: workflow.id },
    );
    const [spring, autumn] = [lastSunday(3), lastSunday(10)];
    const times = async (day: Date) => {
      const answer = await stage.operations.temporal.schedules.times(
        trigger.id,
        day.getTime() - 86_400_000,
        day.getTime() + 2 * 86_400_000,
      );
      return answer.kind === 'done' ? answer.value.map((time) => time.slice(0, 16)) : answer;
    };
    const at = (day: Date, days: number, time: string): string =>
      `${new Date(day.getTime() + days * 86_400_000).toISOString().slice(0, 10)}T${time}`;
    expect(await times(spring)).toEqual([at(spring, -1, '01:30'), at(spring, 1, '00:30')]);
    expect(await times(autumn)).toEqual([at(autumn, -1, '00:30'), at(autumn, 0, '00:30'), at(autumn, 0, '01:30'), at(autumn, 1, '01:30')]);
    await service.api.post(`/api/triggers/${trigger.id}/backfill`, {
      start: `${at(autumn, 0, '00:30')}:00Z`,
      end: `${at(autumn, 0, '01:30')}:00Z`,
    });
    const executions = await stage.untilAllEnded(trigger, 2);
    expect(executions.map(({ trigger: { scheduledAt } }) => scheduledAt)).toEqual([
      `${at(autumn, 0, '00:30')}:00.000Z`,
      `${at(autumn, 0, '01:30')}:00.000Z`,
    ]);
  }, 60_000);

  it('T12 runs, queues, cancels or skips while a run is active, as it is told', async () => {
    const make = async (overlap: string) => {
      const workflow = await save([{ id: 'w', type: 'wait', duration: '5s' }]);
      return stage.trigger({ cron: '*/2 * * * * * *', overlap }, { workflowId: workflow.id });
    };
    const [skip, queue, all, cancel] = [await make('skip'), await make('buffer_one'), await make('allow_all'), await make('cancel_other')];
    const terminate = await make('terminate_other');
    await Promise.all([
      stage.untilDeliveries(terminate, 'two runs', (found) => matched(found).length >= 2),
      stage.untilDeliveries(skip, 'two runs', (found) => matched(found).length >= 2),
      stage.untilDeliveries(queue, 'two runs', (found) => matched(found).length >= 2),
      stage.untilDeliveries(all, 'three runs', (found) => matched(found).length >= 3),
      stage.untilDeliveries(cancel, 'two runs', (found) => matched(found).length >= 2),
    ]);
    // Closed with the tick that it made room for, long before the reconciler looks for what is gone.
    const [terminated] = await stage.executionsOf(terminate);
    expect([terminated?.status, terminated?.error]).toEqual(['cancelled', null]);
    await Promise.all([skip, queue, all, cancel, terminate].map((trigger) => stage.pause(trigger)));
    await keepSchedules(stage.operations);
    const [skipped, queued, parallel, cancelled] = await Promise.all(
      [skip, queue, all, cancel].map((trigger) => stage.untilAllEnded(trigger, 2)),
    );
    expect(overlaps(skipped ?? [])).toBe(false);
    expect(overlaps(queued ?? [])).toBe(false);
    // Queued while the first was active: its time had come before that ended.
    expect(Date.parse(queued?.[1]?.trigger.scheduledAt ?? '')).toBeLessThan(Date.parse(queued?.[0]?.completedAt ?? ''));
    expect(overlaps(parallel ?? [])).toBe(true);
    expect(cancelled?.[0]?.status).toBe('cancelled');
    expect(overlaps(cancelled ?? [])).toBe(false);
    const deliveries = await stage.deliveries(skip);
    const told = deliveries.filter(({ outcome }) => outcome === 'skipped_overlap');
    const span = (Date.parse(skipped?.[1]?.trigger.scheduledAt ?? '') - Date.parse(skipped?.[0]?.trigger.scheduledAt ?? '')) / 2_000;
    // Every tick between two runs was skipped, and is told under its own time.
    expect(told.length).toBeGreaterThanOrEqual(span - 1);
    expect(new Set(deliveries.map(({ deliveryId }) => deliveryId)).size).toBe(deliveries.length);
  }, 90_000);

  it('T16 T18 speaks to the orchestrator, and tells it of a failure', async () => {
    const prompt = await stage.trigger({ cron: '* * * * * * *', target: 'orchestrator', prompt: 'Say hello' });
    const failing = await save([{ id: 'boom', type: 'stop', outcome: 'failed', message: 'no' }]);
    const nightly = await stage.trigger({ cron: '* * * * * * *' }, { workflowId: failing.id });
    await Promise.all(
      [prompt, nightly].map(async (trigger) => {
        await stage.untilDeliveries(trigger, 'a tick', (found) => matched(found).length > 0);
        await stage.pause(trigger);
      }),
    );
    const messages = await service.until('a notice', async () => {
      const { body: sessions } = await service.api.get<{ items: { id: string }[] }>('/api/sessions?kind=orchestrator');
      const { body } = await service.api.get<{ items: { author: string; content: string }[] }>(
        `/api/sessions/${sessions.items[0]?.id}/messages?limit=200`,
      );
      return body.items.some(({ author, content }) => author === 'Signalbox' && content.includes(failing.name)) ? body.items : undefined;
    });
    expect(messages.filter(({ author }) => author === 'Schedule')[0]?.content).toMatch(/Say hello$/);
    const [tick] = matched(await stage.deliveries(prompt));
    expect(tick?.executionId).toBeNull();
    const client = await service.temporalClient();
    expect(await client.workflow.getHandle(`exe_${prompt.id.slice(4)}-${tick?.deliveryId}`).result()).toMatchObject({ status: 'matched' });
  }, 60_000);

  it('T17 is made again when it was deleted in Temporal, and changed back when it was changed; what has no trigger is removed', async () => {
    const workflow = await save();
    const trigger = await stage.trigger({ cron: '0 3 * * *' }, { workflowId: workflow.id });
    const client = await service.temporalClient();
    await client.schedule.getHandle(trigger.id).delete();
    const stray = `trg_${'0'.repeat(26)}`;
    await client.schedule.create({
      scheduleId: stray,
      spec: { cronExpressions: ['0 3 * * *'] },
      action: { type: 'startWorkflow', workflowType: 'execution', taskQueue: 'signalbox' },
    });
    const isKnown = (id: string): Promise<boolean> =>
      client.schedule
        .getHandle(id)
        .describe()
        .then(
          () => true,
          () => false,
        );
    await service.until('both repaired', async () => {
      await keepSchedules(stage.operations);
      return (await isKnown(trigger.id)) && !(await isKnown(stray)) ? true : undefined;
    });
    expect((await stage.read(trigger.id)).schedule?.next).toHaveLength(5);
    // What somebody has changed there, other than its pause, is changed back.
    const times = async () => (await stage.read(trigger.id)).schedule?.next.map((time) => time.slice(11, 16));
    await client.schedule.getHandle(trigger.id).update((before) => ({
      ...before,
      spec: { cronExpressions: ['0 5 * * *'] },
      state: { ...before.state, paused: true },
    }));
    expect(await times()).toEqual(Array.from({ length: 5 }, () => '05:00'));
    await keepSchedules(stage.operations);
    expect(await times()).toEqual(Array.from({ length: 5 }, () => '03:00'));
    expect((await stage.read(trigger.id)).schedule?.paused).toBe(true);
    await service.api.delete(`/api/workflows/${workflow.id}`);
    expect(await isKnown(trigger.id)).toBe(false);
  }, 60_000);

  it('T14 T19 loses no tick and runs none twice when the worker is killed at one', async () => {
    const workflow = await save();
    const trigger = await stage.trigger({ cron: '*/3 * * * * * *', overlap: 'allow_all' }, { workflowId: workflow.id });
    await service.until('a row', async () => ((await stage.executionsOf(trigger)).length > 0 ? true : undefined));
    await service.worker.kill();
    await service.until('ticks without a worker', async () => {
      const answer = await stage.operations.temporal.schedules.describe(trigger.id);
      return answer.kind === 'done' && answer.value.started.length >= 3 ? true : undefined;
    });
    await service.startWorker();
    const answer = await stage.operations.temporal.schedules.describe(trigger.id);
    await stage.pause(trigger);
    const started = answer.kind === 'done' ? answer.value.started.map(nominal) : [];
    const runs = await service.until('every tick that Temporal started, ended', async () => {
      const executions = await stage.executionsOf(trigger);
      const ticks = executions.map(({ trigger: { scheduledAt } }) => nominal(scheduledAt ?? ''));
      const told = matched(await stage.deliveries(trigger)).map(({ deliveryId }) => deliveryId ?? '');
      const areAllThere = started.every((tick) => ticks.includes(tick)) && told.length === ticks.length;
      return areAllThere && executions.every(({ completedAt }) => completedAt !== null) ? { executions, ticks, told } : undefined;
    });
    expect(runs.executions.map(({ status }) => status)).toEqual(runs.ticks.map(() => 'completed'));
    expect(runs.told.toSorted()).toEqual(runs.ticks);
    expect(new Set(runs.ticks).size).toBe(runs.ticks.length);
  }, 90_000);
});

describe('a webhook on the same service', () => {
  it('E1 runs its workflow to the end, and feeds one that waits', async () => {
    const wait = await service.save({
      name: freshName('Waits'),
      variables: { order: { type: 'number' } },
      steps: [{ id: 'paid', type: 'wait_for_event', event: 'paid', match: 'event.payload.order == variables.order', timeout: '1m' }],
    });
    const make = async (path: string, config: object, variableMapping: object) =>
      service.api.post('/api/triggers', {
        name: freshName('Hook'),
        type: 'webhook',
        workflowId: wait.id,
        config: { path, secret: 'shared', ...config },
        variableMapping,
      });
    await make('orders', {}, { order: '$.order' });
    await make('payments', { event: { name: 'paid', executionId: '$.query.execution' } }, {});
    const call = (path: string, body: string) =>
      service.api.withKey(null).call<{ executionId: string; deliveryId: string }>('POST', `/webhooks/${path}`, undefined, {
        raw: body,
        headers: { 'x-webhook-signature': sign('shared', body) },
      });
    const started = await call('orders', '{"order":7}');
    expect(started.status).toBe(202);
    const { executionId } = started.body;
    await service.untilKind(executionId, 'step.waiting', 'paid');
    await (await service.temporalClient()).workflow.getHandle(executionId).signal('event', 'no event at all');
    // Every line about an execution says what started it (reference §9), Temporal's own as well.
    const line = await service.until('the line about it', async () =>
      readFileSync(service.worker.plan.logFile, 'utf8')
        .split('\n')
        .find((each) => each.includes('event signal without event') && each.includes(executionId)),
    );
    expect(JSON.parse(line)).toMatchObject({ workflowId: executionId, deliveryId: started.body.deliveryId });
    expect((await call(`payments?execution=${executionId}`, '{"order":7,"amount":5}')).status).toBe(202);
    const ended = await service.untilEnded(executionId);
    expect([ended.status, ended.output]).toEqual(['completed', { paid: { order: 7, amount: 5, query: { execution: executionId } } }]);
  }, 60_000);
});

/** Of the last such month that is over, at midnight UTC. */
function lastSunday(month: number): Date {
  const now = new Date();
  for (let year = now.getUTCFullYear(); ; year -= 1) {
    const end = new Date(Date.UTC(year, month, 0));
    const sunday = new Date(end.getTime() - end.getUTCDay() * 86_400_000);
    if (sunday.getTime() + 3 * 86_400_000 < now.getTime()) return sunday;
  }
}

function overlaps(executions: readonly { readonly createdAt: string; readonly completedAt: string | null }[]): boolean {
  const ordered = executions.toSorted((a, b) => Date.parse(a.createdAt) - Date.parse(b.createdAt));
  return ordered.some((each, index) => index > 0 && Date.parse(each.createdAt) < Date.parse(ordered[index - 1]?.completedAt ?? ''));
}
