import { createDeltaSender, parseDeltas, takeStorable, toPayloads, type Delta } from '../../src/store/deltas.js';

const aDelta = (overrides: Partial<Delta> = {}): Delta => ({
  sessionId: 'ses_1',
  turnId: 'trn_1',
  attempt: 1,
  part: 0,
  offset: 0,
  text: 'hello',
  ...overrides,
});

/** PostgreSQL as the sender sees it: payloads in the order of arrival. */
class Postgres {
  readonly queries: (readonly string[])[] = [];
  isAway = false;
  query = ((statement: { readonly values: readonly [string, readonly string[]] }) => {
    if (this.isAway) return Promise.reject(new Error('away'));
    this.queries.push(statement.values[1]);
    return Promise.resolve({ rows: [] });
  }) as never;
  get deltas(): Delta[] {
    return this.queries.flat().flatMap(parseDeltas);
  }
}

const textOf = (deltas: readonly Delta[]): string => {
  let text = '';
  for (const delta of deltas) {
    expect(delta.offset).toBe(text.length);
    text += delta.text;
  }
  return text;
};

describe('payloads of deltas', () => {
  it('carry every piece as it was', () => {
    const deltas = [aDelta(), aDelta({ turnId: 'trn_2', part: 3, offset: 7, attempt: 2, text: 'é \u2028 "\\\n 🚦' })];
    expect(toPayloads(deltas).flatMap(parseDeltas)).toEqual(deltas);
  });

  it.each([
    ['plain', 'a'],
    ['two bytes', 'é'],
    ['pairs of surrogates', '🚦'],
    ['escapes of six bytes', '\u0001'],
    ['quotes', '"'],
  ])('stay below 8,000 bytes and join to the same text: %s', (_what, character) => {
    const text = character.repeat(30_000);
    const payloads = toPayloads([aDelta({ text }), aDelta({ turnId: 'trn_2' })]);
    for (const payload of payloads) expect(Buffer.byteLength(payload)).toBeLessThan(8_000);
    const pieces = payloads.flatMap(parseDeltas);
    expect(textOf(pieces.filter(({ turnId }) => turnId === 'trn_1'))).toBe(text);
    for (const piece of pieces) expect(piece.text).toBe(Buffer.from(piece.text).toString());
  });

  it('put many pieces into one', () => {
    const deltas = Array.from({ length: 70 }, (_, index) => aDelta({ turnId: `trn_${index}` }));
    expect(toPayloads(deltas)).toHaveLength(1);
  });

  it.each(['', 'null', '{}', '[[1,2,3,4,5,6]]', '[["ses","trn",1,0,-1,"x"]]', '[["ses","trn",1,0,0.5,"x"]]', 'exe_1,exe_2', '[1'])(
    'that are not ours give nothing: %s',
    (payload) => expect(parseDeltas(payload)).toEqual([]),
  );
});

describe('delta sender', () => {
  it('joins what follows on within a batch, each turn and part by itself', async () => {
    const postgres = new Postgres();
    const sender = createDeltaSender(postgres, { quietMs: 5 });
    for (const [index, text] of ['ab', 'c', 'def'].entries()) {
      const offset = [0, 2, 3][index] ?? 0;
      sender.send(aDelta({ text, offset }));
      sender.send(aDelta({ text, offset, turnId: 'trn_2' }));
    }
    sender.send(aDelta({ part: 1, text: 'z' }));
    sender.send(aDelta({ part: 1, offset: 9, text: 'gap' }));
    await sender.close();
    expect(postgres.queries).toHaveLength(1);
    expect(postgres.deltas).toEqual([
      aDelta({ text: 'abcdef' }),
      aDelta({ text: 'abcdef', turnId: 'trn_2' }),
      aDelta({ part: 1, text: 'z' }),
      aDelta({ part: 1, offset: 9, text: 'gap' }),
    ]);
  });

  it('sends batches one after the other, in order', async () => {
    const postgres = new Postgres();
    const sender = createDeltaSender(postgres, { quietMs: 0 });
    for (let offset = 0; offset < 60; offset += 2) {
      sender.send(aDelta({ offset, text: 'xy' }));
      await new Promise((resolve) => setImmediate(resolve));
    }
    await sender.close();
    expect(postgres.queries.length).toBeGreaterThan(1);
    expect(textOf(postgres.deltas)).toBe('xy'.repeat(30));
  });

  it('drops what PostgreSQL does not take and goes on', async () => {
    const postgres = new Postgres();
    const sender = createDeltaSender(postgres, { quietMs: 0 });
    postgres.isAway = true;
    sender.send(aDelta());
    await new Promise((resolve) => setTimeout(resolve, 20));
    postgres.isAway = false;
    sender.send(aDelta({ offset: 5 }));
    await sender.close();
    expect(postgres.deltas).toEqual([aDelta({ offset: 5 })]);
  });
});

describe('text of a stream', () => {
  it('holds half a character back until the other half comes', () => {
    const first = takeStorable('', 'go \ud83d');
    expect(first).toEqual({ text: 'go ', held: '\ud83d' });
    expect(takeStorable(first.held, '\udea6!')).toEqual({ text: '🚦!', held: '' });
  });

  it('says what cannot be stored as U+FFFD, unit for unit', () => {
    expect(takeStorable('', 'a\0b\udea6c')).toEqual({ text: 'a\ufffdb\ufffdc', held: '' });
    expect(takeStorable('\ud83d', '')).toEqual({ text: '\ufffd', held: '' });
    expect(takeStorable('\ud83d', 'x')).toEqual({ text: '\ufffdx', held: '' });
  });
});
