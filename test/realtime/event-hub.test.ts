import { EventHub, type LogFrame } from '../../src/realtime/event-hub.js';

const aFrame = (seq: number, kind = 'step.completed'): LogFrame => ({ seq, kind, json: JSON.stringify({ seq }) });

/** A log in memory that counts its reads. */
class Log {
  readonly frames: LogFrame[] = [];
  readonly reads: number[] = [];
  failing = 0;
  append(count: number, last?: string): void {
    for (let i = 0; i < count; i++) this.frames.push(aFrame(this.frames.length + 1));
    if (last !== undefined) this.frames.push(aFrame(this.frames.length + 1, last));
  }
  read = async (_id: string, after: number, limit: number): Promise<readonly LogFrame[]> => {
    this.reads.push(after);
    await Promise.resolve();
    if (this.failing-- > 0) throw new Error('database away');
    return this.frames.slice(after, after + limit);
  };
}

const hubs: EventHub[] = [];
const aHub = (log: Log, sweepMs = 60_000): EventHub => {
  const hub = new EventHub({ read: log.read, sweepMs });
  hubs.push(hub);
  return hub;
};
afterEach(() => hubs.splice(0).forEach((hub) => hub.close()));

async function seqsOf(pages: AsyncIterable<readonly LogFrame[]>): Promise<number[]> {
  const seqs: number[] = [];
  for await (const page of pages) seqs.push(...page.map((frame) => frame.seq));
  return seqs;
}
const never = (): AbortSignal => new AbortController().signal;
const upTo = (n: number): number[] => Array.from({ length: n }, (_, i) => i + 1);
const settled = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

describe('event hub', () => {
  it('gives the whole log in order and ends after the terminal event', async () => {
    const log = new Log();
    log.append(233, 'execution.completed');
    expect(await seqsOf(aHub(log).follow('exe_1', 0, never()))).toEqual(upTo(234));
  });

  it('R2 resumes behind the last event seen', async () => {
    const log = new Log();
    log.append(9, 'execution.failed');
    expect(await seqsOf(aHub(log).follow('exe_1', 7, never()))).toEqual([8, 9, 10]);
  });

  it('gives what is appended later once it is woken', async () => {
    const log = new Log();
    const hub = aHub(log);
    const reading = seqsOf(hub.follow('exe_1', 0, never()));
    for (let i = 0; i < 30; i++) {
      log.append(1);
      hub.wake('exe_1');
      if (i % 3 === 0) await settled();
    }
    log.append(0, 'execution.cancelled');
    hub.wake('exe_1');
    expect(await reading).toEqual(upTo(31));
  });

  it('R6 finds events whose wake-up was lost at the next sweep', async () => {
    const log = new Log();
    const reading = seqsOf(aHub(log, 20).follow('exe_1', 0, never()));
    await settled();
    log.append(2, 'execution.completed');
    expect(await reading).toEqual([1, 2, 3]);
  });

  it('shares one read among readers at the same place', async () => {
    const log = new Log();
    const hub = aHub(log);
    const readers = Array.from({ length: 40 }, () => seqsOf(hub.follow('exe_1', 0, never())));
    await settled();
    log.append(5, 'execution.completed');
    hub.wake('exe_1');
    for (const seqs of await Promise.all(readers)) expect(seqs).toEqual(upTo(6));
    expect(log.reads).toEqual([0, 0]);
  });

  it('R4 reads nothing ahead for a reader that takes nothing, and others are not held back', async () => {
    const log = new Log();
    log.append(500, 'execution.completed');
    const hub = aHub(log);
    const slow = hub.follow('exe_1', 0, never());
    const first = await slow.next();
    expect(await seqsOf(hub.follow('exe_1', 0, never()))).toEqual(upTo(501));
    const readsOfTheFast = log.reads.length;
    await settled();
    expect(log.reads).toHaveLength(readsOfTheFast);
    const rest = await seqsOf(slow);
    expect([...(first.value as readonly LogFrame[]).map((frame) => frame.seq), ...rest]).toEqual(upTo(501));
  });

  it('goes on after a failed read', async () => {
    const log = new Log();
    log.append(1, 'execution.completed');
    log.failing = 2;
    expect(await seqsOf(aHub(log, 10).follow('exe_1', 0, never()))).toEqual([1, 2]);
  });

  it('ends at the end of the rows when the execution is known to be over', async () => {
    const log = new Log();
    log.append(2, 'execution.completed');
    expect(await seqsOf(aHub(log).follow('exe_1', 3, never(), () => true))).toEqual([]);
  });

  it('ends when its reader goes and when the hub closes', async () => {
    const log = new Log();
    const hub = aHub(log);
    const reader = new AbortController();
    const [one, two] = [seqsOf(hub.follow('exe_1', 0, reader.signal)), seqsOf(hub.follow('exe_2', 0, never()))];
    await settled();
    reader.abort();
    expect(await one).toEqual([]);
    hub.close();
    expect(await two).toEqual([]);
  });
});
