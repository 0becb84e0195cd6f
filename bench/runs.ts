/** One run of ours or of the floor's: started and waited for in the same way, with what the stub saw of it. */
import { randomBytes } from 'node:crypto';
import { WorkflowNotFoundError } from '@temporalio/client';
import { WORKFLOW_TASK_TIMEOUT } from '../src/workflows/messages.js';
import type { Stage } from './stage.js';

/** Times in ms. */
export interface Sample {
  /** Temporal's workflow id: ours is the execution's. */
  readonly id: string;
  /** Request of the start sent → first call at the stub. */
  readonly toFirst: number;
  /** End of one call → arrival of the next. */
  readonly gaps: readonly number[];
  /** Request of the start sent → end known to the caller. */
  readonly whole: number;
  /** First arrival → last end. */
  readonly span: number;
}

export const runId = (): string => randomBytes(6).toString('hex');

export async function save(stage: Stage, data: { readonly name: string }): Promise<string> {
  const { workflow } = await stage.api.call<{ workflow: { id: string } }>('POST', '/api/workflows/sync', { name: data.name, data });
  return workflow.id;
}

/** Starts a saved definition. @returns the execution's id */
export async function start(stage: Stage, workflowId: string, variables: Record<string, unknown> = {}): Promise<string> {
  const { execution } = await stage.api.call<{ execution: { id: string } }>('POST', `/api/workflows/${workflowId}/run`, { variables });
  return execution.id;
}

/** Waits as the floor does, so that both pay the same for knowing the end. The start follows the API's answer by a moment. */
export async function ended(stage: Stage, executionId: string): Promise<void> {
  for (;;) {
    try {
      await stage.temporal.workflow.getHandle(executionId).result();
      return;
    } catch (error) {
      if (!(error instanceof WorkflowNotFoundError)) throw error;
    }
  }
}

export async function ours(stage: Stage, workflowId: string, calls: number, variables: Record<string, unknown> = {}): Promise<Sample> {
  const run = runId();
  const started = performance.now();
  const id = await start(stage, workflowId, { base: `http://${stage.stub.host}/${run}`, ...variables });
  await ended(stage, id);
  return await sample(stage, { id, run, calls, started, ended: performance.now() });
}

export type FloorType = 'sequence' | 'fanOut';

export async function floor(stage: Stage, type: FloorType, calls: number): Promise<Sample> {
  const run = runId();
  const id = `floor-${run}`;
  const started = performance.now();
  const handle = await stage.temporal.workflow.start(type, {
    taskQueue: 'floor',
    workflowId: id,
    workflowTaskTimeout: WORKFLOW_TASK_TIMEOUT,
    args: [{ urls: stage.stub.urls(run, calls) }],
  });
  await handle.result();
  return await sample(stage, { id, run, calls, started, ended: performance.now() });
}

/** The floor, started as ours is: by a request to a gateway of its own, which starts the workflow and records nothing. */
export async function floorOverHttp(stage: Stage, type: FloorType, calls: number): Promise<Sample> {
  const run = runId();
  const id = `floor-${run}`;
  const started = performance.now();
  const response = await fetch(stage.floorGatewayUrl, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({ type, id, urls: stage.stub.urls(run, calls) }),
  });
  const answer = await response.text();
  if (!response.ok) throw new Error(`the floor's gateway: ${response.status} ${answer}`);
  await stage.temporal.workflow.getHandle(id).result();
  return await sample(stage, { id, run, calls, started, ended: performance.now() });
}

interface Run {
  readonly id: string;
  readonly run: string;
  readonly calls: number;
  readonly started: number;
  readonly ended: number;
}

async function sample(stage: Stage, { id, run, calls: count, started, ended }: Run): Promise<Sample> {
  if (count === 0) return { id, toFirst: 0, gaps: [], whole: ended - started, span: 0 };
  const calls = (await stage.stub.calls(run, count)).toSorted((a, b) => a.at - b.at);
  const first = calls[0]?.at ?? 0;
  const end = calls.reduce((latest, { done }) => Math.max(latest, done), 0);
  return {
    id,
    toFirst: first - started,
    gaps: calls.slice(1).map((next, index) => next.at - (calls[index]?.done ?? 0)),
    whole: ended - started,
    span: end - first,
  };
}

/** Takes one sample of each in turn, so that the machine's mood hits all; the first turn warms up. @returns the samples of each */
export async function inTurns<T>(rounds: number, takers: readonly (() => Promise<T>)[]): Promise<T[][]> {
  const taken: T[][] = takers.map(() => []);
  for (let round = -1; round < rounds; round += 1)
    for (const [index, take] of takers.entries()) {
      const one = await take();
      if (round >= 0) taken[index]?.push(one);
    }
  return taken;
}

/** Events in Temporal's history of an execution, over all the runs that it was handed over to. */
export async function historyOf(stage: Stage, executionId: string): Promise<{ readonly events: number; readonly runs: number }> {
  let [events, runs] = [0, 0];
  let run: string | undefined;
  // From the last run back.
  do {
    const history = await stage.temporal.workflow.getHandle(executionId, run).fetchHistory();
    events += history.events?.length ?? 0;
    runs += 1;
    run = history.events?.[0]?.workflowExecutionStartedEventAttributes?.continuedExecutionRunId ?? '';
  } while (run !== '');
  return { events, runs };
}
