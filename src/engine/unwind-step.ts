/** One move of taking a fiber down: the top frame goes, or is waited for. */
import { handlerOf } from './handlers.js';
import { publish } from './publish.js';
import type { At, Run } from './run.js';
import type { Fiber, Frame, StepFrame, Unwind } from './state.js';
import { leave, tellEnd } from './step-life.js';
import { tellCancelled } from './tell.js';
import { dropTimer } from './timers.js';
import { activeUnwind, dropUnwind } from './unwind.js';

/** These do not take long and their answer is needed: what they have opened or started has to be closed. They are waited for. */
const NOT_CANCELLED = new Set(['open_gate', 'expire_gate', 'recover', 'prepare_child', 'start_child', 'store']);

/** @returns whether the fiber goes on */
export function unwindOnce(run: Run, fiber: Fiber, unwind: Unwind): boolean {
  if (fiber.call !== null) return cancelCall(run, fiber);
  const frame = fiber.frames.at(-1);
  if (frame === undefined) throw new Error(`Fiber ${fiber.id} has no frame to take down`);
  if (frame.k === 'block') {
    dropBlock(fiber);
    return true;
  }
  const at: At = { run, fiber, frame, step: run.stepOf(frame.stepId) };
  if (frame.end === null && isAtWork(frame)) {
    const aborted = handlerOf(at).abort(at);
    if (aborted !== 'gone') return aborted === 'on';
  }
  return fiber.frames.length - 1 === unwind.depth ? failTarget(at, unwind) : takeOff(at);
}

const isAtWork = (frame: StepFrame): boolean => frame.phase === 'run' || frame.phase === 'begin';

/** Asks once, waits for the answer always. */
function cancelCall(run: Run, fiber: Fiber): false {
  const { call } = fiber;
  if (call === null) return false;
  if (!call.cancelSent && !NOT_CANCELLED.has(run.state.calls[call.id]?.name ?? '')) {
    call.cancelSent = true;
    run.order({ kind: 'cancel_activity', id: call.id });
  }
  fiber.wait = { on: 'call' };
  return false;
}

/** A pass's overlay goes with its block: failed and cancelled passes leave nothing behind. The bottom block takes its fiber along. */
function dropBlock(fiber: Fiber): void {
  const block = fiber.frames.pop() as Frame;
  const owner = fiber.frames.at(-1);
  if (owner?.k === 'step') owner.high = Math.max(owner.high, block.high);
  else fiber.end = { ended: 'cancelled', high: block.high };
}

/** The step that the unwinding was for fails with its error, unless its row says that it had completed. */
function failTarget(at: At, unwind: Unwind): boolean {
  const { run, fiber, frame } = at;
  dropUnwind(run, fiber, unwind);
  if (activeUnwind(fiber) !== undefined || unwind.error === null) return true;
  if (frame.end?.ended !== 'completed') frame.end = { ended: 'failed', error: unwind.error, recorded: false };
  frame.phase = 'ended';
  return true;
}

/** Completed stays completed; everything else that has begun is cancelled, told once. */
function takeOff(at: At): boolean {
  const { run, frame } = at;
  const { end } = frame;
  dropTimer(run, frame.timer);
  frame.timer = null;
  if (end === null) {
    if (frame.started && frame.phase !== 'delay') tellCancelled(at);
  } else tellEnd(at, end);
  if (end?.ended === 'completed') publish(at, end.output);
  return leave(at, undefined);
}
