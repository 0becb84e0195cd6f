/** Steps one after the other and side by side, and how many runs at a time come through. */
import { fanOutDefinition, sequenceDefinition } from './definitions.js';
import { figure, type Figure } from './measure.js';
import { floor, floorOverHttp, historyOf, inTurns, ours, save, type Sample } from './runs.js';
import type { Stage } from './stage.js';

type Of = (sample: Sample) => number;
const toFirst: Of = (sample) => sample.toFirst;
const whole: Of = (sample) => sample.whole;
const span: Of = (sample) => sample.span;
const gaps = (samples: readonly Sample[]): number[] => samples.flatMap((sample) => sample.gaps);

export async function sequences(stage: Stage, quick: boolean): Promise<Figure[]> {
  const three = await save(stage, sequenceDefinition(3, 'light'));
  const light = await save(stage, sequenceDefinition(100, 'light'));
  const activities = await save(stage, sequenceDefinition(100, 'once'));
  const [short = [], shortFloor = []] = await inTurns(quick ? 8 : 40, [() => ours(stage, three, 3), () => floor(stage, 'sequence', 3)]);
  const [inside = [], between = [], long = []] = await inTurns(quick ? 2 : 6, [
    () => ours(stage, light, 100),
    () => ours(stage, activities, 100),
    () => floor(stage, 'sequence', 100),
  ]);
  const histories: number[] = [];
  for (const { id } of inside) histories.push((await historyOf(stage, id)).events);
  return [
    figure('start → first step', 'ms', short.map(toFirst), shortFloor.map(toFirst)),
    figure('run of 3 light steps', 'ms', short.map(whole), shortFloor.map(whole)),
    figure('gap inside a segment (100 steps)', 'ms', gaps(inside), gaps(long), '≤ 2 ms'),
    figure('run of 100 light steps', 'ms', inside.map(whole), long.map(whole), '≤ 0.35 × floor'),
    figure('history of 100 light steps', 'events', histories, undefined, '≤ 40 events'),
    figure('gap between activities (100 steps)', 'ms', gaps(between), gaps(long), '≤ 1.25 × floor'),
    figure('run of 100 activities', 'ms', between.map(whole), long.map(whole)),
  ];
}

export async function fanOuts(stage: Stage, quick: boolean): Promise<Figure[]> {
  const light = await save(stage, fanOutDefinition(50, 'light'));
  const activities = await save(stage, fanOutDefinition(50, 'once'));
  const [inside = [], apart = [], theirs = []] = await inTurns(quick ? 3 : 12, [
    () => ours(stage, light, 50),
    () => ours(stage, activities, 50),
    () => floor(stage, 'fanOut', 50),
  ]);
  return [
    figure('parallel of 50 light, first call → last end', 'ms', inside.map(span), theirs.map(span), '≤ 100 ms'),
    figure('run with a parallel of 50 light', 'ms', inside.map(whole), theirs.map(whole)),
    figure('parallel of 50 activities, first → last', 'ms', apart.map(span), theirs.map(span)),
    figure('run with a parallel of 50 activities', 'ms', apart.map(whole), theirs.map(whole)),
  ];
}

/** Both are started by a request to a gateway. */
export async function throughput(stage: Stage, quick: boolean): Promise<Figure[]> {
  const figures: Figure[] = [];
  const three = await save(stage, sequenceDefinition(3, 'light'));
  for (const concurrency of [1, 10, 30]) {
    const runs = concurrency * (quick ? 2 : 4) + (quick ? 8 : 20);
    const [mine = [], theirs = []] = await inTurns(quick ? 1 : 2, [
      () => rate(runs, concurrency, () => ours(stage, three, 3)),
      () => rate(runs, concurrency, () => floorOverHttp(stage, 'sequence', 3)),
    ]);
    figures.push(figure(`runs of 3 light steps, ${concurrency} at a time`, 'per second', mine, theirs, '≥ 1.0 × floor'));
  }
  const steps = quick ? 20 : 50;
  const many = await save(stage, sequenceDefinition(steps, 'light'));
  for (const concurrency of [1, 8, 32]) {
    const [mine = [], theirs = []] = await inTurns(quick ? 1 : 2, [
      () => rate(concurrency * 2, concurrency, () => ours(stage, many, steps)),
      () => rate(concurrency, concurrency, () => floorOverHttp(stage, 'sequence', steps)),
    ]);
    const perSecond = (rates: readonly number[]): number[] => rates.map((runs) => runs * steps);
    figures.push(figure(`light steps, ${concurrency} runs at a time`, 'per second', perSecond(mine), perSecond(theirs)));
  }
  return figures;
}

/** @returns runs per second */
async function rate(runs: number, concurrency: number, one: () => Promise<unknown>): Promise<number> {
  const started = performance.now();
  let left = runs;
  const lane = async (): Promise<void> => {
    while (left > 0) {
      left -= 1;
      await one();
    }
  };
  await Promise.all(Array.from({ length: concurrency }, lane));
  return (runs * 1000) / (performance.now() - started);
}
