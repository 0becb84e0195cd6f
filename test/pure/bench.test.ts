import { figure, isMet, summarise } from '../../bench/measure.js';
import { selfTimes, type CpuProfile } from '../../bench/profile-summary.js';
import { compare, toComparison, toLines, toTable } from '../../bench/report.js';
import { parseResult, type Result } from '../../bench/result-file.js';

const upTo = (count: number): number[] => Array.from({ length: count }, (_, index) => count - index);
const result = (figures: Result['figures'], fields: Partial<Result> = {}): Result => ({
  version: 2,
  at: '2026-11-24T13:45:00.000Z',
  commit: 'abc1234',
  node: 'v20.20.2',
  cores: 2,
  quick: false,
  load: [0.1, 0.2, 0.3],
  failed: {},
  figures,
  ...fields,
});

describe('statistics of the bench', () => {
  it('gives median, tail, mean and ends of samples in any order', () => {
    expect(summarise(upTo(100))).toEqual({ n: 100, p50: 51, p95: 96, mean: 50.5, min: 1, max: 100 });
    expect(summarise([7])).toEqual({ n: 1, p50: 7, p95: 7, mean: 7, min: 7, max: 7 });
    expect(() => summarise([])).toThrow('nothing was measured');
  });

  it('takes the ratio of the medians, and none without a floor', () => {
    expect(figure('f', 'ms', [1, 2, 100], [4, 4, 4])).toMatchObject({ ratio: 0.5 });
    const alone = figure('f', 'ms', [1], undefined);
    expect(Object.keys(alone)).toEqual(['name', 'unit', 'ours']);
  });

  it.each([
    ['≤ 1.25 × floor', [5], [4], true],
    ['≤ 1.25 × floor', [5.1], [4], false],
    ['≥ 1.0 × floor', [4], [4], true],
    ['≥ 1.0 × floor', [3.9], [4], false],
    ['≤ 2 ms', [1, 2, 30], undefined, true],
    ['p95 ≤ 2 ms', [1, 2, 30], undefined, false],
    ['max ≤ 29.5 ms', [1, 1, 1, 30], undefined, false],
    ['≤ 1 × floor', [1], undefined, undefined],
    [undefined, [1], [2], undefined],
  ])('holds %s against %j beside %j: %s', (goal, ours, floor, expected) => {
    expect(isMet(figure('f', 'ms', ours, floor, goal))).toBe(expected);
  });

  it('refuses a goal that says nothing, or is of another unit', () => {
    expect(() => isMet(figure('f', 'ms', [1], undefined, 'fast'))).toThrow('cannot be checked');
    expect(() => isMet(figure('f', 'ms', [1], undefined, '≤ 4 MB'))).toThrow('cannot be checked');
  });
});

describe('results of the bench', () => {
  const beside = figure('beside', 'ms', [30], [20], '≤ 1.25 × floor');
  const alone = figure('alone', 'events', [31], undefined, '≤ 40 events');

  it('prints figures with and without a floor, and whether each met its goal', () => {
    expect(toLines([beside, alone]).map((line) => line.split(/ {2,}/))).toEqual([
      ['figure', 'ours p50', 'floor p50', 'ratio', 'ours p95', 'floor p95', 'unit, goal'],
      ['beside', '30.0', '20.0', '1.50', '30.0', '20.0', 'ms, ≤ 1.25 × floor ✗'],
      ['alone', '31.0', '31.0', 'events, ≤ 40 events ✓'],
    ]);
    expect(toTable(result([beside, alone], { failed: { recovery: 'Error: lost' } }))).toEqual([
      'Measured on 2026-11-24 at abc1234, 2 cores, Node v20.20.2, load average at the start 0.1, 0.2, 0.3:',
      '',
      '| figure | ours p50 | floor p50 | ratio | ours p95 | floor p95 | unit | goal |',
      '|---|---|---|---|---|---|---|---|',
      '| beside | 30.0 | 20.0 | **1.50** | 30.0 | 20.0 | ms | ≤ 1.25 × floor ✗ |',
      '| alone | 31.0 |  |  | 31.0 |  | events | ≤ 40 events ✓ |',
      '\nrecovery failed: Error: lost',
    ]);
  });

  it('compares ratios where both have one, else medians, and shows what only one has', () => {
    const before = [beside, alone, figure('gone', 'ms', [1], [2]), figure('floored', 'ms', [8], undefined)];
    const after = [
      figure('beside', 'ms', [45], [40]),
      figure('alone', 'events', [62], undefined),
      figure('floored', 'ms', [4], [4]),
      figure('new', 'ms', [3], undefined),
    ];
    expect(compare(before, after)).toEqual([
      { name: 'beside', of: 'ratio', a: 1.5, b: 1.13, change: 1.13 / 1.5 },
      { name: 'alone', of: 'p50', a: 31, b: 62, change: 2 },
      { name: 'gone', of: 'ratio', a: 0.5, b: undefined, change: undefined },
      { name: 'floored', of: 'p50', a: 8, b: 4, change: 0.5 },
      { name: 'new', of: 'p50', a: undefined, b: 3, change: undefined },
    ]);
    const lines = toComparison(result(before), result(after, { quick: true, load: [] }));
    expect(lines.slice(0, 2)).toEqual([
      'a: 2026-11-24T13:45:00.000Z abc1234 load 0.1 0.2 0.3',
      'b: 2026-11-24T13:45:00.000Z abc1234 (quick)',
    ]);
    expect(lines[3]?.split(/ {2,}/)).toEqual(['beside', '1.50', '1.13', '0.75', 'ratio']);
  });

  it('never divides by nothing', () => {
    expect(compare([figure('f', 'events', [0], undefined)], [figure('f', 'events', [3], undefined)])[0]?.change).toBeUndefined();
  });

  it('reads what it wrote, and files from before there was a version', () => {
    const now = result([beside, alone]);
    expect(parseResult(JSON.stringify(now))).toEqual(now);
    const { version: _version, load: _load, failed: _failed, ...old } = now;
    const { max: _max, ...known } = beside.ours;
    const read = parseResult(JSON.stringify({ ...old, figures: [{ ...beside, ours: known }] }));
    expect(read).toMatchObject({ version: 1, load: [], failed: {}, figures: [{ name: 'beside', ours: { p50: 30, max: 30 } }] });
    expect(() => parseResult('{"version":3}')).toThrow();
  });
});

describe('the summary of a CPU profile', () => {
  const at = (id: number, url: string, functionName = 'f') => ({ id, callFrame: { url, functionName } });
  const profile: CpuProfile = {
    nodes: [
      at(1, 'file:///app/node_modules/pg/lib/client.js'),
      at(2, 'file:///app/node_modules/@temporalio/worker/node_modules/@temporalio/common/lib/a.js'),
      at(3, 'file:///app/dist/activities/segment/segment.js'),
      at(4, 'node:net'),
      at(5, '', '(garbage collector)'),
      at(6, '', '(idle)'),
      at(7, '', 'writev'),
    ],
    startTime: 1_000,
    samples: [1, 3, 3, 2, 4, 5, 6, 7, 1],
    timeDeltas: [0, 1_000, 2_000, 3_000, 4_000, 5_000, 6_000, 7_000, 8_000],
  };

  it('adds up self times by package, by file of ours and by what else V8 names, without idleness', () => {
    expect(selfTimes(profile, { from: 0, to: Number.MAX_SAFE_INTEGER })).toEqual([
      { name: 'writev (native)', ms: 8 },
      { name: '(garbage collector)', ms: 6 },
      { name: 'src/activities/segment/segment', ms: 5 },
      { name: 'node:net', ms: 5 },
      { name: '@temporalio/common', ms: 4 },
      { name: 'pg', ms: 1 },
    ]);
  });

  it('counts only what was sampled within the span', () => {
    expect(selfTimes(profile, { from: 2_000, to: 4_000 })).toEqual([{ name: 'src/activities/segment/segment', ms: 5 }]);
  });
});
