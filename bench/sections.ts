/** What is measured: each function takes one pair of samples in turns, ours and the floor's, so that the machine's mood hits both. */
import { randomBytes } from 'node:crypto';
import { WorkflowNotFoundError } from '@temporalio/client';
import { WORKFLOW_TASK_TIMEOUT } from '../src/workflows/messages.js';
import { figure, type Figure } from './measure.js';
import type { Stage } from './stage.js';

const runId = (): string => randomBytes(6).toString('hex');
const call = (id: string, url: string): object => ({ id, type: 'tool', tool: 'http:request', arguments: { url } });

/** `steps` calls one after the other. The urls come as variables, so one saved definition serves every run. */
const sequenceDefinition = (steps: number): object => ({
  name: `bench ${steps} steps`,
  variables: { base: { type: 'string', required: true } },
  steps: Array.from({ length: steps }, (_, index) => call(`s${index}`, `{{variables.base}}/${index}`)),
});
const fanOutDefinition = (branches: number): object => ({
  name: `bench parallel ${branches}`,
  variables: { base: { type: 'string', required: true } },
  steps: [
    {
      id: 'fan',
      type: 'parallel',
      branches: Array.from({ length: branches }, (_, index) => ({
        id: `b${index}`,
        steps: [call(`c${index}`, `{{variables.base}}/${index}`)],
      })),
    },
  ],
});

export interface Sample {
  /** Request of the start sent → first call at the stub. */
  readonly toFirst: number;
  /** End of one call → arrival of the next. */
  readonly gaps: readonly number[];
  /** Request of the start sent → end known to the caller. */
  readonly whole: number;
  /** First arrival → last end. */
  readonly span: number;
}

async function ours(stage: Stage, workflowId: string, calls: number): Promise<Sample> {
  const run = runId();
  const started = performance.now();
  const { execution } = await stage.api.call<{ execution: { id: string } }>('POST', `/api/workflows/${workflowId}/run`, {
    variables: { base: `http://${stage.stub.host}/${run}` },
  });
  await ended(stage, execution.id);
  return await sample(stage, run, calls, started, performance.now());
}

/** Waits as the floor does, so that both pay the same for knowing the end. The start follows the API's answer by a moment. */
async function ended(stage: Stage, executionId: string): Promise<void> {
  for (;;) {
    try {
      await stage.temporal.workflow.getHandle(executionId).result();
      return;
    } catch (error) {
      if (!(error instanceof WorkflowNotFoundError)) throw error;
    }
  }
}

async function floor(stage: Stage, type: 'sequence' | 'fanOut', calls: number): Promise<Sample> {
  const run = runId();
  const started = performance.now();
  const handle = await stage.temporal.workflow.start(type, {
    taskQueue: 'floor',
    workflowId: `floor-${run}`,
    workflowTaskTimeout: WORKFLOW_TASK_TIMEOUT,
    args: [{ urls: stage.stub.urls(run, calls) }],
  });
  await handle.result();
  return await sample(stage, run, calls, started, performance.now());
}

async function sample(stage: Stage, run: string, count: number, started: number, ended: number): Promise<Sample> {
  const calls = [...(await stage.stub.calls(run, count))].toSorted((a, b) => a.at - b.at);
  const gaps = calls.slice(1).map((next, index) => next.at - (calls[index]?.done ?? 0));
  return {
    toFirst: (calls[0]?.at ?? 0) - started,
    gaps,
    whole: ended - started,
    span: Math.max(...calls.map(({ done }) => done)) - (calls[0]?.at ?? 0),
  };
}

async function save(stage: Stage, data: object): Promise<string> {
  const { workflow } = await stage.api.call<{ workflow: { id: string } }>('POST', '/api/workflows/sync', {
    name: (data as { name: string }).name,
    data,
  });
  return workflow.id;
}

async function pairs(
  stage: Stage,
  workflowId: string,
  type: 'sequence' | 'fanOut',
  calls: number,
  rounds: number,
): Promise<{ mine: Sample[]; theirs: Sample[] }> {
  const mine: Sample[] = [];
  const theirs: Sample[] = [];
  for (let round = -1; round < rounds; round += 1) {
    const a = await ours(stage, workflowId, calls);
    const b = await floor(stage, type, calls);
    // The first round warms up.
    if (round < 0) continue;
    mine.push(a);
    theirs.push(b);
  }
  return { mine, theirs };
}

export async function sequences(stage: Stage, quick: boolean): Promise<Figure[]> {
  const three = await save(stage, sequenceDefinition(3));
  const hundred = await save(stage, sequenceDefinition(100));
  const short = await pairs(stage, three, 'sequence', 3, quick ? 8 : 40);
  const long = await pairs(stage, hundred, 'sequence', 100, quick ? 2 : 6);
  const gaps = (samples: readonly Sample[]): number[] => samples.flatMap((sample) => sample.gaps);
  return [
    figure(
      'start → first step',
      'ms',
      short.mine.map((s) => s.toFirst),
      short.theirs.map((s) => s.toFirst),
    ),
    figure('gap between steps (100 steps)', 'ms', gaps(long.mine), gaps(long.theirs), '≤ 1.25 × floor'),
    figure(
      'run of 3 steps',
      'ms',
      short.mine.map((s) => s.whole),
      short.theirs.map((s) => s.whole),
    ),
    figure(
      'run of 100 steps',
      'ms',
      long.mine.map((s) => s.whole),
      long.theirs.map((s) => s.whole),
    ),
  ];
}

export async function fanOuts(stage: Stage, quick: boolean): Promise<Figure[]> {
  const workflow = await save(stage, fanOutDefinition(50));
  const { mine, theirs } = await pairs(stage, workflow, 'fanOut', 50, quick ? 3 : 12);
  return [
    figure(
      'parallel of 50, first call → last end',
      'ms',
      mine.map((s) => s.span),
      theirs.map((s) => s.span),
    ),
    figure(
      'run with a parallel of 50',
      'ms',
      mine.map((s) => s.whole),
      theirs.map((s) => s.whole),
    ),
  ];
}

/** Runs of three steps per second, `concurrency` at a time. */
export async function throughput(stage: Stage, quick: boolean): Promise<Figure[]> {
  const workflow = await save(stage, sequenceDefinition(3));
  const figures: Figure[] = [];
  for (const concurrency of [1, 10, 30]) {
    const runs = Math.max(quick ? 10 : 40, concurrency * (quick ? 2 : 5));
    const mine: number[] = [];
    const theirs: number[] = [];
    for (let round = 0; round < (quick ? 2 : 4); round += 1) {
      mine.push(await rate(runs, concurrency, () => ours(stage, workflow, 3)));
      theirs.push(await rate(runs, concurrency, () => floor(stage, 'sequence', 3)));
    }
    figures.push(figure(`runs of 3 steps per second, ${concurrency} at a time`, 'per second', mine, theirs));
  }
  return figures;
}

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
