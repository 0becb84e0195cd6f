import { seedPage } from '../../src/activities/run-activities.js';
import type { Seed } from '../../src/engine/types.js';

const aSeed = (n: number, size: number): Seed => ({
  stepId: `s${n}`,
  iterationPath: '',
  attempt: 1,
  stepType: 'tool',
  status: 'completed',
  how: 'done',
  output: { v: 'x'.repeat(size) },
  error: null,
  choice: null,
});

/** Pages as the workflow asks for them. */
function pages(all: readonly Seed[], first: number, bytes: number): readonly (readonly string[])[] {
  const told: string[][] = [];
  let from: number | undefined = 0;
  for (let room = first; from !== undefined; room = bytes) {
    const page = seedPage(all, from, room);
    told.push(page.seeds.map(({ stepId }) => stepId));
    from = page.nextSeed;
    if (told.length > 100) throw new Error('no end');
  }
  return told;
}

describe('seeds of a rerun, in answers of a bounded size', () => {
  const all = Array.from({ length: 7 }, (_none, n) => aSeed(n, 1_000));
  it.each([
    ['all at once', 100_000, [['s0', 's1', 's2', 's3', 's4', 's5', 's6']]],
    ['three at a time', 4_000, [['s0', 's1', 's2'], ['s3', 's4', 's5'], ['s6']]],
    ['none beside a plan that fills the answer', -5, [[], ['s0', 's1', 's2'], ['s3', 's4', 's5'], ['s6']]],
  ])('D15 come whole and in order: %s', (_what, first, expected) => {
    expect(pages(all, first, Math.max(first, 4_000))).toEqual(expected);
  });
  it('come one by one when none fits', () => {
    expect(pages(all.slice(0, 2), 10, 10)).toEqual([['s0'], ['s1']]);
  });
});
