/** What long loops cost: each step the same, in a worker and a history that do not grow with them. */
import { call, loopDefinition } from './definitions.js';
import { figure, type Figure } from './measure.js';
import { memoryDuring } from './process-memory.js';
import { floor, historyOf, ours, save, type Sample } from './runs.js';
import type { Stage } from './stage.js';

const lightLoop = loopDefinition('light calls', call('c', '{{loop.index}}', 'light'));
const pureLoop = loopDefinition('pure steps', { id: 's', type: 'set', values: { n: '{{loop.index}}' } });

export async function loops(stage: Stage, quick: boolean): Promise<Figure[]> {
  const light = await save(stage, lightLoop);
  const looped = (count: number): Promise<Sample> => ours(stage, light, count, { count });
  await looped(100);
  return [
    await thousand(stage, looped, quick),
    ...(await rising(looped, quick)),
    ...(await long(stage, looped, quick)),
    ...(await pure(stage, quick)),
  ];
}

type Looped = (count: number) => Promise<Sample>;

/** The floor's loop takes ten seconds and more: fewer turns of it. */
async function thousand(stage: Stage, looped: Looped, quick: boolean): Promise<Figure> {
  const [mine, theirs]: [number[], number[]] = [[], []];
  for (let round = 0; round < (quick ? 2 : 6); round += 1) {
    mine.push((await looped(1_000)).whole);
    if (quick) theirs.push(tenfold(await floor(stage, 'sequence', 100)));
    else if (round % 3 === 1) theirs.push((await floor(stage, 'sequence', 1_000)).whole);
  }
  return figure(`loop of 1,000 light calls${quick ? ' (floor: from 100)' : ''}`, 'ms', mine, theirs, '≤ 4000 ms');
}

/** What a run of ten times the calls would take: its start and end stay as they are. */
const tenfold = ({ whole, span }: Sample): number => whole + 9 * span;

/** First call → last end, divided by the calls: the same for ten and for ten thousand. */
async function rising(looped: Looped, quick: boolean): Promise<Figure[]> {
  const figures: Figure[] = [];
  const sizes = { 10: 30, 100: 12, 1_000: 4, ...(quick ? {} : { 10_000: 1 }) };
  const costs: number[][] = [];
  for (const [size, rounds] of Object.entries(sizes)) {
    const count = Number(size);
    const cost: number[] = [];
    for (let round = 0; round < (quick ? Math.ceil(rounds / 4) : rounds); round += 1) cost.push((await looped(count)).span / count);
    costs.push(cost);
    figures.push(figure(`cost of each of ${grouped(count)} light steps`, 'ms', cost, undefined));
  }
  const most = grouped(Number(Object.keys(sizes).at(-1)));
  return [...figures, figure(`cost of each of ${most} (beside each of 10)`, 'ms', costs.at(-1) ?? [], costs[0], '≤ 1.25 × floor')];
}

const grouped = (count: number): string => count.toLocaleString('en');

/** Memory in the last fifth of the run beside that of its first fifth. */
async function long(stage: Stage, looped: Looped, quick: boolean): Promise<Figure[]> {
  const count = quick ? 1_000 : 5_000;
  const steps = `${grouped(count)} light steps`;
  let run: Sample | undefined;
  const memory = await memoryDuring(stage.workers.current.pid ?? 0, async () => {
    run = await looped(count);
  });
  const { events, runs } = await historyOf(stage, run?.id ?? '');
  const fifth = Math.ceil(memory.length / 5);
  const flat = (): Figure =>
    figure(`worker, end of ${steps} (beside their start)`, 'MB', memory.slice(-fifth), memory.slice(0, fifth), '≤ 1.1 × floor');
  return [
    ...(memory.length > 0 ? [flat()] : []),
    figure(`history of ${steps}`, 'events', [events], undefined),
    figure(`Temporal runs of ${steps}`, 'runs', [runs], undefined),
  ];
}

async function pure(stage: Stage, quick: boolean): Promise<Figure[]> {
  const workflow = await save(stage, pureLoop);
  const looped = (count: number): Promise<Sample> => ours(stage, workflow, 0, { count });
  const ten = await looped(10);
  const runs: Sample[] = [];
  for (let round = 0; round < (quick ? 1 : 5); round += 1) runs.push(await looped(10_000));
  const few = await historyOf(stage, ten.id);
  const many = await historyOf(stage, runs.at(-1)?.id ?? '');
  return [
    figure(
      'run of 10,000 pure steps',
      'ms',
      runs.map(({ whole }) => whole),
      undefined,
    ),
    figure('history that 10,000 pure steps add to that of 10', 'events', [many.events - few.events], undefined),
  ];
}

/** For a profile of one light step: nothing else runs. Only when asked for by name. */
export async function lightSteps(stage: Stage, quick: boolean): Promise<Figure[]> {
  const workflow = await save(stage, lightLoop);
  const costs: number[] = [];
  for (let round = 0; round < (quick ? 2 : 10); round += 1) costs.push((await ours(stage, workflow, 1_000, { count: 1_000 })).span / 1_000);
  return [figure('cost of each of 1,000 light steps', 'ms', costs, undefined)];
}
