/** The passes of a loop, as blocks: their item, and what is evaluated when one has ended. The same for both kinds of loop. */
import { wholeRefOf } from '../definition/runtime.js';
import { answerAt, conditionAt, evaluateAt, forgetAnswers, orderEvaluation, type Place } from './expression.js';
import { StepFault } from './faults.js';
import type { BlockFrame, LoopData, StepFrame } from './state.js';

/** An item of a list by reference is read by index when the pass begins. @throws Suspended, StepFault */
export function fetchItem(place: Place, block: BlockFrame, loop: StepFrame | undefined): void {
  const { pass } = block;
  const list = (loop?.data as LoopData | undefined)?.list;
  if (pass === undefined || pass.item !== undefined || list === null || list === undefined || wholeRefOf(list) === undefined) return;
  const site = { stepId: block.owner, field: 'item', index: pass.index } as const;
  pass.item = answerAt(place, site) ?? orderEvaluation(place, site, { loop: { list } });
  forgetAnswers(place.fiber);
}

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
