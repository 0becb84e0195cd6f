import { cpSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Plan } from '../../src/definition/plan.js';
import { type EngineState, SegmentMachine } from '../../src/engine/index.js';
import { ENGINE_VERSION, type SegmentResult } from '../../src/engine/types.js';
import { payloadsOf, runsOf } from '../support/payload-sizes.js';
import { builtEntry, checkoutRoot } from '../support/service-build.js';
import { Service } from '../support/service.js';
import { ServiceProcess } from '../support/service-process.js';
import { call, loop, parallel, set } from '../support/steps.js';
import { startStubServer, type StubServer } from '../support/stub-server.js';

jest.setTimeout(150_000);

const RUNS = 8;

/** What ships, told to be of the version before. */
function olderBuild(): string {
  const folder = mkdtempSync(join(tmpdir(), 'sbx-older-'));
  const dist = join(folder, 'dist');
  cpSync(join(builtEntry(), '..'), dist, { recursive: true });
  for (const part of ['node_modules', 'prisma', 'package.json']) symlinkSync(join(checkoutRoot(), part), join(folder, part));
  for (const file of [join('engine', 'types.js'), 'workflow-bundle.js']) {
    const text = readFileSync(join(dist, file), 'utf8');
    const older = text.replaceAll(`ENGINE_VERSION = ${ENGINE_VERSION}`, `ENGINE_VERSION = ${ENGINE_VERSION - 1}`);
    if (older === text) throw new Error(`${file} does not say which engine it is`);
    writeFileSync(join(dist, file), older);
  }
  return folder;
}

describe('a worker of an older engine beside the new one', () => {
  let stub: StubServer;
  let service: Service;
  let folder: string;
  let older: ServiceProcess;
  beforeAll(async () => {
    [stub, service] = await Promise.all([startStubServer(), Service.start()]);
    folder = olderBuild();
    older = new ServiceProcess({
      ...service.worker.plan,
      name: 'older worker',
      args: [join(folder, 'dist', 'start.js')],
      logFile: join(folder, 'worker.log'),
    });
    older.start();
    await older.untilReady();
  });
  afterAll(async () => {
    await older?.kill();
    await service?.close();
    await stub?.close();
    rmSync(folder, { recursive: true, force: true });
  });

  it('D27 refuses what it does not know, and every execution ends; recorded segments give equal end states', async () => {
    stub.on('/work', ({ query }) => ({ delayMs: 30, body: { n: Number(query['n']) } }));
    stub.on('/bad', { status: 400 });
    const steps = [
      loop('l', { over: 'range(10)' }, [call('c', stub, '/work?n={{ loop.item }}'), set('t', { at: '{{ now() }}' })]),
      { id: 'try', type: 'try', steps: [call('bad', stub, '/bad')], catch: [{ as: 'why', steps: [call('caught', stub, '/work?n=77')] }] },
      parallel('p', { x: [call('x', stub, '/work?n=1')], y: [call('y', stub, '/work?n=2')] }),
      { id: 'w', type: 'wait', duration: '200ms' },
      call('last', stub, '/work?n={{ outputs.caught.body.n }}'),
    ];
    const started = await Promise.all(Array.from({ length: RUNS }, () => service.run(steps)));
    const ended = await Promise.all(started.map(({ id }) => service.untilEnded(id, 100_000)));
    expect(ended.map(({ status, error }) => ({ status, error }))).toEqual(ended.map(() => ({ status: 'completed', error: null })));
    const calls = stub.calls('/work');
    // Refused before it began anything: no call is made twice for it.
    expect(new Set(calls.map(({ headers }) => headers['idempotency-key'])).size).toBe(calls.length);
    expect(calls).toHaveLength(RUNS * 14);
    // It was asked, and said so.
    expect(readFileSync(join(folder, 'worker.log'), 'utf8')).toContain(`knows engine version ${ENGINE_VERSION - 1}`);

    const client = await service.temporalClient();
    let segments = 0;
    for (const { id } of started) for (const { events } of await runsOf(client, id)) segments += expectEqualEndStates(events);
    expect(segments).toBeGreaterThanOrEqual(RUNS * 2);
  });
});

/** Feeds every recorded segment of a run its inputs again. @returns how many there were */
function expectEqualEndStates(events: Awaited<ReturnType<typeof runsOf>>[number]['events']): number {
  const [start] = payloadsOf(events[0]?.workflowExecutionStartedEventAttributes?.input) as { start: { plan: Plan } }[];
  const given = new Map<string, EngineState>();
  let count = 0;
  for (const event of events) {
    const scheduled = event.activityTaskScheduledEventAttributes;
    if (scheduled?.activityType?.name === 'segment') {
      given.set(String(event.eventId), (payloadsOf(scheduled.input) as { state: EngineState }[])[0]?.state as EngineState);
    }
    const state = given.get(String(event.activityTaskCompletedEventAttributes?.scheduledEventId));
    if (state === undefined || start === undefined) continue;
    const [result] = payloadsOf(event.activityTaskCompletedEventAttributes?.result) as SegmentResult[];
    const machine = new SegmentMachine(start.start.plan, state);
    machine.begin();
    for (const input of result?.inputs ?? []) machine.feed(input);
    expect(machine.hash()).toBe(result?.hash);
    count += 1;
  }
  return count;
}
