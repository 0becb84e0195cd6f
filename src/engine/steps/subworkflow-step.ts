import type { SubworkflowPlan } from '../../definition/runtime.js';
import { order, stepCall } from '../calls.js';
import { asJson, stepError } from '../faults.js';
import { type At, instanceId, instanceOf } from '../run.js';
import type { ChildData, ChildEnd } from '../state.js';
import { type Aborted, cancelled, completed, failed, type Next, type StepHandler, WAIT } from '../step-handler.js';
import { inputSources } from '../step-input.js';
import { tellStarted, tellStep } from '../tell.js';
import type { ActivityResult } from '../types.js';
import { activeUnwind, armCleanup } from '../unwind.js';

/** A child execution: prepared by an activity (version pinned, row inserted), then started, then awaited. Its events are the engine's. */
export const subworkflowStep: StepHandler<SubworkflowPlan> = {
  begin: (at) => {
    const { run, frame, step } = at;
    frame.data = { type: 'child', executionId: null, started: false, cancelSent: false };
    frame.input = { v: { workflow: step.workflow, version: step.version ?? null } };
    tellStarted(at);
    const depth = run.state.execution.depth + 1;
    const { maxDepth } = run.plan.constraints;
    if (depth >= maxDepth)
      return failed(stepError('depth_exceeded', `More than ${maxDepth} executions in a chain`, { details: { maxDepth } }));
    return order(at, { name: 'prepare_child', depth, ...stepCall(at, inputSources(step), null) });
  },
  proceed: () => WAIT,
  answered: (at, result) => prepared(at, result),
  childStarted,
  childExecutionEnded,
  abort,
};

const dataOf = ({ frame }: At): ChildData => frame.data as ChildData;

function prepared(at: At<SubworkflowPlan>, result: ActivityResult): Next {
  switch (result.of) {
    case 'child':
      dataOf(at).executionId = result.executionId;
      dropStrayEnds(at, result.executionId);
      return activeUnwind(at.fiber) === undefined ? start(at, result.executionId) : WAIT;
    case 'step':
      return result.answer.ended === 'failed' ? failed(result.answer.error) : cancelled();
    case 'fault':
      return failed(result.error);
    case 'lost':
      return activeUnwind(at.fiber) === undefined ? unprepared(at) : cancelled();
    case 'gate':
    case 'value':
    case 'values':
    case 'segment':
    case 'agent_open':
    case 'agent_turn':
    case 'agent_tool':
    case 'agent_close':
      return unprepared(at);
  }
}

const unprepared = ({ step }: At): Next =>
  failed(stepError('internal_error', `The child of ${step.id} could not be prepared`, { retryable: true }));

/** Ends that came early are kept only while some child that is being prepared may be theirs. */
function dropStrayEnds({ run }: At, executionId: string): void {
  const { state } = run;
  if (Object.values(state.calls).some(({ name }) => name === 'prepare_child')) return;
  state.earlyEnds = Object.fromEntries(
    Object.entries(state.earlyEnds).filter(([id]) => id === executionId || Object.hasOwn(state.children, id)),
  );
}

function start({ run, fiber, frame }: At, executionId: string): Next {
  const instance = instanceOf(frame);
  const id = `${instanceId(instance)}:child`;
  run.state.calls[id] = { fiber: fiber.id, name: 'start_child', instance };
  run.state.children[executionId] = fiber.id;
  fiber.call = { id, cancelSent: false };
  fiber.wait = { on: 'child_start' };
  run.order({ kind: 'start_child', id, executionId, instance });
  return WAIT;
}

function childStarted(at: At<SubworkflowPlan>): Next {
  const { run, fiber, step } = at;
  const data = dataOf(at);
  const executionId = data.executionId ?? '';
  data.started = true;
  if (!step.await) return completed(forget(at, { v: { executionId } }));
  const early = run.state.earlyEnds[executionId];
  if (early !== undefined) return childExecutionEnded(at, early);
  tellStep(at, 'step.waiting', { for: 'child', executionId });
  fiber.wait = { on: 'child', executionId };
  return WAIT;
}

function childExecutionEnded(at: At<SubworkflowPlan>, { status, output, error }: ChildEnd): Next {
  const data = dataOf(at);
  const executionId = data.executionId ?? '';
  forget(at, null);
  if (status === 'completed') return completed(output);
  if (data.cancelSent) return cancelled();
  const details = { executionId, status, error: error === null ? null : asJson(error) };
  return failed(
    stepError('subworkflow_failed', `Child execution ${executionId} ended ${status}${error === null ? '' : `: ${error.message}`}`, {
      details,
    }),
  );
}

/** Nobody waits for the child any more. @returns `value` */
function forget<T>({ run, frame }: At, value: T): T {
  const { executionId } = frame.data as ChildData;
  delete run.state.children[executionId ?? ''];
  delete run.state.earlyEnds[executionId ?? ''];
  return value;
}

/** Cancel passes down to an awaited child, which has the rest of the clean-up's minute. */
function abort(at: At<SubworkflowPlan>): Aborted {
  if (at.frame.data === null) return 'gone';
  const { run, fiber } = at;
  const data = dataOf(at);
  const { executionId } = data;
  if (executionId === null) return 'gone';
  if (!data.cancelSent)
    run.order({ kind: 'cancel_child', executionId, reason: run.state.ending?.outcome.reason ?? 'parent_step_cancelled' });
  data.cancelSent = true;
  const unwind = activeUnwind(fiber);
  if (!data.started || unwind === undefined || unwind.hard) return forget(at, 'gone');
  armCleanup(run, fiber, unwind.deadline);
  fiber.wait = { on: 'child', executionId };
  return 'waiting';
}
