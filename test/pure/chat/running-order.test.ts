import type { Plan } from '../../../src/definition/plan.js';
import type { StepInstance } from '../../../src/engine/types.js';
import { inRunningOrder } from '../../../src/operations/step-order.js';
import { planOf } from '../../support/plans.js';

const plan: Plan = planOf({
  name: 'order',
  steps: [
    { id: 'first', type: 'set', values: { a: 1 } },
    {
      id: 'each',
      type: 'loop',
      over: [1, 2],
      steps: [
        { id: 'x', type: 'set', values: { a: 1 } },
        { id: 'y', type: 'set', values: { a: 1 } },
      ],
    },
    { id: 'last', type: 'set', values: { a: 1 } },
  ],
});
const at = (place: string): StepInstance => {
  const [way = '', attempt = '1'] = place.split('#');
  const slash = way.lastIndexOf('/');
  return { stepId: way.slice(slash + 1), iterationPath: slash < 0 ? '' : way.slice(0, slash), attempt: Number(attempt) };
};

describe('steps that began at one instant', () => {
  it('stand in the order in which they run: a container before what is in it, each pass as a whole, unknown ones last', () => {
    const expected = ['first', 'each', 'each:i2/x', 'each:i2/y', 'each:i10/x#1', 'each:i10/x#2', 'each:i10/y', 'last', 'gone'];
    const sorted = inRunningOrder(plan, expected.toReversed(), at);
    expect(sorted).toEqual(expected);
  });

  it('without a plan stand by path and attempt', () => {
    expect(inRunningOrder(undefined, ['b#2', 'b#1'], at)).toEqual(['b#1', 'b#2']);
  });
});
