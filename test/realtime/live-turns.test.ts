import { setTimeout as sleep } from 'node:timers/promises';
import { LiveTurns, type TurnState } from '../../src/realtime/live-turns.js';
import type { Delta } from '../../src/store/deltas.js';

const aDelta = (offset: number, text: string, overrides: Partial<Delta> = {}): Delta => ({
  sessionId: 'ses_1',
  turnId: 'trn_1',
  attempt: 1,
  part: 0,
  offset,
  text,
  ...overrides,
});
const aTurn = (text = '', overrides: Partial<TurnState> = {}): TurnState => ({
  turnId: 'trn_1',
  attempt: 1,
  isOpen: true,
  texts: new Map([[0, text]]),
  ...overrides,
});

/** Turns over rows that the test writes. */
class Stage {
  readonly emitted: Delta[] = [];
  readonly dropped: Delta[] = [];
  readonly rows = new Map<string, TurnState>();
  looks = 0;
  reads = 0;
  readonly turns = new LiveTurns({
    find: async (turnId) => {
      this.reads += 1;
      return this.rows.get(turnId);
    },
    lookAtLog: () => (this.looks += 1),
    emit: (delta) => this.emitted.push(delta),
    onDropped: (delta) => this.dropped.push(delta),
    retryMs: 5,
    quietMs: 40,
  });

  /** What a reader has who began with nothing: checks that each piece follows on. */
  text(turnId = 'trn_1', part = 0): string {
    let text = '';
    for (const delta of this.emitted.filter((one) => one.turnId === turnId && one.part === part)) {
      expect(delta.offset).toBe(text.length);
      text += delta.text;
    }
    return text;
  }
  async until(holds: () => boolean): Promise<void> {
    for (const deadline = Date.now() + 5_000; !holds(); await sleep(2))
      if (Date.now() > deadline) throw new Error('it does not come to hold');
  }
}

let stage: Stage;
beforeEach(() => (stage = new Stage()));
afterEach(() => stage.turns.close());

describe('texts that stream', () => {
  it('tells each piece as it comes', () => {
    stage.turns.tell(aTurn());
    for (const [index, text] of ['He', 'llo', ', you'].entries()) stage.turns.take(aDelta([0, 2, 5][index] ?? 0, text));
    expect(stage.text()).toBe('Hello, you');
  });

  it('R3 ignores what came before, also in part', () => {
    stage.turns.tell(aTurn('Hello'));
    stage.turns.take(aDelta(0, 'He'));
    stage.turns.take(aDelta(2, 'llo'));
    expect(stage.emitted).toEqual([]);
    stage.turns.take(aDelta(3, 'lo, you'));
    stage.turns.take(aDelta(3, 'lo, you'));
    expect(stage.emitted).toEqual([aDelta(5, ', you')]);
  });

  it('R3 fills a gap from the row, when its checkpoint has come so far', async () => {
    stage.turns.tell(aTurn('ab'));
    stage.rows.set('trn_1', aTurn('abc'));
    stage.turns.take(aDelta(6, 'gh'));
    stage.turns.take(aDelta(8, 'ij'));
    await stage.until(() => stage.reads > 2);
    stage.turns.take(aDelta(10, 'k'));
    stage.rows.set('trn_1', aTurn('abcdefg'));
    await stage.until(() => stage.emitted.length >= 5);
    const text = stage.emitted.reduce((before, delta) => {
      expect(delta.offset).toBe(before.length);
      return before + delta.text;
    }, 'ab');
    expect(text).toBe('abcdefghijk');
  });

  it('R3 fills a gap from an event, without telling readers what the event told them', async () => {
    stage.turns.tell(aTurn('ab'));
    stage.turns.take(aDelta(4, 'ef'));
    stage.turns.tell(aTurn('abcd'));
    expect(stage.emitted).toEqual([aDelta(4, 'ef')]);
  });

  it('reads the row once for many pieces behind a gap', async () => {
    stage.turns.tell(aTurn('a'));
    for (let offset = 5; offset < 25; offset++) stage.turns.take(aDelta(offset, 'x'));
    expect(stage.reads).toBe(1);
    stage.rows.set('trn_1', aTurn('abcde'));
    await stage.until(() => stage.emitted.length === 21);
  });

  it('finds what was lost before a pause in the row, and asks it no more then', async () => {
    stage.turns.tell(aTurn());
    stage.turns.take(aDelta(0, 'Hello'));
    stage.rows.set('trn_1', aTurn('Hello, you'));
    await stage.until(() => stage.text() === 'Hello, you');
    const { reads } = stage;
    await sleep(150);
    // Once more, as it has grown; then it is known to be whole.
    expect(stage.reads).toBe(reads + 1);
  });

  it('finds what was told before it began to listen with the next checkpoint', async () => {
    stage.rows.set('trn_1', aTurn('Hel'));
    stage.turns.adopt(aTurn('Hel'));
    stage.rows.set('trn_1', aTurn('Hello'));
    await stage.until(() => stage.text() === 'Hello');
  });

  it('R13 holds the text of a turn whose event is on its way, and looks for it', () => {
    stage.turns.take(aDelta(0, 'He'));
    stage.turns.take(aDelta(2, 'llo'));
    expect([stage.emitted, stage.looks]).toEqual([[], 1]);
    stage.turns.tell(aTurn());
    expect(stage.text()).toBe('Hello');
  });

  it('R13 recovers an unknown turn from its row', async () => {
    stage.rows.set('trn_1', aTurn('Hello'));
    stage.turns.take(aDelta(4, 'o, you'));
    await stage.until(() => stage.text() === 'Hello, you');
  });

  it('R13 drops the text of a turn that nobody knows, and says so once', async () => {
    stage.turns.take(aDelta(0, 'He', { turnId: 'trn_none' }));
    stage.turns.take(aDelta(2, 'llo', { turnId: 'trn_none' }));
    await stage.until(() => stage.dropped.length > 0);
    expect([stage.emitted, stage.dropped]).toEqual([[], [aDelta(0, 'He', { turnId: 'trn_none' })]]);
  });

  it('tells nothing behind the end of a turn', async () => {
    stage.turns.tell(aTurn('Hello'));
    stage.turns.tell(aTurn('Hello, you', { isOpen: false }));
    stage.turns.take(aDelta(5, ', you'));
    stage.turns.tell(aTurn('Hello'));
    stage.turns.take(aDelta(5, ', you'));
    expect([stage.emitted, [...stage.turns.open()]]).toEqual([[], []]);
  });

  it('keeps parts and turns apart', () => {
    stage.turns.tell(aTurn());
    stage.turns.tell(aTurn('', { turnId: 'trn_2', texts: new Map() }));
    stage.turns.take(aDelta(0, 'one'));
    stage.turns.take(aDelta(0, 'two', { part: 2 }));
    stage.turns.take(aDelta(0, 'three', { turnId: 'trn_2' }));
    expect([stage.text(), stage.text('trn_1', 2), stage.text('trn_2')]).toEqual(['one', 'two', 'three']);
  });

  it('ignores an attempt that is not the turn', () => {
    stage.turns.tell(aTurn('', { attempt: 2 }));
    stage.turns.take(aDelta(0, 'old'));
    stage.turns.take(aDelta(0, 'new', { attempt: 2 }));
    expect(stage.text()).toBe('new');
  });

  it('takes pieces in any order, several times, to the same text', async () => {
    const text = Array.from({ length: 300 }, (_, index) => String.fromCharCode(97 + (index % 26))).join('');
    const pieces: Delta[] = [];
    for (let offset = 0; offset < text.length; offset += 7) pieces.push(aDelta(offset, text.slice(offset, offset + 7)));
    const shuffled = [...pieces, ...pieces].map((piece, index) => ({ piece, at: (index * 7919) % 97 })).toSorted((a, b) => a.at - b.at);
    stage.turns.tell(aTurn());
    for (const { piece } of shuffled) stage.turns.take(piece);
    stage.rows.set('trn_1', aTurn(text.slice(0, 150)));
    await stage.until(() => stage.text() === text);
  });
});
