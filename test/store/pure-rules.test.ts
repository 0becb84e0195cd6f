import type { Json } from '../../src/definition/value.js';
import { toAppendedEvent } from '../../src/store/log-event.js';
import { toJsonText, toStorableText } from '../../src/store/json-text.js';
import { payloadsOf } from '../../src/store/notifier.js';
import { mergeHeads } from '../../src/store/stream-writer.js';
import { mirrorContainers, type StepRecord } from '../../src/store/step-list.js';
import { addUsage } from '../../src/store/token-usage.js';
import { decidersOf, votesSettle } from '../../src/store/gate-rules.js';
import { outcomeFor } from '../../src/store/end-execution.js';

describe('JSON text for PostgreSQL', () => {
  it.each([
    ['NUL', 'a\0b', '"a\ufffdb"'],
    ['an escape that was written out', 'a\\u0000b', '"a\\\\u0000b"'],
    ['NUL behind a backslash', '\\\0', '"\\\\\ufffd"'],
    ['half of a surrogate pair', 'x\ud83dy', '"x\ufffdy"'],
    ['a whole pair', '😀', '"😀"'],
    ['two NULs', '\0\0', '"\ufffd\ufffd"'],
  ])('replaces only what it cannot hold: %s', (_, value, text) => {
    expect(toJsonText(value)).toBe(text);
  });

  it('does the same for plain text, and for keys', () => {
    expect(toStorableText('a\0\ud83d😀\ude00')).toBe('a\ufffd\ufffd😀\ufffd');
    expect(toJsonText({ 'k\0': 1 })).toBe('{"k\ufffd":1}');
  });
});

describe('who has paused or resumed', () => {
  const by = (who: Json) =>
    toAppendedEvent({ kind: 'execution.paused', ordinal: '1', at: 0, instance: null, data: { by: who } }).data as { by: Json };
  it.each<[string, Json, Json]>([
    ['a person by the API', { id: 'usr_1', name: 'Ana' }, { id: 'usr_1', name: 'Ana' }],
    ['whom a raw signal names', 'ana@example.com', { id: 'ana@example.com', name: 'ana@example.com' }],
    ['an operator whose signal names nobody', null, { id: 'operator', name: 'Operator' }],
  ])('is told in one shape: %s', (_what, who, told) => {
    expect(by(who)).toEqual({ by: told });
  });
});

describe('wake-up payloads', () => {
  it('hold every id once and stay below 8,000 bytes', () => {
    const ids = Array.from({ length: 1_000 }, (_, index) => `exe_${String(index).padStart(26, '0')}`);
    const payloads = payloadsOf(ids);
    expect(payloads.every((payload) => payload.length < 8_000)).toBe(true);
    expect(payloads.flatMap((payload) => payload.split(','))).toEqual(ids);
  });
});

describe('a batch of carries', () => {
  it('has the newest projection and every applied command', () => {
    const head = (counter: number, delivered: string[]) => ({
      counter,
      status: 'running' as const,
      progress: { done: counter, total: 9, current: [] },
      delivered,
    });
    expect(mergeHeads([head(2, ['a']), null, head(3, ['b']), head(1, ['a', 'c'])])).toEqual({ ...head(3, []), delivered: ['a', 'b', 'c'] });
    expect(mergeHeads([null])).toBeNull();
    const part = { ...head(3, []), status: null, progress: { done: 2, total: 3, current: ['x'] } };
    for (const heads of [
      [head(3, []), part],
      [part, head(3, [])],
    ])
      expect(mergeHeads(heads)).toEqual({ ...head(3, []), progress: part.progress });
    expect(mergeHeads([part, head(4, [])])).toEqual(head(4, []));
  });
});

describe('the votes of a gate', () => {
  const vote = (id: string, decision: 'approve' | 'deny' = 'approve') => ({ by: { id, name: id }, decision });
  it.each([
    ['nothing yet', 1, [], undefined],
    ['one approval of one', 1, [vote('ana')], 'approved'],
    ['one approval of two', 2, [vote('ana')], undefined],
    ['one person twice', 2, [vote('ana'), vote('ana')], undefined],
    ['two people', 2, [vote('ana'), vote('bo')], 'approved'],
    ['a denial after an approval', 2, [vote('ana'), vote('bo', 'deny')], 'denied'],
  ] as const)('settle: %s', (_, quorum, votes, outcome) => {
    expect(votesSettle(quorum, votes)).toBe(outcome);
  });

  it('name those who decided', () => {
    expect(decidersOf('denied', [vote('ana'), vote('bo', 'deny')])).toEqual([{ id: 'bo', name: 'bo' }]);
  });
});

describe('how an execution may end', () => {
  const completed = { status: 'completed' as const, output: { v: 1 }, error: null, reason: null, requested: false };
  it('as its workflow says, unless a cancel came first', () => {
    expect(outcomeFor({ status: 'running', reason: null }, completed)).toBe(completed);
    expect(outcomeFor({ status: 'cancelling', reason: 'enough' }, completed)).toEqual({
      status: 'cancelled',
      output: { v: null },
      error: null,
      reason: 'enough',
      requested: true,
    });
  });
});

describe('the rows of containers', () => {
  const row = (stepId: string, iterationPath: string, type: string, status: StepRecord['status']): StepRecord => ({
    executionId: 'exe_1',
    stepId,
    iterationPath,
    attempt: 1,
    type,
    status,
    input: null,
    output: null,
    error: null,
    choice: null,
    warnings: [],
    usage: null,
    model: null,
    turnIds: [],
    seeded: false,
    createdAt: '',
    startedAt: null,
    completedAt: null,
  });
  it.each([
    [['waiting_approval', 'waiting_event'], 'waiting_approval'],
    [['waiting_event', 'completed'], 'waiting_event'],
    [['waiting_approval', 'running'], 'running'],
    [['completed', 'completed'], 'running'],
  ] as const)('mirror what is open in them: %j is %s', (statuses, expected) => {
    const leaves = statuses.map((status, index) => row('leaf', `par:b0/loop:i${index}`, 'tool', status));
    const mirrored = mirrorContainers([
      row('par', '', 'parallel', 'running'),
      row('loop', 'par:b0', 'loop', 'running'),
      ...leaves,
      row('done', '', 'loop', 'completed'),
    ]);
    expect(mirrored.map((step) => step.status)).toEqual([expected, expected, ...statuses, 'completed']);
  });
});

describe('usage', () => {
  it('adds up, each model once', () => {
    const one = { inputTokens: 1, outputTokens: 2, cacheReadTokens: 3, models: ['a'] };
    expect(addUsage([one, { ...one, models: ['b', 'a'] }])).toEqual({
      inputTokens: 2,
      outputTokens: 4,
      cacheReadTokens: 6,
      models: ['a', 'b'],
    });
  });
});
