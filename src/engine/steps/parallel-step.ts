import { innerPath, type ParallelPlan } from '../../definition/runtime.js';
import { abortChildren, spawn } from '../fibers.js';
import { stepError } from '../faults.js';
import { joinThreads } from '../agent/threads.js';
import type { At } from '../run.js';
import { emptyScope, mergeScope, scopeAt } from '../scopes.js';
import { type BranchData, type FiberEnd, newBlock, type ParallelData } from '../state.js';
import { type Aborted, completed, failed, type Next, ON, type StepHandler, WAIT } from '../step-handler.js';
import { tellStarted } from '../tell.js';

/**
 * One fiber per branch, each with an overlay of its own: a branch sees the outputs as they were. Completed branches merge in
 * author order once all have ended, whichever way the step ends; failed and cancelled ones merge nothing.
 */
export const parallelStep: StepHandler<ParallelPlan> = { begin, proceed, abort, childEnded };

function begin(at: At<ParallelPlan>): Next {
  const { frame, step } = at;
  const data: ParallelData = { type: 'parallel', branches: [], successes: 0, decided: null, error: null };
  frame.data = data;
  tellStarted(at);
  data.branches = step.branches.map((_branch, index) => startBranch(at, index));
  return ON;
}

function startBranch(at: At<ParallelPlan>, index: number): BranchData {
  const slot = `b${index}`;
  const path = innerPath(at.frame.path, at.step.id, slot);
  const fiber = spawn(at, index, newBlock({ owner: at.step.id, slot, path, base: at.frame.childBase, scope: emptyScope() }));
  return { status: 'running', fiber, scope: null, error: null };
}

function wait({ fiber }: At): Next {
  fiber.wait = { on: 'children' };
  return WAIT;
}

/** Only takes note; what follows is decided when the step goes on, as a pause may come between. */
function childEnded({ frame }: At<ParallelPlan>, slot: number, end: FiberEnd): void {
  const data = dataOf(frame);
  const branch = data.branches[slot];
  if (branch === undefined) return;
  // A loser that ends all the same merges nothing: the race was over.
  branch.status = data.decided === null ? end.ended : 'cancelled';
  branch.fiber = null;
  if (branch.status === 'completed' && end.ended === 'completed') {
    branch.scope = end.scope;
    data.successes += 1;
  }
  if (branch.status === 'failed' && end.ended === 'failed') branch.error = end.error;
  if (data.decided === null) data.error = branch.error ?? data.error;
}

function proceed(at: At<ParallelPlan>): Next {
  const data = dataOf(at.frame);
  if (at.frame.seed?.how !== 'done') decide(at, data);
  if (isAnyRunning(data)) return wait(at);
  merge(at, data);
  if (data.decided === 'failed') return failed(data.error ?? stepError('internal_error', `Not enough branches of ${at.step.id} completed`));
  return completed({
    v: { branches: Object.fromEntries(at.step.branches.map(({ id }, index) => [id, data.branches[index]?.status ?? 'cancelled'])) },
  });
}

/** Settles the race at most once, and takes down who lost it. */
function decide(at: At<ParallelPlan>, data: ParallelData): void {
  if (data.decided !== null) return;
  data.decided = at.step.wait === 'all' ? decideAll(at.step, data) : decideFirst(at.step.wait, data);
  if (data.decided !== null) abortChildren(at, runningFibers(data));
}

function decideAll(step: ParallelPlan, data: ParallelData): ParallelData['decided'] {
  if (step.onBranchError === 'fail' && data.error !== null) return 'failed';
  return isAnyRunning(data) ? null : 'completed';
}

/** `wait` any or n: the first successes win; too few left to reach n is a failure with the error that made it so. */
function decideFirst(wanted: number, data: ParallelData): ParallelData['decided'] {
  const enough = Math.min(wanted, data.branches.length);
  if (data.successes >= enough) return 'completed';
  const possible = data.branches.filter(({ status }) => status === 'running' || status === 'completed').length;
  return possible < enough ? 'failed' : null;
}

function abort(at: At<ParallelPlan>): Aborted {
  if (at.frame.data === null) return 'gone';
  const data = dataOf(at.frame);
  abortChildren(at, runningFibers(data));
  if (!isAnyRunning(data)) {
    merge(at, data);
    return 'gone';
  }
  at.fiber.wait = { on: 'children' };
  return 'waiting';
}

/** In author order, so that the later branch wins whichever finished first. */
function merge({ run, fiber, frame }: At, data: ParallelData): void {
  const recorded = (frame.seed?.choice as { branches?: string[] } | null | undefined)?.branches;
  const into = scopeAt(run, fiber);
  data.branches.forEach((branch, index) => {
    if (frame.seed?.how === 'done' && recorded !== undefined && recorded[index] !== 'completed') return;
    if (branch.scope !== null) {
      mergeScope(into, branch.scope);
      joinThreads(into, branch.scope.threads);
    }
    branch.scope = null;
  });
}

const dataOf = (frame: At['frame']): ParallelData => frame.data as ParallelData;
const runningFibers = (data: ParallelData): string[] => data.branches.map(({ fiber }) => fiber).filter((id) => id !== null);
const isAnyRunning = (data: ParallelData): boolean => data.branches.some(({ status }) => status === 'running');
