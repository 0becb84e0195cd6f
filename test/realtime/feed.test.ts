/** One feed over a log and rows that the test writes: what its followers are told, and in which order. */
import { EventHub, type LogFrame } from '../../src/realtime/event-hub.js';
import { Feed, type FeedFollower } from '../../src/realtime/feed.js';
import type { Delta } from '../../src/store/deltas.js';

const aMessage = (text: string, seq = 1) => ({
  seq,
  parts: [{ type: 'text', text }],
  turn: { id: 'trn_1', status: 'streaming', attempt: 1 },
});
const anEvent = (seq: number, kind: string, message: object): LogFrame => ({
  seq,
  kind,
  json: JSON.stringify({ seq, kind, data: { message } }),
});
const aDelta = (offset: number, text: string): Delta => ({ sessionId: 'ses_1', turnId: 'trn_1', attempt: 1, part: 0, offset, text });

/** Everything told, as `event 2` and `delta 0 abc`. */
class Follower implements FeedFollower {
  readonly told: string[] = [];
  cursor = 0;
  event(frame: LogFrame): void {
    this.cursor = frame.seq;
    this.told.push(`event ${frame.seq}`);
  }
  delta({ offset, text }: Delta): void {
    this.told.push(`delta ${offset} ${text}`);
  }
}

let log: LogFrame[];
let hub: EventHub;
let feed: Feed;
let follower: Follower;
beforeEach(async () => {
  log = [];
  hub = new EventHub({
    read: async (_id, after) => log.filter((frame) => frame.seq > after),
    place: async () => ({ lastSeq: log.length, closed: false }),
    lastSeqs: async () => new Map(),
  });
  const unexpected = (error: unknown): never => {
    throw error;
  };
  const source = { openTurns: async () => [], findTurn: async () => undefined };
  feed = new Feed({ hub, source, id: 'ses_1', hasTurns: true, onDropped: () => undefined, onError: unexpected });
  await feed.ready;
  follower = new Follower();
  feed.join(follower);
});
afterEach(() => {
  feed.close();
  hub.close();
});

async function told(count: number): Promise<readonly string[]> {
  hub.wake('ses_1');
  while (follower.told.length < count) await new Promise((resolve) => setImmediate(resolve));
  return follower.told;
}

describe('a turn of which somebody reads the row', () => {
  it('is told to others from its start on, however much of it the row has before they heard of it', async () => {
    expect(feed.withLiveText(aMessage('abcdef')).parts).toEqual([{ type: 'text', text: 'abcdef' }]);
    expect(follower.told).toEqual([]);
    log.push(anEvent(1, 'message.created', aMessage('ab')), anEvent(2, 'turn.started', aMessage('ab')));
    await told(2);
    feed.turns.take(aDelta(2, 'cdef'));
    expect(follower.told).toEqual(['event 1', 'event 2', 'delta 2 cdef']);
  });

  it('goes on for everybody where the row ends, once it has begun', async () => {
    log.push(anEvent(1, 'message.created', aMessage('ab')), anEvent(2, 'turn.started', aMessage('ab')));
    await told(2);
    expect(feed.withLiveText(aMessage('abcd')).parts).toEqual([{ type: 'text', text: 'abcd' }]);
    feed.turns.take(aDelta(2, 'cdef'));
    expect(follower.told.slice(2)).toEqual(['delta 2 cd', 'delta 4 ef']);
    expect(feed.withLiveText(aMessage('abcd')).parts).toEqual([{ type: 'text', text: 'abcdef' }]);
  });
});
