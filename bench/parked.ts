/** What a run that waits for a person keeps in the worker's memory, and how fast a late reader catches up with a long log. */
import { once } from 'node:events';
import { request } from 'node:http';
import { setTimeout as sleep } from 'node:timers/promises';
import { createParser } from 'eventsource-parser';
import { loopDefinition } from './definitions.js';
import { figure, type Figure } from './measure.js';
import { residentMb } from './process-memory.js';
import { ended, save, start } from './runs.js';
import type { Stage } from './stage.js';

/** Between a third and all of them parked, so that what the start of the first ones costs does not count. The worker keeps 300 in its cache. */
export async function parked(stage: Stage, quick: boolean): Promise<Figure[]> {
  const workflow = await save(stage, { name: 'bench parked', steps: [{ id: 'g', type: 'approval', prompt: 'Go on?' }] } as {
    name: string;
  });
  const pid = stage.workers.current.pid ?? 0;
  const third = quick ? 30 : 90;
  const ids = await park(stage, workflow, third);
  const before = await settledMb(pid);
  ids.push(...(await park(stage, workflow, 2 * third)));
  const after = await settledMb(pid);
  for (const id of ids) await stage.api.call('POST', `/api/executions/${id}/cancel`, {});
  for (const id of ids)
    await stage.temporal.workflow
      .getHandle(id)
      .result()
      .catch(() => undefined);
  if (before === undefined || after === undefined) return [];
  return [figure(`worker's memory of a parked run (${3 * third} parked)`, 'KB', [((after - before) * 1024) / (2 * third)], undefined)];
}

async function park(stage: Stage, workflow: string, count: number): Promise<string[]> {
  const ids: string[] = [];
  for (let started = 0; started < count; started += 1) ids.push(await start(stage, workflow));
  for (const id of ids)
    for (;;) {
      const { execution } = await stage.api.call<{ execution: { status: string } }>('GET', `/api/executions/${id}`);
      if (execution.status === 'waiting_approval') break;
      await sleep(20);
    }
  return ids;
}

/** Once the collector has had time. */
async function settledMb(pid: number): Promise<number | undefined> {
  await sleep(2_000);
  return residentMb(pid);
}

const PASSES = 5_000;

export async function lateReaders(stage: Stage, quick: boolean): Promise<Figure[]> {
  const workflow = await save(stage, loopDefinition('a long log', { id: 's', type: 'set', values: { n: '{{loop.index}}' } }));
  const id = await start(stage, workflow, { count: PASSES });
  await ended(stage, id);
  const pages: number[] = [];
  const stream: number[] = [];
  for (let round = 0; round < (quick ? 2 : 6); round += 1) {
    pages.push(await eventsPerSecond(() => readPages(stage, id)));
    stream.push(await eventsPerSecond(() => readStream(stage, id)));
  }
  return [
    figure(`late reader, pages of 200, events`, 'per second', pages, undefined),
    figure(`late reader, server-sent events`, 'per second', stream, undefined),
  ];
}

async function eventsPerSecond(read: () => Promise<readonly number[]>): Promise<number> {
  const started = performance.now();
  const seqs = await read();
  const seconds = (performance.now() - started) / 1000;
  // Two events a pass at least, each one once.
  if (seqs.length < 2 * PASSES || seqs.some((seq, index) => seq !== index + 1)) throw new Error(`the log has gaps: ${seqs.length} events`);
  return seqs.length / seconds;
}

async function readPages(stage: Stage, id: string): Promise<number[]> {
  const seqs: number[] = [];
  for (;;) {
    const { items } = await stage.api.call<{ items: { seq: number }[] }>(
      'GET',
      `/api/executions/${id}/events?limit=200&after=${seqs.at(-1) ?? 0}`,
    );
    if (items.length === 0) return seqs;
    seqs.push(...items.map(({ seq }) => seq));
  }
}

/** From 0 until the gateway closes behind the last event. */
async function readStream({ gateway }: Stage, id: string): Promise<number[]> {
  const seqs: number[] = [];
  const parser = createParser({
    onEvent: (event) => {
      const { seq } = JSON.parse(event.data) as { seq: number };
      seqs.push(seq);
    },
  });
  const outgoing = request(`${gateway.url}/api/executions/${id}/stream`, { headers: { authorization: `Bearer ${gateway.key}` } }).end();
  const [response] = (await once(outgoing, 'response')) as [NodeJS.ReadableStream];
  response.setEncoding('utf8');
  for await (const chunk of response) parser.feed(chunk as string);
  return seqs;
}
