/** Runs the fibers that can go on, first come first served, until all are blocked or the call's budget is used up. */
import { failBlock, goOnBlock } from './block-life.js';
import { topFrame } from './expression.js';
import { locate, StepFault, Suspended } from './faults.js';
import { endFiber } from './fiber-end.js';
import { park } from './pause.js';
import type { Run } from './run.js';
import { isSegmentsOwn } from './segment/bounds.js';
import type { BlockFrame, Fiber } from './state.js';
import { goOnStep } from './step-life.js';
import type { StepError } from './types.js';
import { activeUnwind } from './unwind.js';
import { unwindOnce } from './unwind-step.js';

export function runReady(run: Run): void {
  const { state } = run;
  while (!state.finished && run.budget > 0) {
    const id = state.ready.shift();
    if (id === undefined) return;
    const fiber = run.fiber(id);
    if (fiber !== undefined) runFiber(run, fiber);
  }
}

function runFiber(run: Run, fiber: Fiber): void {
  while (stepFiber(run, fiber)) {
    if (run.budget > 0) continue;
    run.state.ready.unshift(fiber.id);
    return;
  }
}

/** @returns whether the fiber goes on; else it waits (its `wait` says on what) or is gone */
function stepFiber(run: Run, fiber: Fiber): boolean {
  try {
    return goOn(run, fiber);
  } catch (thrown) {
    if (thrown instanceof Suspended) return false;
    if (thrown instanceof StepFault) return failTop(run, fiber, thrown.error);
    throw thrown;
  }
}

function goOn(run: Run, fiber: Fiber): boolean {
  if (fiber.end !== null) return isSegmentsOwn(run, fiber) ? park(run, fiber) : endFiber(run, fiber);
  const unwind = activeUnwind(fiber);
  if (unwind !== undefined) return unwindOnce(run, fiber, unwind);
  if (fiber.call !== null) return waitForCall(fiber);
  const top = topFrame(fiber);
  return top.k === 'block' ? goOnBlock(run, fiber, top) : goOnStep(run, fiber, top);
}

/** Woken by something else meanwhile: the answer comes first. */
function waitForCall(fiber: Fiber): false {
  fiber.wait = { on: 'call' };
  return false;
}

/** An expression failed: of the step on top, or of the pass (or root) that the block on top is. */
function failTop(run: Run, fiber: Fiber, error: StepError): boolean {
  const top = topFrame(fiber);
  if (top.k === 'block') return failBlock(run, fiber, placed(top, error));
  delete top.answers;
  top.end = { ended: 'failed', error, recorded: false };
  top.phase = 'ended';
  return true;
}

function placed(block: BlockFrame, error: StepError): StepError {
  return block.owner === '' ? error : locate(error, { stepId: block.owner, iterationPath: block.path, attempt: 1 });
}
