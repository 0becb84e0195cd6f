/** Plain statistics over samples. */
export interface Summary {
  readonly n: number;
  readonly p50: number;
  readonly p95: number;
  readonly mean: number;
  readonly min: number;
  readonly max: number;
}

export function summarise(samples: readonly number[]): Summary {
  if (samples.length === 0) throw new Error('nothing was measured');
  const sorted = samples.toSorted((a, b) => a - b);
  const at = (share: number): number => sorted[Math.min(sorted.length - 1, Math.floor(share * sorted.length))] as number;
  const mean = sorted.reduce((sum, sample) => sum + sample, 0) / sorted.length;
  return { n: sorted.length, p50: round(at(0.5)), p95: round(at(0.95)), mean: round(mean), min: round(at(0)), max: round(at(1)) };
}

export type Unit = 'ms' | 'per second' | 'MB' | 'KB' | 'events' | 'runs' | '×';

/**
 * One figure of Signalbox. `floor`, where there is something to hold it against, is the same figure of that, taken in turns in one run;
 * `ratio` is then ours / floor, of the medians. Rates are better high, all others low.
 */
export interface Figure {
  readonly name: string;
  readonly unit: Unit;
  readonly ours: Summary;
  readonly floor?: Summary;
  readonly ratio?: number;
  /** `≤ 1.25 × floor`, `≤ 2 ms`, `p95 ≤ 50 ms`, `max ≤ 10000 ms`; without a statistic it is the median's. */
  readonly goal?: string;
}

/** @param floor undefined: there is nothing to hold it against */
export function figure(name: string, unit: Unit, ours: readonly number[], floor: readonly number[] | undefined, goal?: string): Figure {
  const mine = summarise(ours);
  const asked = goal === undefined ? {} : { goal };
  if (floor === undefined) return { name, unit, ours: mine, ...asked };
  const theirs = summarise(floor);
  return { name, unit, ours: mine, floor: theirs, ratio: round(mine.p50 / theirs.p50), ...asked };
}

const GOAL = /^(?:(p50|p95|mean|min|max) )?([≤≥]) (\d+(?:\.\d+)?) (× floor|\S.*)$/;

/** Whether a figure meets its goal; undefined without one, or when it is a multiple of a floor that there is not. Throws for a goal that says nothing. */
export function isMet({ goal, unit, ours, floor }: Figure): boolean | undefined {
  if (goal === undefined) return undefined;
  const [, statistic = 'p50', sign, limit, of] = GOAL.exec(goal) ?? [];
  if (limit === undefined || (of !== '× floor' && of !== unit)) throw new Error(`the goal ${goal} cannot be checked`);
  const value = ours[statistic as keyof Summary] / (of === '× floor' ? (floor?.p50 ?? NaN) : 1);
  if (Number.isNaN(value)) return undefined;
  return sign === '≤' ? value <= Number(limit) : value >= Number(limit);
}

const round = (value: number): number => Math.round(value * 100) / 100;
