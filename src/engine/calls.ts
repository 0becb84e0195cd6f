/** Ordering the activity that does a step's work, and reading its answer. */
import type { Expr, Template } from '../definition/runtime.js';
import { stepError } from './faults.js';
import { FiberReader, sliceFor } from './reader.js';
import { type At, instanceId, instanceOf } from './run.js';
import { cancelled, completed, failed, type Next, WAIT } from './step-handler.js';
import type { ActivityCommand, ActivityResult, StepAnswer } from './types.js';
import { activeUnwind } from './unwind.js';

type StepCall = Pick<Extract<ActivityCommand, { name: 'agent_prompt_v1' }>, 'instance' | 'stepType' | 'scope' | 'nowMs' | 'timeoutMs'>;

/** What every activity of a step is told: who it is, and only what its expressions name. */
export function stepCall(at: At, sources: readonly (Expr | Template)[], timeoutMs: number | null): StepCall {
  const { run, fiber, frame, step } = at;
  const scope = sliceFor(new FiberReader(run, fiber), sources);
  return { instance: instanceOf(frame), stepType: step.type, scope, nowMs: run.state.nowMs, timeoutMs };
}

export type Ordered = ActivityCommand extends infer C ? (C extends ActivityCommand ? Omit<C, 'kind' | 'id'> : never) : never;

/** Orders an activity for the fiber to wait on. `purpose` tells the activities of one attempt apart; '' is the main one. */
export function order(at: At, command: Ordered, purpose = ''): Next {
  const { run, fiber, frame } = at;
  if (fiber.call !== null) throw new Error(`Step ${frame.stepId} orders ${command.name} while ${fiber.call.id} is in flight`);
  const instance = instanceOf(frame);
  const id = instanceId(instance) + (purpose === '' ? '' : `:${purpose}`);
  run.state.calls[id] = { fiber: fiber.id, name: command.name, instance };
  fiber.call = { id, cancelSent: false };
  fiber.wait = { on: 'call' };
  run.order({ ...command, kind: 'activity', id });
  return WAIT;
}

/** The end that an activity's answer says, for a step whose activity records it. */
export function endOf(at: At, result: ActivityResult): Next {
  switch (result.of) {
    case 'step':
      return endOfAnswer(result.answer);
    case 'fault':
      return failed(result.error);
    case 'lost':
      return recover(at, result.timedOut);
    case 'gate':
    case 'child':
    case 'value':
    case 'values':
    case 'segment':
    case 'agent_open':
    case 'agent_turn':
    case 'agent_tool':
    case 'agent_close':
      return failed(stepError('internal_error', `The activity of ${at.step.id} gave an answer of another kind: ${result.of}`));
  }
}

function endOfAnswer(answer: StepAnswer): Next {
  switch (answer.ended) {
    case 'completed':
      return completed(answer.output, true);
    case 'failed':
      return failed(answer.error, true);
    case 'cancelled':
      return cancelled(true);
  }
}

/** Fences the lost attempt off; the row then says how it ended. A second loss is taken at its word. */
function recover(at: At, timedOut: boolean): Next {
  const { frame, step } = at;
  const settle: StepAnswer = lostAnswer(at, timedOut);
  if (frame.recovering === true) return endOfAnswer(settle);
  frame.recovering = true;
  return order(at, { name: 'recover', instance: instanceOf(frame), stepType: step.type, settle }, 'recover');
}

function lostAnswer({ run, fiber, step }: At, timedOut: boolean): StepAnswer {
  const at = run.state.nowMs;
  if (activeUnwind(fiber) !== undefined) return { ended: 'cancelled', at };
  if (timedOut)
    return {
      ended: 'failed',
      at,
      error: stepError('step_timeout', `Step ${step.id} gave no answer within its time limit`, { retryable: true }),
    };
  return { ended: 'failed', at, error: stepError('outcome_unknown', `Step ${step.id} was cut off; whether it took effect is not known`) };
}
