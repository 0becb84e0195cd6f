import type { SwitchPlan } from '../../definition/runtime.js';
import { conditionAt } from '../expression.js';
import type { At } from '../run.js';
import type { Next, StepHandler } from '../step-handler.js';
import { AFTER_BRANCH, enterBranch, seededSlot } from './branching.js';

/** The first case that holds, else `default`, else none. Cases behind it are not evaluated. */
export const switchStep: StepHandler<SwitchPlan> = {
  begin: (at) => {
    const { step } = at;
    const seeded = seededSlot(at);
    if (seeded !== undefined) return take(at, seeded);
    const index = step.cases.findIndex((one, index) => conditionAt(at, { stepId: step.id, field: 'case', index }, one.when));
    return take(at, index >= 0 ? `c${index}` : step.default === undefined ? null : 'default');
  },
  ...AFTER_BRANCH,
};

function take(at: At<SwitchPlan>, slot: string | null): Next {
  const chosen = slot === null || slot === 'default' ? slot : Number(slot.slice(1));
  return enterBranch(at, slot, { v: { case: chosen } });
}
