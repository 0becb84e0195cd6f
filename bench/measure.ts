/** Plain statistics over samples in ms. */
export interface Summary {
  readonly n: number;
  readonly p50: number;
  readonly p95: number;
  readonly mean: number;
  readonly min: number;
}

export function summarise(samples: readonly number[]): Summary {
  if (samples.length === 0) throw new Error('nothing was measured');
  const sorted = [...samples].toSorted((a, b) => a - b);
  const at = (share: number): number => sorted[Math.min(sorted.length - 1, Math.floor(share * sorted.length))] as number;
  const mean = sorted.reduce((sum, sample) => sum + sample, 0) / sorted.length;
  const round = (value: number): number => Math.round(value * 100) / 100;
  return { n: sorted.length, p50: round(at(0.5)), p95: round(at(0.95)), mean: round(mean), min: round(sorted[0] as number) };
}

/** One figure of Signalbox beside the same figure of the floor, taken in turns in one run. `ratio` is ours / floor, of the medians. */
export interface Figure {
  readonly name: string;
  readonly unit: 'ms' | 'per second';
  readonly ours: Summary;
  readonly floor: Summary;
  readonly ratio: number;
  readonly goal?: string;
}

export function figure(name: string, unit: Figure['unit'], ours: readonly number[], floor: readonly number[], goal?: string): Figure {
  const mine = summarise(ours);
  const theirs = summarise(floor);
  return {
    name,
    unit,
    ours: mine,
    floor: theirs,
    ratio: Math.round((mine.p50 / theirs.p50) * 100) / 100,
    ...(goal === undefined ? {} : { goal }),
  };
}
