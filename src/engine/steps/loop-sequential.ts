/** Passes one after the other, each on an overlay that becomes the outer scope's when the pass completes and is dropped when it fails. */
import { innerPath, type LoopPlan, type Value } from '../../definition/runtime.js';
import { joinThreads } from '../agent/threads.js';
import type { At } from '../run.js';
import { emptyScope, mergeScope, scopeAt } from '../scopes.js';
import { type BlockFrame, type LoopData, newBlock } from '../state.js';
import { type BlockEnd, failed, type Next, ON } from '../step-handler.js';
import { noteGrowth } from '../store-values.js';
import { failedItem, passOf } from './loop-item.js';

export function startPass({ run, fiber, frame, step }: At<LoopPlan>, data: LoopData, item: Value | undefined): Next {
  const index = data.next;
  data.next += 1;
  // Its steps count; a pass without any costs like one, so that a loop with an empty body is cut into chunks too.
  if (step.steps.length === 0) run.budget -= 1;
  const path = innerPath(frame.path, step.id, `i${index}`);
  fiber.frames.push(newBlock({ owner: step.id, slot: 'i', path, base: frame.childBase, scope: emptyScope(), pass: passOf(index, item) }));
  return ON;
}

export function passEnded({ run, fiber, step }: At<LoopPlan>, data: LoopData, block: BlockFrame, end: BlockEnd): Next {
  if (end.ended === 'failed') {
    if (step.onItemError === 'fail') return failed(end.error);
    data.failed += 1;
    data.results.push(failedItem(end.error));
    return ON;
  }
  if (block.scope !== undefined) {
    const into = scopeAt(run, fiber);
    mergeScope(into, block.scope, [step.itemVar, step.indexVar]);
    joinThreads(into, block.scope.threads);
  }
  noteGrowth(run.state, end.output);
  data.results.push(end.output);
  data.stop ||= block.pass?.stop === true;
  data.error = block.pass?.fault ?? null;
  return ON;
}
