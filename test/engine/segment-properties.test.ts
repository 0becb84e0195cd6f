import * as fc from 'fast-check';
import { Driver, type Options, planOf } from './support/driver.js';
import { hash, randomReply, randomSteps } from './support/random-runs.js';

jest.setTimeout(600_000);
const world = fc.nat();
const runs = { numRuns: Number(process.env['PROPERTY_RUNS'] ?? 100) };

function aRun(steps: readonly unknown[], number: number, options: Options & { readonly light?: boolean } = {}): Driver {
  let picks = 0;
  const pick = (count: number) => hash(`${number}/${(picks += 1)}`) % count;
  const plan = planOf({ steps, constraints: { maxSteps: 400 } }, { light: options.light ?? true });
  const run = new Driver(plan, { world: randomReply(number), variables: { n: 0 }, pick, roundTrip: true, ...options });
  return run
    .event(40, 'go', 1, 'evt_1')
    .event(700, 'go', 2, 'evt_2')
    .decide(100, `s${1 + (number % 9)}`, number % 2 === 0 ? 'approved' : 'denied');
}

const openRows = (run: Driver) => [...run.rows.values()].filter(({ status }) => status === 'running' || status.startsWith('waiting'));

describe('any definition whose light steps run in segments', () => {
  it('ends, with one finish behind everything that it had in flight, and nothing left of a segment', () => {
    fc.assert(
      fc.property(randomSteps, world, (steps, number) => {
        const run = aRun(steps, number).run(8_000);
        expect(run.outcome).toBeDefined();
        expect(run.state.segments ?? {}).toEqual({});
        expect(openRows(run)).toEqual([]);
      }),
      runs,
    );
  });

  it('ends cancelled wherever it is cancelled, once and with all rows at an end', () => {
    fc.assert(
      fc.property(randomSteps, world, fc.nat({ max: 2_000 }), (steps, number, afterMs) => {
        const run = aRun(steps, number).runUntil(afterMs);
        run
          .cancel(afterMs)
          .cancel(afterMs + 1)
          .run(8_000);
        if (run.cancelCame) expect(run.outcome).toMatchObject({ status: 'cancelled', requested: true });
        expect(openRows(run)).toEqual([]);
      }),
      runs,
    );
  });

  it('ends all the same when its segments are halted anywhere, and again, and other workers take them up', () => {
    fc.assert(
      fc.property(randomSteps, world, fc.nat({ max: 500 }), fc.nat({ max: 500 }), (steps, number, first, second) => {
        const run = aRun(steps, number)
          .runUntil(first)
          .crashSegments()
          .haltSegments()
          .runUntil(first + second)
          .haltSegments()
          .crashSegments()
          .run(8_000);
        expect(run.outcome).toBeDefined();
        expect(openRows(run)).toEqual([]);
      }),
      runs,
    );
  });

  it('starts nothing while it is paused and its segments are halted, and goes on at resume', () => {
    fc.assert(
      fc.property(randomSteps, world, fc.nat({ max: 1_500 }), (steps, number, afterMs) => {
        const run = aRun(steps, number).later(afterMs, { kind: 'pause', by: null }).runUntil(afterMs).haltSegments();
        const calls = run.calls.length;
        run.runUntil(afterMs + 1_500);
        // A run that was ending already is not paused.
        if (run.state.paused) expect(run.calls.length).toBe(calls);
        expect(run.later(afterMs + 1_500, { kind: 'resume', by: null }).run(8_000).outcome).toBeDefined();
      }),
      runs,
    );
  });

  // Races and limits in time may come out otherwise when what came before takes no time.
  const isTimeless = (steps: readonly unknown[]) =>
    !/"wait":("any"|2)|"timeout"|"retry"|"type":"(stop|wait|wait_for_event|approval|subworkflow)"|"until":"loop|"concurrency":[25]|"onBranchError":"fail"/.test(
      JSON.stringify(steps),
    );

  it('comes out as the same definition does without segments, where time plays no part', () => {
    const instant = (number: number) => (call: { readonly stepId: string; readonly iterationPath: string }) => {
      const { lost: _lost, ...reply } = randomReply(number)({ ...call, attempt: 1 });
      return { ...reply, afterMs: 0 };
    };
    fc.assert(
      fc.property(randomSteps, world, (steps, number) => {
        if (!isTimeless(steps)) return;
        const [plain, light] = [false, true].map((isLight) => aRun(steps, number, { world: instant(number), light: isLight }).run(8_000));
        const told = (run: Driver | undefined) => ({
          outcome: [run?.outcome?.status, run?.output, run?.outcome?.error?.code],
          rows: Object.fromEntries([...(run?.rows.entries() ?? [])].map(([key, { status, output }]) => [key, [status, output]])),
          steps: run?.state.steps,
        });
        expect(told(light)).toEqual(told(plain));
      }),
      { numRuns: 3 * runs.numRuns },
    );
  });
});
