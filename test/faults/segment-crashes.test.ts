import { Service } from '../support/service.js';
import type { LoggedEvent, StepJson } from '../support/service-shapes.js';
import { call, loop, parallel, set } from '../support/steps.js';
import { startStubServer, type StubCall, type StubReply, type StubServer } from '../support/stub-server.js';

jest.setTimeout(150_000);

/** Shapes of light steps in which a retry could go another way than the attempt that died: by the time, by a fault, by a race, by order. */
const SHAPES: readonly ((stub: StubServer, id: string) => readonly StepJson[])[] = [
  (stub, id) => [
    set(`${id}_set`, { [`${id}_t`]: '{{ now() }}' }),
    {
      id: `${id}_if`,
      type: 'conditional',
      condition: `matches(variables.${id}_t, "[02468]Z$")`,
      then: [call(`${id}_even`, stub, `/work?at={{ variables.${id}_t }}`)],
      else: [call(`${id}_odd`, stub, `/work?at={{ variables.${id}_t }}`)],
    },
  ],
  (stub, id) => [
    {
      id: `${id}_try`,
      type: 'try',
      steps: [call(`${id}_bad`, stub, '/bad')],
      catch: [{ as: 'why', steps: [call(`${id}_caught`, stub, '/work?code={{ why.code }}')] }],
    },
  ],
  (stub, id) => [
    parallel(`${id}_race`, { slow: [call(`${id}_slow`, stub, '/slow')], fast: [call(`${id}_fast`, stub, '/work')] }, { wait: 'any' }),
  ],
  (stub, id) => [loop(`${id}_loop`, { over: 'range(2)' }, [call(`${id}_pass`, stub, '/work?n={{ loop.item }}')])],
];

/** In an order of this run's own. */
function randomStretch(stub: StubServer, seed: number): StepJson[] {
  let state = seed;
  const random = () => (state = (state * 48_271) % 2_147_483_647) / 2_147_483_647;
  const shapes = [...SHAPES].map((shape) => ({ shape, rank: random() })).toSorted((a, b) => a.rank - b.rank);
  return shapes.flatMap(({ shape }, index) => shape(stub, `s${index}`));
}

describe('a worker killed inside a stretch of light steps', () => {
  let stub: StubServer;
  let service: Service;
  beforeAll(async () => {
    [stub, service] = await Promise.all([startStubServer(), Service.start()]);
  });
  afterAll(async () => {
    await service?.close();
    await stub?.close();
  });

  it('D18 at every call of a random stretch: same result, same log, every finished step called once', async () => {
    const seed = 1 + Math.floor(Math.random() * 1_000_000);
    const steps = randomStretch(stub, seed);
    const killer = new Killer(service);
    const answer = (reply: StubReply) => async (made: StubCall) => ((await killer.mayKill(made)) ? { fault: 'hang' as const } : reply);
    stub.on('/work', answer({ body: { ok: 1 } }));
    stub.on('/bad', answer({ status: 400 }));
    // It loses the race also where the fast one is called a second time.
    stub.on('/slow', { fault: 'hang' });

    const undisturbed = await service.runToEnd(steps);
    expect({ seed, status: undisturbed.status, error: undisturbed.error }).toEqual({ seed, status: 'completed', error: null });
    const expected = shapeOf(await service.expectGapFreeLog(undisturbed.id));

    killer.isOn = true;
    const run = await service.run(steps);
    const ended = await service.untilEnded(run.id, 120_000);
    killer.isOn = false;
    await killer.settled();
    expect({ seed, status: ended.status, error: ended.error }).toEqual({ seed, status: 'completed', error: null });
    const events = await service.expectGapFreeLog(run.id);
    expect({ seed, log: shapeOf(events) }).toEqual({ seed, log: expected });
    const made = stub.journal.filter(({ headers }) => headers['idempotency-key']?.startsWith(`${run.id}/`) === true && !isSlow(headers));
    const counts = new Map<string, number>();
    for (const { headers } of made) counts.set(headers['idempotency-key'] ?? '', (counts.get(headers['idempotency-key'] ?? '') ?? 0) + 1);
    // Killed once in each, so called again once, and never behind its end.
    expect({ seed, kills: killer.kills }).toEqual({ seed, kills: counts.size });
    expect({ seed, counts: [...counts.values()] }).toEqual({ seed, counts: [...counts.values()].map(() => 2) });
    console.log(`D18: ${killer.kills} kills, seed ${seed}`);
  });
});

const isSlow = (headers: StubCall['headers']): boolean => headers['idempotency-key']?.includes('_slow') === true;

/** Kills the worker the first time that a call arrives, once for each step. */
class Killer {
  isOn = false;
  private readonly killedIn = new Set<string>();
  private underWay: Promise<void> = Promise.resolve();
  private isKilling = false;

  constructor(private readonly service: Service) {}

  get kills(): number {
    return this.killedIn.size;
  }

  /** Whether the caller is dead. */
  async mayKill({ headers }: StubCall): Promise<boolean> {
    const key = headers['idempotency-key'] ?? '';
    if (!this.isOn || this.isKilling || this.killedIn.has(key)) return false;
    this.isKilling = true;
    this.killedIn.add(key);
    await this.service.worker.kill();
    this.underWay = this.service.startWorker().finally(() => (this.isKilling = false));
    return true;
  }

  async settled(): Promise<void> {
    await this.underWay;
  }
}

/** The log without times, and without which of two branches a time chose. */
const shapeOf = (events: readonly LoggedEvent[]): string[] => {
  const lines = events.map(({ kind, stepId = '', iterationPath = '' }) =>
    `${kind} ${stepId} ${iterationPath}`.replaceAll(/_(even|odd)\b/g, '_branch').replaceAll(/:(then|else)\b/g, ':slot'),
  );
  // Two that run side by side are told in the order in which they came.
  return [...lines.filter((line) => !/_(slow|fast)/.test(line)), ...lines.filter((line) => /_(slow|fast)/.test(line)).toSorted()];
};
