/** A worker is killed in the middle of running runs: how long until each goes on, with another worker up and after an absence. */
import { once } from 'node:events';
import type { ChildProcess } from 'node:child_process';
import { setTimeout as sleep } from 'node:timers/promises';
import { call, loopDefinition, type Weight } from './definitions.js';
import { figure, type Figure } from './measure.js';
import { ended, runId, save, start } from './runs.js';
import type { Stage } from './stage.js';

/** Each call takes this long at the stub, so that a kill finds most runs in the middle of one. */
const CALL_MS = 50;

interface Running {
  readonly id: string;
  readonly run: string;
  readonly weight: Weight;
}

export async function recovery(stage: Stage, quick: boolean): Promise<Figure[]> {
  // The worker so far leaves with its caches, and its profile.
  await stage.workers.renew();
  const light: number[] = [];
  const activities: number[] = [];
  const each = quick ? 3 : 8;
  for (let round = 0; round < (quick ? 1 : 4); round += 1) {
    const runs = await begun(stage, each);
    const at = await kill(await stage.workers.add());
    for (const run of runs) (run.weight === 'light' ? light : activities).push((await nextCall(stage, run, at)) - at);
    await finished(stage, runs);
  }
  const absent = await begun(stage, each);
  const killedAt = await kill(stage.workers.current);
  await sleep(quick ? 5_000 : 20_000);
  const back = performance.now();
  await stage.workers.add();
  const ready = performance.now();
  process.stderr.write(`bench: the worker came up in ${Math.round(ready - back)} ms\n`);
  const returned: number[] = [];
  for (const run of absent) returned.push(Math.max(0, (await nextCall(stage, run, killedAt)) - ready));
  await finished(stage, absent);
  return [
    figure('SIGKILL → a run of light steps goes on', 'ms', light, undefined, 'max ≤ 10000 ms'),
    figure('SIGKILL → a run of activities goes on', 'ms', activities, undefined, 'max ≤ 10000 ms'),
    figure('worker back after an absence → each run goes on', 'ms', returned, undefined, 'max ≤ 3000 ms'),
  ];
}

const CALLS = 100;

/** Runs of both kinds, all on the one worker that is up, each past its fifth call. */
async function begun(stage: Stage, each: number): Promise<Running[]> {
  const runs: Running[] = [];
  for (const weight of ['light', 'long'] as const) {
    const workflow = await save(stage, loopDefinition(`slow ${weight} calls`, call('c', `{{loop.index}}?ms=${CALL_MS}`, weight)));
    for (let index = 0; index < each; index += 1) {
      const run = runId();
      const id = await start(stage, workflow, { base: `http://${stage.stub.host}/${run}`, count: CALLS });
      runs.push({ id, run, weight });
    }
  }
  for (const { run } of runs) while ((stage.stub.arrivals.get(run)?.length ?? 0) < 5) await sleep(5);
  return runs;
}

/** @returns when */
async function kill(worker: ChildProcess): Promise<number> {
  const gone = once(worker, 'exit');
  worker.kill('SIGKILL');
  await gone;
  return performance.now();
}

/** What the dead had sent already may still arrive. */
const IN_FLIGHT_MS = 5;

async function nextCall(stage: Stage, { run }: Running, killedAt: number): Promise<number> {
  for (;;) {
    const next = stage.stub.arrivals.get(run)?.find(({ at }) => at > killedAt + IN_FLIGHT_MS);
    if (next !== undefined) return next.at;
    await sleep(5);
  }
}

/** Every run completes, and every call was made; at most the one that was cut off was made twice. */
async function finished(stage: Stage, runs: readonly Running[]): Promise<void> {
  for (const { id, run } of runs) {
    await ended(stage, id);
    const calls = stage.stub.arrivals.get(run) ?? [];
    const { size } = new Set(calls.map(({ path }) => path));
    if (size !== CALLS || calls.length > CALLS + 1) throw new Error(`${id}: ${calls.length} calls of ${size} paths, not ${CALLS}`);
  }
}
