import { type ApprovalPlan, NULL_VALUE, objectValue } from '../../definition/runtime.js';
import { endOf, order, stepCall } from '../calls.js';
import { locate, stepError } from '../faults.js';
import { type At, instanceId, instanceOf } from '../run.js';
import type { GateData } from '../state.js';
import { type Aborted, cancelled, completed, ended, failed, type Next, type StepHandler, WAIT } from '../step-handler.js';
import { inputSources } from '../step-input.js';
import { armTimer, dropTimer } from '../timers.js';
import type { ActivityResult, GateOutcome } from '../types.js';
import { isCleanup } from '../unwind.js';

/** The row decides; the engine opens it, keeps its deadline, and acts on what it says. Gates do not open in a clean-up. */
export const approvalStep: StepHandler<ApprovalPlan> = {
  begin: (at) => {
    const { run, fiber, frame, step } = at;
    if (isCleanup(run, fiber)) return ended({ ended: 'passed_over', reason: 'Gates do not open while a run cleans up', recorded: false });
    const deadlineAt = run.state.nowMs + step.deadlineMs;
    frame.data = { type: 'gate', approvalId: null, deadlineAt, timer: null, gate: null, closing: false, losses: 0 };
    frame.started = true;
    return order(at, { name: 'open_gate', deadlineAt, ...stepCall(at, inputSources(step), null) });
  },
  proceed: () => WAIT,
  answered: (at, result) => (dataOf(at).approvalId === null ? opened(at, result) : closed(at, result)),
  gate: (at, gate) => (at.fiber.call === null ? settle(at, gate) : remember(at, gate)),
  timer: (at) => {
    dataOf(at).timer = null;
    // It may be closing already.
    return at.fiber.call === null ? close(at, 'expired') : WAIT;
  },
  abort: (at): Aborted => {
    if (at.frame.data === null || dataOf(at).approvalId === null) return 'gone';
    const data = dataOf(at);
    // Closed before it was open: its row said so, and there is nothing to close.
    if (data.gate !== null && data.gate.status !== 'pending') return 'gone';
    dropTimer(at.run, data.timer);
    data.timer = null;
    data.closing = true;
    close(at, 'cancelled');
    return 'waiting';
  },
};

const dataOf = ({ frame }: At): GateData => frame.data as GateData;

function opened(at: At<ApprovalPlan>, result: ActivityResult): Next {
  if (result.of !== 'gate') return endOf(at, result);
  const { run, fiber, frame } = at;
  const { gate } = result;
  const data = dataOf(at);
  data.approvalId = gate.approvalId;
  if (gate.status !== 'pending') return settle(at, gate);
  run.state.gates[gate.approvalId] = fiber.id;
  const instance = instanceOf(frame);
  data.timer = armTimer(
    run,
    { fiber: fiber.id, frame: fiber.frames.length - 1, purpose: 'gate', at: data.deadlineAt, instance },
    `${instanceId(instance)}:deadline`,
  );
  return waitForDecision(at, gate.approvalId);
}

function waitForDecision({ fiber }: At, approvalId: string): Next {
  fiber.wait = { on: 'gate', approvalId };
  return WAIT;
}

function remember(at: At, gate: GateOutcome): Next {
  dataOf(at).gate = gate;
  return WAIT;
}

/** Asks the row to close; whoever was first, its answer says. */
function close(at: At<ApprovalPlan>, to: 'expired' | 'cancelled'): Next {
  const { run, frame } = at;
  const approvalId = dataOf(at).approvalId ?? '';
  return order(at, { name: 'expire_gate', instance: instanceOf(frame), approvalId, to }, `expire.${run.nextId()}`);
}

const MAX_LOSSES = 3;

function closed(at: At<ApprovalPlan>, result: ActivityResult): Next {
  const data = dataOf(at);
  const gate = result.of === 'gate' ? result.gate : data.gate;
  if (gate !== null && gate.status !== 'pending') return settle(at, gate);
  data.losses += 1;
  if (data.losses < MAX_LOSSES) return close(at, data.closing ? 'cancelled' : 'expired');
  return data.closing ? cancelled() : failed(stepError('internal_error', `The gate of ${at.step.id} could not be closed`));
}

function settle(at: At<ApprovalPlan>, gate: GateOutcome): Next {
  const { run } = at;
  const data = dataOf(at);
  data.approvalId = gate.approvalId;
  data.gate = gate;
  dropTimer(run, data.timer);
  data.timer = null;
  delete run.state.gates[gate.approvalId];
  if (gate.status === 'approved') return completed(outputOf(gate, 'approved'));
  if (data.closing) return cancelled();
  switch (gate.status) {
    case 'pending':
      return waitForDecision(at, gate.approvalId);
    case 'denied':
      return denied(at, gate);
    case 'expired':
      return expired(at, gate);
    case 'cancelled':
      // A cancelled row is the first half of a cancel of the run: the input follows.
      at.fiber.wait = { on: 'cancel' };
      return WAIT;
  }
}

function outputOf({ decidedBy, decidedAt, reason, answer }: GateOutcome, decision: 'approved' | 'denied') {
  return objectValue([
    ['decision', { v: decision }],
    ['decidedBy', { v: decidedBy }],
    ['decidedAt', { v: decidedAt }],
    ['reason', { v: reason }],
    ['answer', answer],
  ]);
}

function denied(at: At<ApprovalPlan>, gate: GateOutcome): Next {
  const details = { approvalId: gate.approvalId, decidedBy: gate.decidedBy, reason: gate.reason };
  const error = locate(stepError('approval_denied', `Approval ${at.step.id} was denied`, { details }), instanceOf(at.frame));
  switch (at.step.onDeny) {
    case 'continue':
      return completed(outputOf(gate, 'denied'));
    case 'fail':
      return failed(error);
    case 'cancel':
      return ended({
        ended: 'finishes',
        error,
        output: NULL_VALUE,
        recorded: false,
        outcome: { status: 'cancelled', output: NULL_VALUE, error: null, reason: 'approval_denied', requested: false },
      });
  }
}

function expired(at: At<ApprovalPlan>, gate: GateOutcome): Next {
  if (at.step.onTimeout === 'deny') return denied(at, { ...gate, decidedBy: [] });
  return failed(
    stepError('approval_expired', `Nobody decided approval ${at.step.id} in time`, { details: { approvalId: gate.approvalId } }),
  );
}
