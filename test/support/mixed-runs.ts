/**
 * A crowd of runs that is busy in every way at once (calls, a parallel, a loop, a wait, an approval), and what must hold of it whatever
 * is killed in the middle.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import type { Approval, DefinitionJson, Execution, LoggedEvent } from './service-shapes.js';
import { isConnectionFault } from './service-client.js';
import type { Service } from './service.js';
import { call, gate, loop, parallel, wait } from './steps.js';
import type { StubServer } from './stub-server.js';

export const CROWD = 20;
/** Calls of one run that meets no fault. */
export const CALLS_EACH = 10;

export function mixedDefinition(stub: StubServer): DefinitionJson {
  // The outside sees which step instance calls, so that its calls can be compared with the log.
  const work = (id: string, path = '') => call(id, stub, `/work?run={{ execution.id }}&step=${id}&path=${path}`);
  return {
    name: 'Mixed',
    steps: [
      work('first'),
      parallel('p', {
        work: [loop('l', { over: 'range(4)' }, [work('in_loop', 'p:b0/l:i{{ loop.index }}')])],
        rest: [wait('w', '1500ms'), work('rested', 'p:b1')],
      }),
      gate('g', { timeout: '10m' }),
      loop('m', { over: 'range(3)', concurrency: 2 }, [work('again', 'm:i{{ loop.index }}')]),
      work('last'),
    ],
    output: '{{ outputs.last.status }}',
  };
}

/** Long enough that a kill finds calls open, short enough for the time a test has. */
export const answerSlowly = (stub: StubServer): void =>
  stub.on('/work', (_call, nth) => ({ delayMs: 100 + ((nth * 37) % 300), body: { nth } }));

export class Crowd {
  private readonly stopped = new AbortController();
  private constructor(
    private readonly service: Service,
    private readonly stub: StubServer,
    readonly runs: readonly Execution[],
    private readonly approving: Promise<void>,
  ) {}

  /** Starts the runs and somebody who approves each gate a moment after it opens, whatever the gateway does meanwhile. */
  static async start(service: Service, stub: StubServer): Promise<Crowd> {
    answerSlowly(stub);
    const workflow = await service.save(mixedDefinition(stub));
    const runs = await Promise.all(Array.from({ length: CROWD }, () => service.runSaved(workflow.id)));
    let crowd: Crowd | undefined;
    const approving = approveAll(service, () => crowd?.stopped.signal.aborted === true);
    crowd = new Crowd(service, stub, runs, approving);
    return crowd;
  }

  /** Resolves when about that share (0-1) of all calls has been made. */
  async reached(share: number): Promise<void> {
    await this.stub.called('/work', Math.floor(share * CROWD * CALLS_EACH));
  }

  async untilAllEnded(timeoutMs = 60_000): Promise<void> {
    try {
      await Promise.all(this.runs.map(({ id }) => this.service.untilEnded(id, timeoutMs)));
    } finally {
      this.stopped.abort();
      await this.approving;
    }
  }

  /**
   * Every run completed; its log has no gap; no call reached the outside after its step was recorded as finished; and each run that had
   * not ended at the kill did something again within the time allowed.
   */
  async expectUnharmed(kill: { readonly at: number; readonly goneOnBy: number }): Promise<void> {
    const calls = this.stub.calls('/work');
    const late: string[] = [];
    const slow: string[] = [];
    for (const { id } of this.runs) {
      expect(await this.service.execution(id)).toMatchObject({ id, status: 'completed', output: 200 });
      const events = await this.service.expectGapFreeLog(id);
      expect(new Set(events.map(keyOf)).size).toBe(events.length);
      const mine = calls.filter(({ query }) => query['run'] === id);
      expect(new Set(mine.map(({ headers }) => headers['idempotency-key'])).size).toBe(CALLS_EACH);
      late.push(...repeatedAfterTheirEnd(events, mine));
      const next = events.find(({ at }) => Date.parse(at) > kill.at);
      if (next !== undefined && Date.parse(next.at) > kill.goneOnBy)
        slow.push(`${id}: ${next.kind} ${next.stepId ?? ''} ${Date.parse(next.at) - kill.at} ms after the kill`);
    }
    expect(late).toEqual([]);
    expect(slow).toEqual([]);
    console.log(`calls repeated under their key: ${calls.length - CROWD * CALLS_EACH}`);
  }
}

const keyOf = ({ kind, stepId, iterationPath, attempt, seq, data }: LoggedEvent): string =>
  stepId === undefined ? `${kind} ${seq}` : JSON.stringify([kind, stepId, iterationPath, attempt, kind.startsWith('step.') ? null : data]);

/** The last call of a step must have come before its end was written down. */
function repeatedAfterTheirEnd(events: readonly LoggedEvent[], calls: ReturnType<StubServer['calls']>): string[] {
  return events
    .filter(({ kind, stepId }) => kind === 'step.completed' && calls.some(({ query }) => query['step'] === stepId))
    .flatMap(({ stepId = '', iterationPath = '', at }) => {
      const made = calls.filter(({ query }) => query['step'] === stepId && query['path'] === iterationPath);
      const lateMs = (made.at(-1)?.at ?? 0) - Date.parse(at);
      return lateMs > 5 ? [`${stepId} at '${iterationPath}' was called ${lateMs} ms after its end`] : [];
    });
}

async function approveAll(service: Service, isOver: () => boolean): Promise<void> {
  while (!isOver()) {
    await approveOpen(service).catch((error: unknown) => {
      if (!isConnectionFault(error)) throw error;
    });
    await sleep(200);
  }
}

async function approveOpen(service: Service): Promise<void> {
  const { status, body } = await service.api.get<{ items: Approval[] } | undefined>('/api/approvals?status=pending&limit=200');
  if (status !== 200 || body === undefined) return;
  for (const { id } of body.items) {
    const answer = await service.api.post(`/api/approvals/${id}/approve`);
    // 409: an approval whose answer was lost with the gateway; 5xx: the database is away, the next round asks again.
    if (answer.status !== 200 && answer.status !== 409 && answer.status < 500) throw new Error(`approving ${id}: ${answer.text}`);
  }
}
