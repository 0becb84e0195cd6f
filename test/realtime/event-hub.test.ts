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
  place(): { lastSeq: number; closed: boolean } {
    return { lastSeq: this.frames.length, closed: this.frames.at(-1)?.kind.startsWith('execution.') === true };
  }
  read = async (_id: string, after: number, limit: number): Promise<readonly LogFrame[]> => {
    this.reads.push(after);
    await Promise.resolve();
    if (this.failing-- > 0) throw new Error('database away');
    return this.frames.slice(after, after + limit);
  };
}

const hubs: EventHub[] = [];
const aHub = (log: Log): EventHub => {
  const hub = new EventHub({
    read: log.read,
    place: async () => log.place(),
    lastSeqs: async (ids) => new Map(ids.map((id) => [id, log.frames.length])),
  });
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
    const hub = aHub(log);
    const reading = seqsOf(hub.follow('exe_1', 0, never()));
    await settled();
    log.append(2, 'execution.completed');
    await hub.sweep();
    expect(await reading).toEqual([1, 2, 3]);
  });

  it('R6 finds them also when a newer reader has read them first', async () => {
    const log = new Log();
    const hub = aHub(log);
    const early = seqsOf(hub.follow('exe_1', 0, never()));
    await settled();
    log.append(2, 'execution.completed');
    expect(await seqsOf(hub.follow('exe_1', 1, never()))).toEqual([2, 3]);
    expect(await early).toEqual([1, 2, 3]);
  });

  it('reads no rows at a sweep that finds nothing new', async () => {
    const log = new Log();
    log.append(3);
    const hub = aHub(log);
    const reader = new AbortController();
    const reading = seqsOf(hub.follow('exe_1', 0, reader.signal));
    await settled();
    const before = log.reads.length;
    for (let i = 0; i < 5; i++) await hub.sweep();
    await settled();
    expect(log.reads).toHaveLength(before);
    reader.abort();
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
    const hub = aHub(log);
    const reading = seqsOf(hub.follow('exe_1', 0, never()));
    for (let i = 0; i < 2; i++) {
      await settled();
      await hub.sweep();
    }
    expect(await reading).toEqual([1, 2]);
  });

  it.each([
    ['in the middle', 1, { after: 1, isAtEnd: false }],
    ['behind the terminal event', 3, { after: 3, isAtEnd: true }],
    ['in the future', 99, { after: 3, isAtEnd: true }],
  ])('places a reader that is %s', async (_where, after, place) => {
    const log = new Log();
    log.append(2, 'execution.completed');
    expect(await aHub(log).place('exe_1', after)).toEqual(place);
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
