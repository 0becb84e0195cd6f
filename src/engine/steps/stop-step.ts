import { NULL_VALUE, type StopPlan, type Value } from '../../definition/runtime.js';
import { renderAt } from '../expression.js';
import { locate, stepError } from '../faults.js';
import { type At, instanceOf } from '../run.js';
import { ALL_OUTPUTS } from '../sites.js';
import { completed, ended, NEVER_WAITS, type StepHandler } from '../step-handler.js';
import type { ExecutionOutcome } from '../types.js';

/** Ends the run. In the clean-up of an ending it changes nothing: that end is decided. */
export const stopStep: StepHandler<StopPlan> = {
  begin: (at) => {
    const { run, step, frame } = at;
    const message = step.message === undefined ? null : textOf(renderAt(at, { stepId: step.id, field: 'message' }, step.message));
    // Without an output of its own a completed run's result is what a run gives by default, as the step sees it.
    const byDefault = step.outcome === 'completed' && run.state.ending === null ? ALL_OUTPUTS : undefined;
    const template = step.output ?? byDefault;
    const output = template === undefined ? NULL_VALUE : renderAt(at, { stepId: step.id, field: 'output' }, template);
    frame.input = { v: { outcome: step.outcome, message } };
    if (run.state.ending !== null) return completed(NULL_VALUE);
    return ended({ ended: 'finishes', outcome: outcomeOf(at, message, output), error: null, output: NULL_VALUE, recorded: false });
  },
  ...NEVER_WAITS,
};

function outcomeOf(at: At<StopPlan>, message: string | null, output: Value): ExecutionOutcome {
  const base = { output, error: null, reason: null, requested: false };
  switch (at.step.outcome) {
    case 'completed':
      return { ...base, status: 'completed', reason: message };
    case 'failed': {
      const error = locate(stepError('stopped', message ?? `Step ${at.step.id} stopped the run`), instanceOf(at.frame));
      return { ...base, status: 'failed', error };
    }
    case 'cancelled':
      return { ...base, status: 'cancelled', reason: message ?? 'stopped' };
  }
}

const textOf = ({ v }: Value): string | null => (v === null ? null : typeof v === 'string' ? v : JSON.stringify(v));
