/**
 * Every process runs for a while before anything is measured: what a fresh one does costs up to three times what it costs after some
 * thousand steps, as the compiler gets to its code. Ours and the floor's alike, their gateways as well.
 */
import { call, loopDefinition, sequenceDefinition } from './definitions.js';
import { floor, floorOverHttp, ours, save } from './runs.js';
import type { Stage } from './stage.js';

export async function warmUp(stage: Stage, quick: boolean): Promise<void> {
  const share = quick ? 0.2 : 1;
  const times = (count: number): number => Math.ceil(count * share);
  const loop = await save(stage, loopDefinition('steps to warm up', call('c', '{{loop.index}}', 'light')));
  const activities = await save(stage, sequenceDefinition(100, 'once'));
  const short = await save(stage, sequenceDefinition(3, 'light'));
  const steps = times(2_000);
  await ours(stage, loop, steps, { count: steps });
  for (let run = 0; run < times(5); run += 1) {
    await ours(stage, activities, 100);
    await floor(stage, 'sequence', 100);
  }
  for (let run = 0; run < times(60); run += 1) {
    await ours(stage, short, 3);
    await floorOverHttp(stage, 'sequence', 3);
  }
}
