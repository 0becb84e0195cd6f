import type { ConditionalPlan } from '../../definition/runtime.js';
import { conditionAt } from '../expression.js';
import type { At } from '../run.js';
import type { Next, StepHandler } from '../step-handler.js';
import { AFTER_BRANCH, enterBranch, seededSlot } from './branching.js';

export const conditionalStep: StepHandler<ConditionalPlan> = {
  begin: (at) => {
    const { step } = at;
    const seeded = seededSlot(at);
    if (seeded !== undefined) return take(at, seeded === 'then');
    return take(at, conditionAt(at, { stepId: step.id, field: 'condition' }, step.condition));
  },
  ...AFTER_BRANCH,
};

function take(at: At<ConditionalPlan>, condition: boolean): Next {
  const branch = condition ? 'then' : at.step.else === undefined ? null : 'else';
  return enterBranch(at, branch, { v: { condition, branch } });
}
