/** Steps whose whole work is one activity: it records, the engine waits. */
import type { PlanStep } from '../../definition/runtime.js';
import { endOf, order, stepCall } from '../calls.js';
import type { At } from '../run.js';
import type { Next, StepHandler } from '../step-handler.js';
import { WAIT } from '../step-handler.js';
import { inputSources } from '../step-input.js';

type LeafName = 'tool' | 'bash' | 'notify';

/** The handler of a step type that is one activity of the same name. The step's own time limit is kept in the activity. */
export function leafActivity<S extends PlanStep>(name: LeafName): StepHandler<S> {
  return {
    begin: (at) => {
      at.frame.started = true;
      return order(at, { name, ...stepCall(at, inputSources(at.step), at.step.timeoutMs ?? null) });
    },
    ...ANSWERED_ONCE,
  };
}

/** The machine cancels and awaits the call itself: nothing else is left of such a step. */
export const ANSWERED_ONCE = {
  proceed: (): Next => WAIT,
  abort: () => 'gone' as const,
  answered: (at: At, result: Parameters<typeof endOf>[1]): Next => endOf(at, result),
};
