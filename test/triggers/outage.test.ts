import { keepSchedules } from '../../src/operations/triggers/reconcile-schedules.js';
import { freshName, Service } from '../support/service.js';
import { matched, SchedulesStage } from './schedules-stage.js';

let service: Service;
let stage: SchedulesStage;
beforeAll(async () => {
  service = await Service.start({ ownServers: true });
  stage = new SchedulesStage(service);
}, 120_000);
afterAll(async () => {
  await stage?.close();
  await service?.close();
});

/** An expression that fires at exactly these seconds of one minute. */
function cronOf(instants: readonly Date[]): string {
  const [first] = instants as readonly [Date];
  const seconds = instants.map((instant) => instant.getUTCSeconds()).join(',');
  return `${seconds} ${first.getUTCMinutes()} ${first.getUTCHours()} ${first.getUTCDate()} ${first.getUTCMonth() + 1} * ${first.getUTCFullYear()}`;
}

/** Three seconds of one minute, the first of them some time ahead. */
function threeTicks(): readonly Date[] {
  let first = Math.ceil(Date.now() / 1_000 + 14) * 1_000;
  // All three in one minute.
  if (new Date(first).getUTCSeconds() > 55) first += 5_000;
  return [0, 1, 2].map((after) => new Date(first + after * 1_000));
}

describe('T13 Temporal is away over three ticks', () => {
  it('goes through all of them within the window as told, marked late, and through none outside; what did not run is told', async () => {
    const ticks = threeTicks();
    const [first, , third] = ticks as readonly [Date, Date, Date];
    const make = async (config: object) => {
      const workflow = await service.save({ name: freshName('Outage'), steps: [{ id: 'w', type: 'wait', duration: '3s' }] });
      return stage.trigger({ cron: cronOf(ticks), ...config }, { workflowId: workflow.id });
    };
    const [all, skip, short] = await Promise.all([make({ overlap: 'allow_all' }), make({}), make({ catchupWindow: '10s' })]);
    expect(Date.now()).toBeLessThan(first.getTime());
    await service.servers.own?.killTemporal();
    // The window of ten seconds has to be over for the last of them as well.
    await service.until('the outage to be long enough', async () => (Date.now() > third.getTime() + 11_000 ? true : undefined), 60_000);
    await service.servers.own?.startTemporal();
    await stage.untilDeliveries(all, 'three runs', (found) => matched(found).length === 3, 60_000);
    expect(matched(await stage.deliveries(all)).map(({ deliveryId }) => deliveryId)).toEqual(
      expect.arrayContaining(ticks.map((tick) => tick.toISOString().replace('.000Z', 'Z'))),
    );
    for (const { reason } of matched(await stage.deliveries(all))) expect(reason).toMatch(/^late: /);
    await service.until(
      'everything told',
      async () => {
        await keepSchedules(stage.operations);
        const [skipped, missed] = [await stage.deliveries(skip), await stage.deliveries(short)];
        return skipped.length === 3 && missed.length === 3 ? true : undefined;
      },
      60_000,
    );
    const [skipped, missed] = [await stage.deliveries(skip), await stage.deliveries(short)];
    expect(matched(skipped).length).toBeGreaterThanOrEqual(1);
    expect(new Set(skipped.map(({ outcome }) => outcome))).toEqual(new Set(['matched', 'skipped_overlap']));
    expect(missed.map(({ outcome, reason }) => [outcome, reason])).toEqual(Array.from({ length: 3 }, () => ['error', 'missed']));
    expect(await stage.executionsOf(short)).toEqual([]);
    expect(await stage.untilAllEnded(all, 3)).toHaveLength(3);
  }, 150_000);
});
