import { planTimeline, type TimelineNode } from '../../../src/operations/plan-timeline.js';
import type { WireStep } from '../../../src/operations/wire.js';

const row = (stepId: string, status: string, iterationPath = '', attempt = 1): WireStep =>
  ({ stepId, status, iterationPath, attempt, type: 'set', name: null }) as WireStep;
const set = (id: string): object => ({ id, type: 'set', values: {} });

/** `id:status`, `id:pending` for what is to come; what is in it in brackets by branch. */
const shown = (nodes: readonly TimelineNode[]): string =>
  nodes
    .map(({ stepId, attempts, groups }) => {
      const states = attempts.length === 0 ? 'pending' : attempts.map(({ status }) => status).join('>');
      const inside = groups.map((group) => `${group.disc}(${shown(group.nodes)})`).join(' ');
      return `${stepId}:${states}${inside === '' ? '' : `[${inside}]`}`;
    })
    .join(' ');

const FOUR = [set('a'), set('b'), set('c'), set('d')];
const loop = { id: 'each', type: 'loop', over: [], steps: [set('x'), set('y')] };
const choice = { id: 'if', type: 'conditional', condition: 'true', then: [set('t')], else: [set('e')] };

describe('the timeline of an execution', () => {
  it.each<[string, readonly unknown[] | undefined, readonly WireStep[], boolean, string]>([
    ['all is to come', FOUR, [], false, 'a:pending b:pending c:pending d:pending'],
    ['R12: nothing is to come behind a failure', FOUR, [row('a', 'completed'), row('b', 'failed')], false, 'a:completed b:failed'],
    [
      'R12: a skipped one suppresses nothing',
      FOUR,
      [row('a', 'completed'), row('b', 'skipped')],
      false,
      'a:completed b:skipped c:pending d:pending',
    ],
    ['nothing is to come behind a cancelled one', FOUR, [row('a', 'cancelled')], false, 'a:cancelled'],
    [
      'a failed one that is tried again goes on',
      FOUR,
      [row('a', 'failed'), row('a', 'running', '', 2)],
      false,
      'a:failed>running b:pending c:pending d:pending',
    ],
    ['of a closed one nothing is to come', FOUR, [row('a', 'completed')], true, 'a:completed'],
    [
      'R12: a row of no step stands at the end',
      FOUR.slice(0, 1),
      [row('gone', 'completed', 'each:i0'), row('a', 'completed')],
      false,
      'a:completed gone:completed',
    ],
    [
      'without a snapshot all rows stand flat, by creation',
      undefined,
      [row('b', 'completed'), row('a', 'running', 'each:i0')],
      false,
      'b:completed a:running',
    ],
    [
      'passes are told as they come, numbers as numbers, each with what is to come in it',
      [loop],
      [row('each', 'running'), row('x', 'completed', 'each:i10'), row('x', 'completed', 'each:i2'), row('y', 'completed', 'each:i2')],
      false,
      'each:running[i2(x:completed y:completed) i10(x:completed y:pending)]',
    ],
    ['an untaken branch has none', [choice], [row('if', 'running'), row('e', 'running', 'if:else')], false, 'if:running[else(e:running)]'],
    ['a branch not yet taken has none either', [choice], [], false, 'if:pending'],
    [
      'branches of a parallel all run',
      [
        {
          id: 'p',
          type: 'parallel',
          branches: [
            { id: 'l', steps: [set('x')] },
            { id: 'r', steps: [set('y')] },
          ],
        },
      ],
      [row('p', 'running'), row('x', 'completed', 'p:b0')],
      false,
      'p:running[b0(x:completed) b1(y:pending)]',
    ],
    [
      'steps of a parallel are branches',
      [{ id: 'p', type: 'parallel', steps: [set('x'), set('y')] }],
      [row('p', 'running'), row('y', 'failed', 'p:b1')],
      false,
      'p:running[b0(x:pending) b1(y:failed)]',
    ],
    [
      'of a try the body is sure, a handler only when it is taken',
      [{ id: 't', type: 'try', steps: [set('x')], catch: [{ codes: ['*'], steps: [set('c')] }], finally: [set('f')] }],
      [row('t', 'running'), row('x', 'failed', 't:try'), row('c', 'running', 't:catch0')],
      false,
      't:running[try(x:failed) catch0(c:running)]',
    ],
    [
      'a switch shows its case',
      [
        {
          id: 's',
          type: 'switch',
          cases: [
            { when: 'a', steps: [set('x')] },
            { when: 'b', steps: [set('y')] },
          ],
          default: [set('z')],
        },
      ],
      [row('s', 'completed'), row('y', 'completed', 's:c1')],
      true,
      's:completed[c1(y:completed)]',
    ],
    [
      'blocks nest by iteration path',
      [{ id: 'outer', type: 'loop', over: [], steps: [choice] }],
      [row('outer', 'running'), row('if', 'running', 'outer:i0'), row('t', 'running', 'outer:i0/if:then')],
      false,
      'outer:running[i0(if:running[then(t:running)])]',
    ],
  ])('%s', (_, steps, rows, isClosed, expected) => {
    expect(shown(planTimeline(steps, rows, isClosed))).toBe(expected);
  });
});
