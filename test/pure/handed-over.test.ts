import * as fc from 'fast-check';
import { type EngineState, initialState } from '../../src/engine/index.js';
import { fromHandOver, toHandOver } from '../../src/workflows/handed-over.js';
import { packText, unpackText } from '../../src/workflows/packed-text.js';
import { Driver, planOf, startOf } from '../engine/support/driver.js';
import { loop, wait } from '../engine/support/steps.js';

const throughJson = <T>(value: T): T => JSON.parse(JSON.stringify(value)) as T;

describe('a packed text', () => {
  it('is the same on the other side', () => {
    const words = fc.array(
      fc.constantFrom('{"k":"block","owner":"l","slot":"i"}', 'aaaaaaaaaaaaaaaa', '\ud83d\ude00', '\ud83d', '"', '\\', ''),
    );
    fc.assert(
      fc.property(
        fc.oneof(
          fc.string({ unit: 'binary', maxLength: 300 }),
          words.map((all) => all.join('')),
        ),
        (text) => {
          expect(unpackText(throughJson(packText(text)))).toBe(text);
        },
      ),
      { numRuns: 500 },
    );
  });

  it('is short when it repeats itself', () => {
    expect(JSON.stringify(packText('x'.repeat(1_000_000))).length).toBeLessThan(100);
  });

  it.each([[[1, 2]], [['abc', 4, 1]], [['abc', 1]], [['abc', 0, 2]]])('%j is none', (packed) => {
    expect(() => unpackText(packed)).toThrow();
  });
});

describe('what a hand-over gives the next run', () => {
  const handedOver = (state: EngineState, plan = planOf({ steps: [wait('w', { duration: '1s' })] })) => {
    const { seeds: _seeds, ...start } = startOf(plan);
    return { kind: 'continued' as const, start, state, host: null };
  };

  it('stays as it is while it is small', () => {
    const given = handedOver(initialState(startOf(planOf({ steps: [wait('w', { duration: '1s' })] }))));
    expect(toHandOver(given)).toBe(given);
    expect(fromHandOver(given)).toBe(given);
  });

  it('D4 D23 2,500 waits at once: far below what Temporal takes, and the same on the other side', () => {
    const inner = loop('m', 'range(50)', [wait('w', { duration: '1h' })], { concurrency: 50 });
    const plan = planOf({ steps: [loop('l', 'range(50)', [inner], { concurrency: 50 })] });
    const { state } = new Driver(plan).runUntil(1_000);
    const given = handedOver(state, plan);
    const packed = throughJson(toHandOver(given));
    expect(JSON.stringify(given).length).toBeGreaterThan(1_800_000);
    expect(JSON.stringify(packed).length).toBeLessThan(1_000_000);
    expect(JSON.stringify(fromHandOver(packed)) === JSON.stringify(given)).toBe(true);
  });
});
