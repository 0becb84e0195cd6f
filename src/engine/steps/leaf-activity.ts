/** Steps whose whole work is one activity: it records, the engine waits. */
import { isHostBound, type PlanStep } from '../../definition/runtime.js';
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
      return order(at, { name, ...queueOf(at.step), ...stepCall(at, inputSources(at.step), at.step.timeoutMs ?? null) });
    },
    ...ANSWERED_ONCE,
  };
}

const queueOf = (step: PlanStep): { readonly queue?: 'shell' } =>
  step.type === 'tool' && isHostBound(step.tool) ? { queue: 'shell' } : {};

/** The machine cancels and awaits the call itself: nothing else is left of such a step. */
export const ANSWERED_ONCE = {
  proceed: (): Next => WAIT,
  abort: () => 'gone' as const,
  answered: (at: At, result: Parameters<typeof endOf>[1]): Next => endOf(at, result),
};
