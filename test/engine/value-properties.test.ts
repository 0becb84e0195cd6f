import * as fc from 'fast-check';
import type { Json, Ref, Value } from '../../src/definition/runtime.js';
import { roughBytes } from '../../src/engine/rough-size.js';
import { holdingsOf, resultChunksOf } from '../../src/engine/inline-values.js';
import { Driver, planOf } from './support/driver.js';
import { hash, randomReply } from './support/random-runs.js';
import { randomValueSteps } from './support/random-values.js';

jest.setTimeout(600_000);
const world = fc.nat();
const runs = { numRuns: Number(process.env['PROPERTY_RUNS'] ?? 30) };

const STORED: { readonly [ref: string]: Json } = {
  val_list: Array.from({ length: 7 }, (_one, n) => ({ n, text: String(n).repeat(n % 3 === 0 ? 40_000 : 5) })),
  val_object: { n: 2, list: [1, 2, 3], text: 'y'.repeat(40_000) },
};
const refTo = (ref: string): Value => ({ v: null, refs: { '': { ref, bytes: 50_000, sha256: 'x', preview: '' } satisfies Ref } });

/** What tools give: small and large values, lists, references, and faults of every kind. */
function reply(number: number) {
  const ordinary = randomReply(number);
  return (call: { readonly stepId: string; readonly iterationPath: string; readonly attempt: number }) => {
    const plain = ordinary(call);
    if (plain.error !== undefined || plain.lost === true) return plain;
    const draw = hash(`${number}|value|${call.stepId}|${call.iterationPath}|${call.attempt}`);
    const value: Value[] = [
      { v: { n: draw % 5, list: [1, 2], text: 'a'.repeat(draw % 30_000) } },
      { v: [{ n: 1 }, { n: 2 }] },
      refTo('val_list'),
      refTo('val_object'),
      { v: { n: null, list: [], text: '' }, refs: { '/text': { ref: 'val_object', bytes: 50_000, sha256: 'x', preview: '' } } },
    ];
    return { afterMs: plain.afterMs ?? 0, value: value[draw % value.length] as Value };
  };
}

function aRun(steps: readonly unknown[], number: number, light: boolean): Driver {
  let picks = 0;
  const pick = (count: number) => hash(`${number}/${(picks += 1)}`) % count;
  const run = new Driver(planOf({ steps, constraints: { maxSteps: 300 } }, { light }), {
    world: reply(number),
    variables: { n: 0, x: { n: 1, list: [1], text: '' } },
    values: { list: refTo('val_list'), object: refTo('val_object') },
    stored: STORED,
    pick,
    roundTrip: true,
  });
  return run.event(30, 'go', { n: 1 }, 'evt_1').later(35, { kind: 'event', id: 'evt_2', event: 'go', payload: refTo('val_object') });
}

const openRows = (run: Driver) => [...run.rows.values()].filter(({ status }) => status === 'running' || status.startsWith('waiting'));

/** Left inline when nothing more is being stored. */
const inlineBytes = ({ state }: Driver) =>
  [
    ...holdingsOf(state).map(({ value }) => value),
    ...resultChunksOf(state).flatMap(({ loop, passes }) => loop.results.slice(0, passes)),
  ].reduce((sum, value) => sum + roughBytes(value), 0);

describe('any definition over stored and large values', () => {
  it.each([false, true])('ends, its state bounded whenever it rests (light: %s)', (light) => {
    fc.assert(
      fc.property(randomValueSteps, world, (steps, number) => {
        const run = aRun(steps, number, light);
        for (let n = 0; n < 8_000 && run.step(); n += 1) {
          if (
            run.state.storing === null &&
            run.state.ending === null &&
            run.state.grown < 16 * 1024 &&
            Object.keys(run.state.segments ?? {}).length === 0
          )
            expect(inlineBytes(run)).toBeLessThan((128 + 2 * 64) * 1024);
        }
        expect(run.outcome).toBeDefined();
        expect(openRows(run)).toEqual([]);
        expect(run.state.segments ?? {}).toEqual({});
      }),
      runs,
    );
  });

  it.each([false, true])('ends cancelled wherever it is cancelled, also while paused (light: %s)', (light) => {
    fc.assert(
      fc.property(randomValueSteps, world, fc.nat({ max: 600 }), fc.boolean(), (steps, number, afterMs, isPaused) => {
        const run = aRun(steps, number, light);
        if (isPaused)
          run
            .later(Math.floor(afterMs / 2), { kind: 'pause', by: null })
            .runUntil(Math.floor(afterMs / 2))
            .haltSegments();
        run.runUntil(afterMs).cancel(afterMs).run(8_000);
        if (run.cancelCame) expect(run.outcome).toMatchObject({ status: 'cancelled', requested: true });
        expect(openRows(run)).toEqual([]);
      }),
      runs,
    );
  });

  it('goes on after being halted, paused, resumed and taken up by other workers again and again', () => {
    fc.assert(
      fc.property(randomValueSteps, world, fc.array(fc.nat({ max: 60 }), { maxLength: 6 }), (steps, number, gaps) => {
        const run = aRun(steps, number, true);
        let at = 0;
        for (const [index, gap] of gaps.entries()) {
          at += gap;
          run.runUntil(at);
          if (index % 3 === 0) run.later(at, { kind: 'pause', by: null });
          if (index % 3 === 1) run.later(at, { kind: 'resume', by: null });
          run.runUntil(at).crashSegments().haltSegments().crashSegments();
        }
        run.later(at + 100, { kind: 'resume', by: null }).run(8_000);
        expect(run.outcome).toBeDefined();
        expect(openRows(run)).toEqual([]);
      }),
      runs,
    );
  });
});
