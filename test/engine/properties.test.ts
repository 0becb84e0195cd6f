import * as fc from 'fast-check';
import { buildSeeds } from '../../src/engine/index.js';
import { Driver, type Options, planOf, type Reply } from './support/driver.js';
import { hash, randomAgent, randomReply, randomSteps } from './support/random-runs.js';

jest.setTimeout(600_000);
const world = fc.nat();
const runs = { numRuns: Number(process.env['PROPERTY_RUNS'] ?? 100) };

function aRun(steps: readonly unknown[], number: number, options: Options = {}): Driver {
  let picks = 0;
  const pick = (count: number) => hash(`${number}/${(picks += 1)}`) % count;
  const run = new Driver(planOf({ steps, constraints: { maxSteps: 400, ...(number % 3 === 0 ? { maxTokens: 900 } : {}) } }), {
    world: randomReply(number),
    agent: randomAgent(number),
    variables: { n: 0 },
    pick,
    ...options,
  });
  return run
    .event(40, 'go', 1, 'evt_1')
    .event(700, 'go', 2, 'evt_2')
    .decide(100, `s${1 + (number % 9)}`, number % 2 === 0 ? 'approved' : 'denied');
}

describe('any definition in any world', () => {
  it('ends, with one finish behind everything that it had in flight', () => {
    fc.assert(
      fc.property(randomSteps, world, (steps, number) => {
        expect(aRun(steps, number).run(5_000).outcome).toBeDefined();
      }),
      runs,
    );
  });

  it('gives the same run when its state goes through JSON after every input', () => {
    fc.assert(
      fc.property(randomSteps, world, (steps, number) => {
        const [plain, serialised] = [aRun(steps, number).run(), aRun(steps, number, { roundTrip: true }).run()];
        expect(JSON.stringify([serialised.commands, serialised.events, serialised.outcome])).toBe(
          JSON.stringify([plain.commands, plain.events, plain.outcome]),
        );
      }),
      runs,
    );
  });

  it('ends cancelled wherever it is cancelled, once and with all rows at an end', () => {
    fc.assert(
      fc.property(randomSteps, world, fc.nat({ max: 2_000 }), (steps, number, afterMs) => {
        const run = aRun(steps, number, { roundTrip: true }).runUntil(afterMs);
        run
          .cancel(afterMs)
          .cancel(afterMs + 1)
          .run(5_000);
        if (run.cancelCame) expect(run.outcome).toMatchObject({ status: 'cancelled', requested: true });
        expect([...run.rows.values()].filter(({ status }) => status === 'running' || status.startsWith('waiting'))).toEqual([]);
      }),
      runs,
    );
  });

  it('is not changed by inputs that come twice, late, or for nobody', () => {
    fc.assert(
      fc.property(randomSteps, world, (steps, number) => {
        const run = aRun(steps, number);
        for (let n = 0; n < 2_000 && run.step(); n += 1) {
          if (run.isCut) continue;
          const before = JSON.stringify({ ...run.state, counter: 0, nowMs: 0, earlyEnds: {} });
          const old = run.fed[hash(`${number}|${n}`) % run.fed.length];
          if (old === undefined || old.kind === 'pause') continue;
          run.repeat(old.kind === 'answered' && n % 3 === 0 ? { ...old, id: 'nobody' } : old);
          expect(JSON.parse(JSON.stringify({ ...run.state, counter: 0, nowMs: 0, earlyEnds: {} }))).toEqual(JSON.parse(before));
        }
      }),
      runs,
    );
  });

  it('ends all the same when it is paused and resumed anywhere, and starts nothing while paused', () => {
    fc.assert(
      fc.property(randomSteps, world, fc.nat({ max: 1_500 }), (steps, number, afterMs) => {
        const run = aRun(steps, number, { roundTrip: true }).later(afterMs, { kind: 'pause', by: null }).runUntil(afterMs);
        const calls = run.calls.length;
        run.runUntil(afterMs + 1_500);
        // A run that was ending already is not paused.
        if (run.state.paused) expect(run.calls.length).toBe(calls);
        expect(run.later(afterMs + 1_500, { kind: 'resume', by: null }).run(5_000).outcome).toBeDefined();
      }),
      runs,
    );
  });
});

describe('a rerun from any recorded instance', () => {
  const instant =
    (number: number) =>
    (call: { readonly stepId: string; readonly iterationPath: string }): Reply => {
      const { lost: _lost, ...reply } = randomReply(number)({ ...call, attempt: 1 });
      return { ...reply, afterMs: 0 };
    };
  // Races and limits in time may come out otherwise when what came before takes no time.
  const isTimeless = (steps: readonly unknown[]) =>
    !/"wait":("any"|2)|"timeout"|"retry"|"type":"(stop|wait|wait_for_event|approval|subworkflow)"|"until":"loop|"concurrency":[25]|"onBranchError":"fail"/.test(
      JSON.stringify(steps),
    );

  it('ends, calls nothing that it was seeded with, and comes out the same where time plays no part', () => {
    fc.assert(
      fc.property(randomSteps, world, fc.nat(), (steps, number, chosen) => {
        const before = aRun(steps, number, { world: instant(number) }).run();
        const rows = [...before.rows.values()];
        const target = rows[chosen % Math.max(rows.length, 1)];
        if (target === undefined) return;
        const built = buildSeeds(before.plan, rows, { stepId: target.stepId, iterationPath: target.iterationPath, isChanged: false });
        if ('refused' in built) return;
        const after = aRun(steps, number, { world: instant(number), seeds: built.seeds, roundTrip: true }).run();
        expect(after.outcome).toBeDefined();
        const seeded = new Map(
          built.seeds
            .filter(({ how }) => how === 'done')
            .map(({ stepId, iterationPath, attempt }) => [`${iterationPath}|${stepId}`, attempt]),
        );
        // A container around the target may be retried anew: its children then are other attempts.
        expect(
          after.calls.filter(({ stepId, iterationPath, attempt }) => attempt <= (seeded.get(`${iterationPath}|${stepId}`) ?? 0)),
        ).toEqual([]);
        if (isTimeless(steps)) expect([after.outcome?.status, after.output]).toEqual([before.outcome?.status, before.output]);
      }),
      runs,
    );
  });
});
