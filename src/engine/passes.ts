/** What is evaluated when a pass of a loop has ended. The same for both kinds of loop. */
import { conditionAt, evaluateAt, forgetAnswers, type Place } from './expression.js';
import { StepFault } from './faults.js';
import type { BlockFrame, StepFrame } from './state.js';

/** `collect` decides the pass's result, `until` whether it was the last. @throws Suspended, StepFault (the pass fails) */
export function endPass(place: Place, block: BlockFrame, loop: StepFrame | undefined): void {
  const step = place.run.stepOf(block.owner);
  const { pass } = block;
  if (step.type !== 'loop' || pass === undefined || loop?.seed?.how === 'done') return;
  const collected = step.collect === undefined ? block.last : evaluateAt(place, { stepId: step.id, field: 'collect' }, step.collect);
  if (step.until !== undefined && mayEnd(loop, pass.index)) {
    try {
      if (conditionAt(place, { stepId: step.id, field: 'until' }, step.until)) pass.stop = true;
    } catch (thrown) {
      if (!(thrown instanceof StepFault)) throw thrown;
      pass.fault = thrown.error;
    }
  }
  block.last = collected;
  forgetAnswers(place.fiber);
}

/** A recorded pass with others behind it did not end the loop. */
function mayEnd(loop: StepFrame | undefined, index: number): boolean {
  const passes = (loop?.seed?.choice as { passes?: number } | null | undefined)?.passes;
  return passes === undefined || index >= passes - 1;
}
