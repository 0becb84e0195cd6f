/** What Temporal says of itself. Of workers it would tell for minutes after their death that they have asked it for work. */
import { Connection } from '@temporalio/client';
import type { Probe } from './readiness.js';

const DEADLINE_MS = 2_000;

export interface TemporalProbes {
  readonly temporal: Probe;
  close(): Promise<void>;
}

export function createTemporalProbes(address: string, namespace: string): TemporalProbes {
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
    // A connection closed under a pending retry throws from a timer: calls are let end first.
    close: async () => {
      await Promise.all(inFlight);
      await connection.close();
    },
  };
}
