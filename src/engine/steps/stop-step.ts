import { NULL_VALUE, objectValue, type StopPlan, type Value } from '../../definition/runtime.js';
import { renderAt } from '../expression.js';
import { locate, stepError } from '../faults.js';
import { FiberReader } from '../reader.js';
import { type At, instanceOf } from '../run.js';
import { completed, ended, NEVER_WAITS, type StepHandler } from '../step-handler.js';
import type { ExecutionOutcome } from '../types.js';

/** Ends the run. In the clean-up of an ending it changes nothing: that end is decided. */
export const stopStep: StepHandler<StopPlan> = {
  begin: (at) => {
    const { run, step, frame } = at;
    const message = step.message === undefined ? null : textOf(renderAt(at, { stepId: step.id, field: 'message' }, step.message));
    const output = step.output === undefined ? null : renderAt(at, { stepId: step.id, field: 'output' }, step.output);
    frame.input = { v: { outcome: step.outcome, message } };
    if (run.state.ending !== null) return completed(NULL_VALUE);
    return ended({ ended: 'finishes', outcome: outcomeOf(at, message, output), error: null, output: NULL_VALUE, recorded: false });
  },
  ...NEVER_WAITS,
};

function outcomeOf(at: At<StopPlan>, message: string | null, output: Value | null): ExecutionOutcome {
  const base = { output: NULL_VALUE, error: null, reason: null, requested: false };
  switch (at.step.outcome) {
    case 'completed':
      return { ...base, status: 'completed', output: output ?? allOutputs(at), reason: message };
    case 'failed': {
      const error = locate(stepError('stopped', message ?? `Step ${at.step.id} stopped the run`), instanceOf(at.frame));
      return { ...base, status: 'failed', output: output ?? NULL_VALUE, error };
    }
    case 'cancelled':
      return { ...base, status: 'cancelled', output: output ?? NULL_VALUE, reason: message ?? 'stopped' };
  }
}

/** Without an output of its own the run's result is what a run gives by default, as the step sees it. */
function allOutputs({ run, fiber }: At): Value {
  const reader = new FiberReader(run, fiber);
  return objectValue(reader.names('outputs').map((name) => [name, reader.get('outputs', name) ?? NULL_VALUE] as const));
}

const textOf = ({ v }: Value): string | null => (v === null ? null : typeof v === 'string' ? v : JSON.stringify(v));
