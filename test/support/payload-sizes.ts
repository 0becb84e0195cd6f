/** What the runs of an execution hold in Temporal: every payload, of every run that continued another. */
import type { Client } from '@temporalio/client';

type History = NonNullable<Awaited<ReturnType<ReturnType<Client['workflow']['getHandle']>['fetchHistory']>>['events']>;

export interface TemporalRun {
  readonly runId: string;
  readonly events: History;
}

/** The runs of an execution, the first one first. */
export async function runsOf(client: Client, id: string): Promise<TemporalRun[]> {
  const runs: TemporalRun[] = [];
  for (let runId: string | undefined; ; ) {
    const { events } = await client.workflow.getHandle(id, runId).fetchHistory();
    const start = events?.[0]?.workflowExecutionStartedEventAttributes;
    if (events === undefined || events === null || start === undefined || start === null) throw new Error(`${id} has no history`);
    runs.unshift({ runId: start.originalExecutionRunId ?? '', events });
    if (start.continuedExecutionRunId === undefined || start.continuedExecutionRunId === null || start.continuedExecutionRunId === '')
      return runs;
    runId = start.continuedExecutionRunId;
  }
}

/** Sizes of the payloads in an event or any part of one, in bytes. */
export function payloadBytes(value: unknown): number[] {
  if (ArrayBuffer.isView(value)) return [value.byteLength];
  if (typeof value !== 'object' || value === null) return [];
  return Object.values(value).flatMap(payloadBytes);
}

/** What a payload says, wherever in an event it is. */
export function payloadsOf(value: unknown): unknown[] {
  if (typeof value !== 'object' || value === null || ArrayBuffer.isView(value)) return [];
  const { payloads } = value as { payloads?: readonly { readonly data?: Uint8Array }[] };
  if (Array.isArray(payloads)) {
    return payloads.map(
      (payload: { readonly data?: Uint8Array }) => JSON.parse(Buffer.from(payload.data ?? []).toString('utf8')) as unknown,
    );
  }
  return Object.values(value).flatMap(payloadsOf);
}
