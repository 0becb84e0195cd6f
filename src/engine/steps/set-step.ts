import { objectValue, type SetPlan } from '../../definition/runtime.js';
import { renderAt } from '../expression.js';
import { put, scopeAt } from '../scopes.js';
import { noteGrowth } from '../store-values.js';
import { completed, NEVER_WAITS, type StepHandler } from '../step-handler.js';

/** All values see the state before the step: they are evaluated first, then assigned. */
export const setStep: StepHandler<SetPlan> = {
  begin: (at) => {
    const { run, fiber, step } = at;
    const values = step.values.map(
      ([name, template], index) => [name, renderAt(at, { stepId: step.id, field: 'values', index }, template)] as const,
    );
    const { variables } = scopeAt(run, fiber);
    for (const [name, value] of values) {
      noteGrowth(run.state, value);
      put(variables, name, value);
    }
    const output = objectValue(values);
    at.frame.input = output;
    return completed(output);
  },
  ...NEVER_WAITS,
};
