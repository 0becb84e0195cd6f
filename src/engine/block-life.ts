/** A block of steps: enters them one after the other, ends, and hands its end to the container, or ends its fiber. */
import type { PlanStep, Value } from '../definition/runtime.js';
import { afterEnding, beginEnding, countCleanupStep } from './ending.js';
import { renderAt } from './expression.js';
import { stepError } from './faults.js';
import { handlerOf } from './handlers.js';
import { endPass } from './passes.js';
import { park } from './pause.js';
import { blockOf } from './plan-index.js';
import type { At, Run } from './run.js';
import { ownerFrame } from './scopes.js';
import { leavesSegment } from './segment/bounds.js';
import { isInsideSeeded, takeSeed } from './seeded-entry.js';
import { ALL_OUTPUTS } from './sites.js';
import type { BlockFrame, Fiber, StepFrame } from './state.js';
import type { BlockEnd } from './step-handler.js';
import type { StepError } from './types.js';
import { applyNext } from './apply-next.js';
import { isCleanup } from './unwind.js';

/** @returns whether the fiber goes on */
export function goOnBlock(run: Run, fiber: Fiber, block: BlockFrame): boolean {
  if (run.state.paused) return park(run, fiber);
  const step = blockOf(run.plan, block.owner, block.slot)[block.index];
  if (leavesSegment(run, fiber, step)) return park(run, fiber);
  return step === undefined ? endBlock(run, fiber, block) : enterStep(run, fiber, block, step);
}

function enterStep(run: Run, fiber: Fiber, block: BlockFrame, step: PlanStep): boolean {
  const seed = takeSeed(run, block.path, step.id);
  if (seed === undefined && isInsideSeeded(run, fiber)) return haltSeeded(run, fiber);
  run.budget -= 1;
  if (seed === undefined && !countStep(run, fiber)) return afterEnding(fiber);
  const first = seed === undefined ? block.base + 1 : seed.attempt;
  const frame: StepFrame = {
    k: 'step',
    stepId: step.id,
    path: block.path,
    attempt: first,
    first,
    childBase: block.base,
    high: 0,
    phase: 'enter',
    started: false,
    data: null,
    end: null,
    told: false,
    timer: null,
  };
  fiber.frames.push(seed === undefined ? frame : { ...frame, seed });
  return true;
}

/** Containers count, attempts do not; a clean-up has steps of its own. */
function countStep(run: Run, fiber: Fiber): boolean {
  const { state } = run;
  if (state.ending !== null) return countCleanupStep(run);
  state.steps += 1;
  if (state.segment !== undefined) state.segment.stepsLeft -= 1;
  const { maxSteps } = run.plan.constraints;
  if (state.steps <= maxSteps || isCleanup(run, fiber)) return true;
  const error = stepError('max_steps_exceeded', `The run entered more than ${maxSteps} steps`, { details: { maxSteps } });
  beginEnding(run, { status: 'failed', output: { v: null }, error, reason: null, requested: false });
  return false;
}

/** The container's record says how it ended; this step of it never did. */
function haltSeeded(run: Run, fiber: Fiber): boolean {
  const block = fiber.frames.pop() as BlockFrame;
  const owner = fiber.frames.at(-1);
  if (owner?.k === 'step') owner.phase = 'ended';
  else fiber.end = { ended: 'cancelled', high: block.high };
  return true;
}

function endBlock(run: Run, fiber: Fiber, block: BlockFrame): boolean {
  if (block.owner === '') return endRoot(run, fiber, block);
  if (block.pass !== undefined) endPass({ run, fiber }, block, ownerFrame(run, fiber, fiber.frames.length - 1));
  return closeBlock(run, fiber, { ended: 'completed', output: block.last });
}

function endRoot(run: Run, fiber: Fiber, block: BlockFrame): boolean {
  const scope = block.scope ?? { variables: {}, outputs: {} };
  const value = renderAt({ run, fiber }, { stepId: '', field: 'output' }, run.plan.output ?? ALL_OUTPUTS);
  fiber.frames.pop();
  fiber.end = { ended: 'completed', output: value, scope, high: block.high, stop: false, fault: null };
  return true;
}

/** The block on top has failed: a step of it, or an expression of the pass that it is. */
export function failBlock(run: Run, fiber: Fiber, error: StepError): boolean {
  return closeBlock(run, fiber, { ended: 'failed', error });
}

function closeBlock(run: Run, fiber: Fiber, end: BlockEnd): boolean {
  const block = fiber.frames.pop() as BlockFrame;
  const owner = fiber.frames.at(-1);
  if (owner === undefined) {
    fiber.end = end.ended === 'failed' ? { ...end, high: block.high } : completedFiber(block, end.output);
    return true;
  }
  if (owner.k !== 'step') throw new Error(`Block ${block.owner}:${block.slot} stands on no step`);
  owner.high = Math.max(owner.high, block.high);
  const at: At = { run, fiber, frame: owner, step: run.stepOf(owner.stepId) };
  const handler = handlerOf(at);
  if (handler.blockEnded === undefined) throw new Error(`${at.step.type} has no blocks`);
  return applyNext(at, handler.blockEnded(at, block, end));
}

function completedFiber(block: BlockFrame, output: Value): Fiber['end'] {
  const { scope = { variables: {}, outputs: {} }, high, pass } = block;
  return { ended: 'completed', output, scope, high, stop: pass?.stop === true, fault: pass?.fault ?? null };
}
