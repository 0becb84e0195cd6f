import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { DefaultLogger, Runtime } from '@temporalio/worker';
import { type EmbeddedTemporal, startTemporal } from '../../src/embedded/temporal.js';
import { type Scenario, SCENARIOS } from '../histories/scenarios.js';
import { type Played, ScenarioStage } from '../support/scenario-stage.js';
import { bundlePath } from '../support/service-build.js';

jest.setTimeout(180_000);

/** Scenarios at once: most of their time is waiting. */
const AT_ONCE = 6;
/**
 * SIGNALBOX_TEST_CACHED=0 or 1 makes nearly every task replay. Not the rule yet: with 0 often, with 1 seldom, a workflow task that holds a
 * local activity is started and never completed, and sdk-core says that an eviction's answer held commands. Replay from the first event is
 * what histories/replay.test.ts does. TODO: 0 once it is known whether our host or the SDK issues commands while a run is evicted.
 */
const CACHED = Number(process.env['SIGNALBOX_TEST_CACHED'] ?? 20);

/** Played, not recorded. */
const FURTHER: readonly Scenario[] = [
  {
    name: 'much-to-write',
    steps: [
      {
        id: 'l',
        type: 'loop',
        over: 'range(150)',
        collect: 'null',
        steps: [{ id: 's', type: 'set', values: { text: "{{ join(range(0, 4000), '-') }}" } }],
      },
    ],
    expected: 'completed',
  },
  {
    name: 'closed-under-it',
    steps: [
      {
        id: 't',
        type: 'try',
        steps: [{ id: 'a', type: 'tool', tool: 'http:request', arguments: { url: 'https://example.test' } }],
        catch: [{ codes: ['*'], steps: [{ id: 'b', type: 'notify', content: 'hi', target: 'chat' }] }],
      },
    ],
    world: { replies: {}, closesAt: 'a' },
    expected: 'failed',
  },
  {
    name: 'closed-while-waiting',
    steps: [
      { id: 'e', type: 'wait_for_event', event: 'go' },
      { id: 's', type: 'set', values: { x: 1 } },
      { id: 'w', type: 'wait', duration: '1h' },
    ],
    world: { replies: {}, closesAt: 'evt_closes' },
    drive: async ({ handle, seen }) => {
      await seen('execution.waiting');
      await handle.signal('event', { id: 'evt_closes', event: 'go', payload: null });
    },
    expected: 'failed',
  },
];
const ALL = [...SCENARIOS, ...FURTHER];

describe('the execution workflow with an early hand-over', () => {
  const folder = mkdtempSync(join(tmpdir(), 'sbx-scenarios-'));
  const played = new Map<string, Played | Error>();
  let server: EmbeddedTemporal;

  beforeAll(async () => {
    Runtime.install({ logger: new DefaultLogger('ERROR') });
    server = await startTemporal({
      dir: folder,
      ui: false,
      dynamicConfig: { 'limit.historyCount.suggestContinueAsNew': 40, 'history.workflowIdReuseMinimalInterval': '0s' },
    });
    await ScenarioStage.with(
      { address: server.address, namespace: 'default', bundle: bundlePath(), maxCachedWorkflows: CACHED },
      async (stage) => {
        const waiting = [...ALL];
        const take = async (): Promise<void> => {
          for (let next = waiting.shift(); next !== undefined; next = waiting.shift()) {
            played.set(
              next.name,
              await stage.play(next).catch((error: unknown) => (error instanceof Error ? error : new Error(String(error)))),
            );
          }
        };
        await Promise.all(Array.from({ length: AT_ONCE }, take));
      },
    );
  });
  afterAll(async () => {
    await server?.stop();
    rmSync(folder, { recursive: true, force: true });
  });

  const playedOf = (name: string): Played => {
    const found = played.get(name);
    if (found === undefined || found instanceof Error) throw found ?? new Error(`${name} was not played`);
    return found;
  };

  it.each(ALL.map(({ name, expected }) => [name, expected] as const))('D2 plays %s to its end: %s', (name, expected) => {
    const { outcome, journal } = playedOf(name);
    expect(outcome).toBe(expected);
    expect(new Set(journal.calls).size).toBe(journal.calls.length - repeats(name));
  });

  it('says of every event signal with an id that it was applied, once', () => {
    expect([...playedOf('wait-for-event').journal.delivered].toSorted()).toEqual(['evt_1', 'evt_2']);
    expect([...playedOf('pause-resume').journal.delivered].toSorted()).toEqual(['cmd_1', 'cmd_2']);
  });

  it('§9 ends when it finds its row ended: no handler, no further step', () => {
    expect(playedOf('closed-under-it').journal.calls).toEqual(['a@t:try#1']);
  });

  it('writes what it carries in chunks also before it settles', () => {
    const { events, largestCarry } = playedOf('much-to-write').journal;
    expect(events.filter((event) => event.startsWith('step.completed s@'))).toHaveLength(150);
    expect(largestCarry).toBeGreaterThan(1024 * 1024);
    expect(largestCarry).toBeLessThan(4.2 * 1024 * 1024);
  });

  it('runs `finally` once after a cancel', () => {
    expect(playedOf('cancel-call').journal.calls.filter((call) => call.startsWith('f@'))).toEqual(['f@t:finally#1']);
  });

  /** Calls of a scenario that Temporal repeats after a fault of the platform. */
  const repeats = (name: string): number => (name === 'platform-retry' ? 2 : 0);
});
