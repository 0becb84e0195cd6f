import { toChildSignal, toEventSignal, toPauseSignal } from '../../src/workflows/signal-shapes.js';

const REF = { ref: 'val_1', bytes: 40_000, sha256: '0', preview: '…' };

describe('raw signals', () => {
  it.each([
    [
      'a whole one',
      { id: 'cmd_1', event: 'paid', value: { v: null, refs: { '': REF } } },
      { id: 'cmd_1', event: 'paid', payload: null, value: { v: null, refs: { '': REF } } },
    ],
    ['one with a plain payload', { event: 'paid', payload: [1] }, { event: 'paid', payload: [1] }],
    ['a value that is none', { event: 'paid', value: 5 }, { event: 'paid', payload: null }],
    ['a value without v', { event: 'paid', value: { refs: {} } }, { event: 'paid', payload: null }],
    ['references of another shape', { event: 'paid', value: { v: null, refs: { '': 'val_1' } } }, { event: 'paid', payload: null }],
    ['an id that is no text', { id: {}, event: 'paid' }, { event: 'paid', payload: null }],
  ])('takes of an event signal what it can be: %s', (_what, raw, taken) => {
    expect(toEventSignal(raw)).toEqual(taken);
  });

  it.each([[undefined], [null], ['paid'], [[{ event: 'paid' }]], [{ event: 5 }], [{}]])('takes no event from %j', (raw) => {
    expect(toEventSignal(raw)).toBeUndefined();
  });

  it('takes pause and resume with or without a name', () => {
    expect(
      [undefined, 'now', { id: 1, by: {} }, { by: { id: 'usr_1' } }, { id: 'cmd_1', by: 'ana' }, { by: { id: 'usr_1', name: 'Ana' } }].map(
        toPauseSignal,
      ),
    ).toEqual([{}, {}, {}, {}, { id: 'cmd_1', by: 'ana' }, { by: { id: 'usr_1', name: 'Ana' } }]);
  });

  it("takes a child's end only with an end in it", () => {
    const report = { id: 'cmd_1', executionId: 'exe_2', outcome: { status: 'completed', output: { v: 1 }, error: null } };
    expect(toChildSignal(report)).toEqual(report);
    expect(toChildSignal({ ...report, outcome: { status: 'failed', output: 'x', error: { code: 5 } } })).toEqual({
      ...report,
      outcome: { status: 'failed', output: { v: null }, error: null },
    });
    expect(
      [
        { ...report, id: undefined },
        { ...report, outcome: {} },
        { ...report, outcome: { status: 'running' } },
      ].map(toChildSignal),
    ).toEqual([undefined, undefined, undefined]);
  });
});
