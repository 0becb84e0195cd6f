import { type EngineState, initialState } from '../../src/engine/index.js';
import { fromHandOver, toHandOver } from '../../src/workflows/handed-over.js';
import { Driver, planOf, startOf } from '../engine/support/driver.js';
import { loop, wait } from '../engine/support/steps.js';

describe('what a hand-over gives the next run', () => {
  const handedOver = (state: EngineState, plan = planOf({ steps: [wait('w', { duration: '1s' })] })) => {
    const { seeds: _seeds, ...start } = startOf(plan);
    return { kind: 'continued' as const, start, state, host: null };
  };

  it('stays as it is while it is small', () => {
    const given = handedOver(initialState(startOf(planOf({ steps: [wait('w', { duration: '1s' })] }))));
    expect(toHandOver(given)).toEqual([given]);
    expect(fromHandOver(given)).toBe(given);
  });

  it('D4 D23 2,500 waits at once: far below what Temporal takes, and the same on the other side', () => {
    const inner = loop('m', 'range(50)', [wait('w', { duration: '1h' })], { concurrency: 50 });
    const plan = planOf({ steps: [loop('l', 'range(50)', [inner], { concurrency: 50 })] });
    const { state } = new Driver(plan).runUntil(1_000);
    const given = handedOver(state, plan);
    const [input, bytes] = toHandOver(given);
    expect(JSON.stringify(given).length).toBeGreaterThan(1_800_000);
    expect(bytes?.length).toBeLessThan(500_000);
    expect(JSON.stringify(fromHandOver(input, bytes)) === JSON.stringify(given)).toBe(true);
  });

  it('keeps every character: pairs, halves of pairs, NUL', () => {
    const state = initialState(startOf(planOf({ steps: [wait('w', { duration: '1s' })] })));
    const given = { ...handedOver(state), host: ['\ud83d\ude00\ud83d\u0000"\\', 'x'.repeat(900_000)] };
    const [input, bytes] = toHandOver(given);
    expect(bytes).toBeDefined();
    expect(fromHandOver(input, bytes)).toEqual(given);
  });

  it('is none without its bytes', () => {
    expect(() => fromHandOver({ kind: 'packed' })).toThrow('without its bytes');
  });
});
