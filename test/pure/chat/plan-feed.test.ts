import { planFeed, type PlanItem } from '../../../src/operations/plan-feed.js';
import type { WireFeedItem } from '../../../src/operations/session-feed.js';
import type { WireStep } from '../../../src/operations/wire.js';
import type { WireMessage } from '../../../src/operations/wire-session.js';

type Turn = NonNullable<WireMessage['turn']>['status'];

const step = (stepId: string, iterationPath = '', overrides: Partial<WireStep> = {}): WireFeedItem => ({
  kind: 'step',
  executionId: 'exe_1',
  step: { stepId, iterationPath, attempt: 1, type: 'agent_prompt', status: 'completed', ...overrides } as WireStep,
});
const message = (content: string, overrides: Partial<WireMessage> = {}): WireFeedItem => ({
  kind: 'message',
  message: {
    content,
    role: 'user',
    turn: null,
    executionId: null,
    stepId: null,
    iterationPath: null,
    attempt: null,
    ...overrides,
  } as WireMessage,
});
const said = (content: string, stepId: string, iterationPath: string, status?: Turn): WireFeedItem =>
  message(content, {
    executionId: 'exe_1',
    stepId,
    iterationPath,
    attempt: 1,
    ...(status === undefined ? {} : { role: 'assistant', turn: { id: 'trn_1', status, attempt: 1, model: 'm', usage: null } }),
  });

/** A plan in one line each: `messages a,b`, `step key`, `container key: kept | folded`. */
const shown = (plan: readonly PlanItem[]): string[] =>
  plan.map((item) => {
    const contents = (messages: readonly WireMessage[]): string => messages.map(({ content }) => content).join(',');
    if (item.kind === 'messages') return `messages ${contents(item.messages)}`;
    if (item.kind === 'step') return `step ${item.stepId}@${item.iterationPath}`;
    return `container ${item.stepId}@${item.iterationPath}: ${contents(item.messages)} | ${contents(item.previous)}`;
  });

describe('the plan of a feed', () => {
  it.each<[string, readonly WireFeedItem[], readonly string[]]>([
    ['nothing', [], []],
    ['plain messages are one stretch', [message('a'), message('b')], ['messages a,b']],
    ['a step without words is a card', [step('build', '', { type: 'bash' })], ['step build@']],
    [
      'R11: an agent in a loop of two, a message in the middle, a command at the end',
      [
        message('go'),
        step('each', '', { type: 'loop' }),
        step('ask', 'each:i0'),
        said('p0', 'ask', 'each:i0'),
        said('r0', 'ask', 'each:i0', 'end_turn'),
        message('wait'),
        step('ask', 'each:i1'),
        said('p1', 'ask', 'each:i1'),
        said('r1', 'ask', 'each:i1', 'end_turn'),
        step('build', '', { type: 'bash' }),
      ],
      ['messages go', 'container ask@each:i0: p0,r0 | ', 'messages wait', 'container ask@each:i1: p1,r1 | ', 'step build@'],
    ],
    [
      'R11: one container for a key, at its earliest item, whatever stands between',
      [said('p', 'ask', ''), message('a'), step('ask'), message('b'), said('r', 'ask', '', 'streaming')],
      ['container ask@: p,r | ', 'messages a,b'],
    ],
    [
      'R9: turns that were given up are folded',
      [step('ask'), said('p', 'ask', ''), said('bad', 'ask', '', 'canceled'), said('good', 'ask', '', 'end_turn')],
      ['container ask@: p,good | bad'],
    ],
    ['a message whose step has no row still shows', [said('r', 'gone', 'x:i0', 'end_turn')], ['container gone@x:i0: r | ']],
    [
      'passes of loops in loops, and equal steps of two runs, are containers of their own',
      [
        step('ask', 'a:i0/b:i0'),
        step('ask', 'a:i0/b:i1'),
        message('x', { executionId: 'exe_2', stepId: 'ask', iterationPath: 'a:i0/b:i0', attempt: 1 }),
      ],
      ['step ask@a:i0/b:i0', 'step ask@a:i0/b:i1', 'container ask@a:i0/b:i0: x | '],
    ],
    ['a block that failed before anything was in it is a card', [step('each', '', { type: 'loop', status: 'failed' })], ['step each@']],
    [
      'a block that failed with what is in it is not',
      [step('each', '', { type: 'loop', status: 'failed' }), step('ask', 'each:i0', { status: 'failed' })],
      ['step ask@each:i0'],
    ],
  ])('%s', (_, items, expected) => {
    expect(shown(planFeed(items))).toEqual(expected);
  });

  it('attempts share one card, the last one last', () => {
    const plan = planFeed([
      step('call', '', { attempt: 2, type: 'tool' }),
      step('call', '', { attempt: 1, type: 'tool', status: 'failed' }),
    ]);
    expect(plan).toHaveLength(1);
    expect(plan[0]).toMatchObject({ kind: 'step', key: 'exe_1#call#', attempts: [{ attempt: 1 }, { attempt: 2 }] });
  });

  it('of a refreshed page is that of the live one: item by item it only grows at its places', () => {
    const items = [
      message('a'),
      step('ask'),
      said('p', 'ask', ''),
      message('b'),
      said('r', 'ask', '', 'end_turn'),
      step('build', '', { type: 'bash' }),
    ];
    const whole = planFeed(items).map((item) => (item.kind === 'messages' ? 'messages' : item.key));
    for (let count = 1; count < items.length; count += 1) {
      const part = planFeed(items.slice(0, count)).map((item) => (item.kind === 'messages' ? 'messages' : item.key));
      expect(whole.slice(0, part.length)).toEqual(part);
    }
  });
});
