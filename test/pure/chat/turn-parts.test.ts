import { readParts } from '../../../src/store/message-parts.js';
import { estimatedUsage, finishedParts, turnText, type ToolCallPart, type TurnPart } from '../../../src/store/turn-record.js';

const text = (value: string): TurnPart => ({ type: 'text', text: value });
const aCall = (status: ToolCallPart['status']): ToolCallPart => ({
  type: 'tool-call',
  callId: 'c',
  toolName: 't',
  args: { a: 1 },
  status,
  result: null,
  error: null,
});
const finish: TurnPart = { type: 'finish', reason: 'end_turn' };

describe('parts of messages, as they are read', () => {
  it.each<[string, unknown, number]>([
    ['each kind', [text('a'), aCall('running'), { type: 'error', code: 'c', message: 'm' }, finish], 4],
    ['no list', { type: 'text', text: 'a' }, 0],
    ['null', null, 0],
    ['unknown kinds', [{ type: 'image', url: 'x' }, 'text', null, 7], 0],
    [
      'a text without text, a call without status, an error without code',
      [{ type: 'text' }, { ...aCall('running'), status: 'odd' }, { type: 'error', message: 'm' }],
      0,
    ],
    ['what is right beside what is wrong', [text('a'), { type: 'text', text: 1 }], 1],
  ])('%s', (_, json, count) => {
    expect(readParts(json)).toHaveLength(count);
  });
});

describe('the end of a turn', () => {
  it.each(['pending', 'running'] as const)('closes a call that is %s as interrupted', (status) => {
    expect(finishedParts([text('a'), aCall(status)], { reason: 'stopped' })).toEqual([
      text('a'),
      { ...aCall('error'), error: { code: 'interrupted', message: expect.any(String) } },
      { type: 'finish', reason: 'stopped' },
    ]);
  });

  it.each(['completed', 'error'] as const)('leaves a call that is %s as it is', (status) => {
    expect(finishedParts([aCall(status)], { reason: 'x' })[0]).toEqual(aCall(status));
  });

  it('tells an error before its finish, which is one and last', () => {
    const parts = finishedParts([text('a'), finish], { reason: 'error', error: { code: 'c', message: 'm' } });
    expect(parts).toEqual([text('a'), { type: 'error', code: 'c', message: 'm' }, { type: 'finish', reason: 'error' }]);
  });
});

describe('the cost of a turn that was cut off', () => {
  it.each<[string, readonly TurnPart[], Parameters<typeof estimatedUsage>[1], object]>([
    ['nothing was announced', [text('12345')], null, { inputTokens: 0, outputTokens: 2, cacheReadTokens: 0 }],
    [
      'the announced input counts',
      [text('1234')],
      { inputTokens: 9, outputTokens: 0, cacheReadTokens: 3 },
      { inputTokens: 9, outputTokens: 1, cacheReadTokens: 3 },
    ],
    [
      'more was announced than has arrived',
      [text('1234')],
      { inputTokens: 9, outputTokens: 50, cacheReadTokens: 0 },
      { inputTokens: 9, outputTokens: 50, cacheReadTokens: 0 },
    ],
    ['arguments of calls are characters too', [aCall('pending')], null, { inputTokens: 0, outputTokens: 2, cacheReadTokens: 0 }],
  ])('%s', (_, parts, known, expected) => {
    expect(estimatedUsage(parts, known)).toEqual({ ...expected, estimated: true });
  });
});

it('the text of a turn is that of its text parts', () => {
  expect(turnText([text('a'), aCall('completed'), text('b'), finish])).toBe('ab');
});
