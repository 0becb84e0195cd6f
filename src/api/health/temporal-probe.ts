/** What Temporal says of itself and of the workers that poll it. */
import { Connection } from '@temporalio/client';
import type { Probe } from './readiness.js';

const DEADLINE_MS = 2_000;
/** A poll is held for a minute, so a worker that is there was seen within it. */
const SEEN_WITHIN_MS = 70_000;
const TASK_QUEUE_TYPE_WORKFLOW = 1;

export interface TemporalProbes {
  readonly temporal: Probe;
  readonly worker: Probe;
  close(): Promise<void>;
}

export function createTemporalProbes(address: string, namespace: string, taskQueue: string): TemporalProbes {
  const connection = Connection.lazy({ address });
  const inFlight = new Set<Promise<unknown>>();
  const bounded = <T>(work: () => Promise<T>): Promise<T> => {
    const call = connection.withDeadline(Date.now() + DEADLINE_MS, work);
    const ended = call.catch(() => undefined).finally(() => inFlight.delete(ended));
    inFlight.add(ended);
    return call;
  };
  return {
    temporal: () => bounded(() => connection.workflowService.describeNamespace({ namespace })),
    worker: async () => {
      const { pollers } = await bounded(() =>
        connection.workflowService.describeTaskQueue({
          namespace,
          taskQueue: { name: taskQueue },
          taskQueueType: TASK_QUEUE_TYPE_WORKFLOW,
        }),
      );
      const newest = Math.max(0, ...(pollers ?? []).map((poller) => Number(poller.lastAccessTime?.seconds ?? 0) * 1_000));
      if (newest < Date.now() - SEEN_WITHIN_MS) throw new Error(`nobody polls ${taskQueue}`);
    },
    // A connection closed under a pending retry throws from a timer: calls are let end first.
    close: async () => {
      await Promise.all(inFlight);
      await connection.close();
    },
  };
}
