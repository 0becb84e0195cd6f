import { isLarge, objectValue, type SetPlan, type Value } from '../../definition/runtime.js';
import { answerAt, orderEvaluation, renderAt } from '../expression.js';
import { FiberReader, sliceFor } from '../reader.js';
import type { At } from '../run.js';
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
    const output = wholeOf(at, values);
    const { variables } = scopeAt(run, fiber);
    for (const [name, value] of values) {
      noteGrowth(run.state, value);
      put(variables, name, value);
    }
    at.frame.input = output;
    return completed(output);
  },
  ...NEVER_WAITS,
};

/** All of them as the step's output; what is large together is made where it can be stored. @throws Suspended */
function wholeOf(at: At<SetPlan>, values: readonly (readonly [string, Value])[]): Value {
  const { run, fiber, step } = at;
  const site = { stepId: step.id, field: 'values' } as const;
  const answered = answerAt(at, site);
  if (answered !== undefined) return answered;
  const output = objectValue(values);
  if (!isLarge(output)) return output;
  return orderEvaluation(
    at,
    site,
    sliceFor(
      new FiberReader(run, fiber),
      step.values.map(([, template]) => template),
    ),
  );
}
