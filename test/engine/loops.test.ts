import { drive } from './support/driver.js';
import { loop, parallel, set, tool, tries } from './support/steps.js';

describe('loop', () => {
  it('L8 goes over a list and collects per pass', () => {
    const run = drive(
      { steps: [loop('l', 'variables.xs', [set('s', { y: '{{loop.item}}' })], { collect: '[loop.item, loop.index]' })] },
      { variables: { xs: ['a', 'b'] } },
    );
    expect(run.output).toMatchObject({
      l: {
        iterations: 2,
        failed: 0,
        results: [
          ['a', 0],
          ['b', 1],
        ],
      },
    });
    expect(run.rowsOf('s').map(({ iterationPath }) => iterationPath)).toEqual(['l:i0', 'l:i1']);
  });

  it("L8 gives the last step's output of each pass without collect", () => {
    expect(drive({ steps: [loop('l', ['a', 'b'], [set('s', { y: '{{item}}' })])] }).output).toMatchObject({
      l: { results: [{ y: 'a' }, { y: 'b' }] },
    });
  });

  it('L9 completes over an empty list', () => {
    expect(drive({ steps: [loop('l', [], [tool('t')]), set('a', { x: 1 })] }).output).toEqual({
      l: { iterations: 0, failed: 0, results: [] },
      a: { x: 1 },
    });
  });

  it.each([[null], [5], [{ a: 1 }], ['ab']])('L10 refuses to go over %j', (x) => {
    const run = drive({ steps: [loop('l', 'variables.x', [set('s', { y: 1 })])] }, { variables: { x } });
    expect(run.outcome?.error).toMatchObject({ code: 'loop_over_not_array', stepId: 'l' });
    expect(run.rowsOf('s')).toEqual([]);
  });

  it('L11 nests; the inner item shadows the outer, which is back afterwards', () => {
    const inner = loop('i', [1, 2, 3, 4], [set('s', { y: '{{x}}' })], { itemVar: 'x' });
    const run = drive({ steps: [loop('o', [1, 2, 3], [inner, set('after', { z: '{{x}}' })], { itemVar: 'x' })] });
    expect(run.rowsOf('s')).toHaveLength(12);
    expect(run.rowsOf('s').at(-1)?.iterationPath).toBe('o:i2/i:i3');
    expect(run.rowsOf('after').map(({ output }) => output?.v)).toEqual([{ z: 1 }, { z: 2 }, { z: 3 }]);
  });

  it('reads the item under variables too, lets a set hide it in its pass, and leaks neither', () => {
    const body = [set('s', { seen: '{{variables.item}}' }), set('h', { item: 'hidden' }), set('r', { after: '{{item}}' })];
    const run = drive({ steps: [loop('l', [7], body), set('end', { left: '{{exists(variables.item)}}' })] });
    expect(run.row('r', 'l:i0')?.output?.v).toEqual({ after: 'hidden' });
    expect(run.output).toMatchObject({ end: { left: false } });
  });

  it('L12 runs while a condition holds', () => {
    const run = drive(
      { steps: [{ type: 'loop', id: 'l', while: 'variables.n < 5', maxIterations: 10, steps: [set('s', { n: '{{n + 1}}' })] }] },
      { variables: { n: 0 } },
    );
    expect(run.output).toMatchObject({ l: { iterations: 5 } });
  });

  it('L12 fails at the iteration limit after exactly so many passes', () => {
    const run = drive({ steps: [{ type: 'loop', id: 'l', while: 'true', maxIterations: 10, steps: [set('s', { n: 1 })] }] });
    expect(run.outcome?.error?.code).toBe('loop_limit_exceeded');
    expect(run.rowsOf('s')).toHaveLength(10);
  });

  it('L13 ends by a flag', () => {
    const body = [set('s', { bad: '{{i == 2}}', i: '{{i + 1}}' })];
    const run = drive({ steps: [{ type: 'loop', id: 'l', while: 'i < 5 && !bad', steps: body }] }, { variables: { i: 0, bad: false } });
    expect(run.output).toMatchObject({ l: { iterations: 3 } });
  });

  it('ends after the pass for which until holds, which sees what the pass wrote', () => {
    const run = drive({ steps: [loop('l', [1, 2, 3, 4], [set('s', { n: '{{item * 10}}' })], { until: 'n >= 20 && loop.index == 1' })] });
    expect(run.output).toMatchObject({ l: { iterations: 2, results: [{ n: 10 }, { n: 20 }] } });
  });

  it('L14 has at most `concurrency` open calls, results in input order, passes isolated and merged like branches', () => {
    const delays = [50, 10, 30, 5, 20];
    const body = [tool('t', { i: '{{item}}', saw: '{{outputs.k}}' }), set('k', { v: '{{item}}' })];
    const run = drive(
      { steps: [loop('l', [0, 1, 2, 3, 4], body, { concurrency: 2, collect: '[item, outputs.k.v]' })] },
      {
        script: { t: ({ nth }) => ({ output: 'ok', afterMs: delays[nth] ?? 0 }) },
      },
    );
    expect(mostOpen(run.callsOf('t').map(({ at }, n) => [at, at + (delays[n] ?? 0)]))).toBe(2);
    expect(run.output).toMatchObject({
      l: {
        results: [
          [0, 0],
          [1, 1],
          [2, 2],
          [3, 3],
          [4, 4],
        ],
      },
      k: { v: 4 },
    });
    expect(run.callsOf('t').map(({ input }) => (input as { arguments: { saw: unknown } }).arguments.saw)).toEqual([
      null,
      null,
      null,
      null,
      null,
    ]);
  });

  const failsThird = (onItemError: string, concurrency = 1) => ({
    steps: [
      set('k', { before: true }),
      tries(
        'y',
        [loop('l', [0, 1, 2, 3, 4], [{ ...set('k2', { w: '{{item}}' }), outputVariable: 'k' }, tool('t')], { onItemError, concurrency })],
        { catch: [{ codes: ['*'], as: 'e', steps: [set('h', { path: '{{e.iterationPath}}' })] }] },
      ),
    ],
  });
  const script = {
    t: ({ iterationPath }: { iterationPath: string }) =>
      iterationPath.endsWith('l:i2') ? { error: { code: 'http_500', message: 'no' } } : { output: 1 },
  };

  it('L15 fails with the failed pass, which rolls back; later ones do not run', () => {
    const run = drive(failsThird('fail'), { script });
    expect(run.output).toMatchObject({ h: { path: 'y:try/l:i2' }, k: { w: 1 } });
    expect(run.rowsOf('t').map(({ iterationPath }) => iterationPath)).toEqual(['y:try/l:i0', 'y:try/l:i1', 'y:try/l:i2']);
  });

  it('L15 counts the failed pass with onItemError continue', () => {
    const run = drive(failsThird('continue'), { script });
    expect(run.output).toMatchObject({
      l: { iterations: 5, failed: 1, results: [1, 1, { error: { code: 'http_500', message: 'no' } }, 1, 1] },
      k: { w: 4 },
    });
  });

  it('L15 fails fast with concurrent passes, taking the others down', () => {
    const run = drive(failsThird('fail', 5), {
      script: { t: ({ iterationPath }) => (iterationPath.endsWith('l:i2') ? { error: { code: 'http_500' } } : { afterMs: 1_000 }) },
    });
    expect(run.output).toMatchObject({ h: { path: 'y:try/l:i2' } });
    expect(
      run
        .rowsOf('t')
        .map(({ status }) => status)
        .toSorted(),
    ).toEqual(['cancelled', 'cancelled', 'cancelled', 'cancelled', 'failed']);
  });

  it('refuses a list that is longer than the limit before its first pass', () => {
    const run = drive({ steps: [loop('l', '{{range(11)}}', [set('s', { y: 1 })], { maxIterations: 10 })] });
    expect(run.outcome?.error?.code).toBe('loop_limit_exceeded');
    expect(run.rowsOf('s')).toEqual([]);
  });

  it('nests concurrent loops in branches, item and index from the right one', () => {
    const inner = loop('i', ['x', 'y'], [tool('t', { at: '{{outer}}{{item}}{{loop.index}}' })], { concurrency: 2 });
    const run = drive({ steps: [parallel('p', { one: loop('o', ['a', 'b'], [inner], { itemVar: 'outer', concurrency: 2 }) })] });
    expect(run.callsOf('t').map(({ input }) => (input as { arguments: { at: string } }).arguments.at)).toEqual([
      'ax0',
      'ay1',
      'bx0',
      'by1',
    ]);
  });
});

function mostOpen(spans: readonly (readonly [number, number])[]): number {
  return Math.max(...spans.map(([at]) => spans.filter(([from, to]) => from <= at && at < to).length));
}
