/** Steps that run one of their blocks in the parent's scope: conditional and switch. */
import { innerPath, type Value } from '../../definition/runtime.js';
import { blockOf } from '../plan-index.js';
import type { At } from '../run.js';
import { newBlock, type BlockFrame, type BranchingData } from '../state.js';
import { type BlockEnd, completed, failed, type Next, ON, WAIT } from '../step-handler.js';
import { tellStarted } from '../tell.js';

/** What a rerun knows of the branch that was taken. */
export function seededSlot({ frame }: At): string | null | undefined {
  const choice = frame.seed?.choice as { slot?: string | null } | null | undefined;
  return choice?.slot;
}

export function enterBranch(at: At, slot: string | null, output: Value): Next {
  const { run, fiber, frame, step } = at;
  frame.data = { type: 'branching', output, slot };
  tellStarted(at);
  if (slot === null || blockOf(run.plan, step.id, slot).length === 0) return completed(output);
  fiber.frames.push(newBlock({ owner: step.id, slot, path: innerPath(frame.path, step.id, slot), base: frame.childBase }));
  return ON;
}

export const AFTER_BRANCH = {
  proceed: (): Next => WAIT,
  abort: () => 'gone' as const,
  blockEnded: ({ frame }: At, _block: BlockFrame, end: BlockEnd): Next =>
    end.ended === 'failed' ? failed(end.error) : completed((frame.data as BranchingData).output),
};
