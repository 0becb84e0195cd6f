/**
 * Passes at once, up to `concurrency`. Each sees the outputs as they were when the loop began. What completed passes wrote is
 * kept once per name, the highest pass winning, and becomes the outer scope's when the loop ends: memory does not grow with the passes.
 */
import { innerPath, type LoopPlan, NULL_VALUE, type Value } from '../../definition/runtime.js';
import { StepFault } from '../faults.js';
import { abortChildren, spawn } from '../fibers.js';
import { park } from '../pause.js';
import { joinThreads } from '../agent/threads.js';
import type { At } from '../run.js';
import { emptyScope, own, put, scopeAt } from '../scopes.js';
import { stepsIn } from '../segment/light.js';
import { type FiberEnd, type LoopData, newBlock, type PassWrite, type Scope } from '../state.js';
import { type Aborted, failed, type Next, WAIT } from '../step-handler.js';
import { noteGrowth } from '../store-values.js';
import { failedItem, passOf, readItem } from './loop-item.js';

export function runConcurrently(at: At<LoopPlan>, data: LoopData, finish: () => Next): Next {
  if (data.error === null && mustWaitForNextSegment(at, data)) {
    park(at.run, at.fiber);
    return WAIT;
  }
  if (data.error === null) startPasses(at, data);
  if (data.error !== null) abortChildren(at, data.running);
  if (data.running.length > 0) {
    at.fiber.wait = { on: 'children' };
    return WAIT;
  }
  mergePasses(at, data);
  return data.error === null ? finish() : failed(data.error);
}

function isRoom(at: At<LoopPlan>, data: LoopData): boolean {
  const { step, frame } = at;
  const recorded = frame.seed?.how === 'done' ? (frame.seed.choice as { passes?: number } | null)?.passes : undefined;
  return (
    !data.stop &&
    data.running.length < step.concurrency &&
    data.next < (recorded ?? data.count ?? 0) &&
    (data.running.length === 0 || fitsSegment(at, data))
  );
}

/** Passes that a segment starts end in it: it has steps left for them. The first one starts whatever there is. */
function fitsSegment({ run: { state }, step }: At<LoopPlan>, data: LoopData): boolean {
  return state.segment === undefined || state.segment.stepsLeft >= (data.running.length + 1) * stepsIn(step.steps);
}

/** A segment that has run passes and has no room for another: the loop goes on in the next one. */
function mustWaitForNextSegment({ run: { state }, step }: At<LoopPlan>, data: LoopData): boolean {
  const { segment } = state;
  if (segment === undefined || data.running.length > 0 || data.next === 0 || data.stop || data.next >= (data.count ?? 0)) return false;
  return segment.stepsLeft < Math.min(stepsIn(step.steps), segment.reserved);
}

/** The loop has passes to come and none that runs. */
export const hasPassesToStart = (data: LoopData): boolean =>
  data.running.length === 0 && data.error === null && !data.stop && data.next < (data.count ?? 0);

/** A list that cannot be read any more fails the loop like a pass: what runs is taken down first. @throws Suspended */
function startPasses(at: At<LoopPlan>, data: LoopData): void {
  try {
    while (isRoom(at, data)) startPassFiber(at, data, readItem(at, data, data.next));
  } catch (thrown) {
    if (!(thrown instanceof StepFault)) throw thrown;
    data.error = thrown.error;
  }
}

function startPassFiber(at: At<LoopPlan>, data: LoopData, item: Value | undefined): void {
  const { run, frame, step } = at;
  const index = data.next;
  data.next += 1;
  if (step.steps.length === 0) run.budget -= 1;
  data.results.push(NULL_VALUE);
  const path = innerPath(frame.path, step.id, `i${index}`);
  data.running.push(
    spawn(at, index, newBlock({ owner: step.id, slot: 'i', path, base: frame.childBase, scope: emptyScope(), pass: passOf(index, item) })),
  );
}

/** Takes note of a pass that ended. Its own fiber is gone by now: the running ones are those that still exist. */
export function passFiberEnded({ run, step }: At<LoopPlan>, data: LoopData, index: number, end: FiberEnd): void {
  data.running = data.running.filter((id) => run.fiber(id) !== undefined);
  if (end.ended === 'completed') {
    noteGrowth(run.state, end.output);
    data.results[index - data.storedPasses] = end.output;
    data.stop ||= end.stop;
    keepWrites(data, index, end.scope, [step.itemVar, step.indexVar]);
    data.error ??= end.fault;
  }
  if (end.ended !== 'failed') return;
  data.failed += 1;
  data.results[index - data.storedPasses] = failedItem(end.error);
  if (step.onItemError === 'fail') data.error ??= end.error;
}

function keepWrites(data: LoopData, pass: number, scope: Scope, besides: readonly string[]): void {
  if (scope.threads !== undefined) (data.merged.threads ??= []).push({ pass, threads: scope.threads });
  for (const root of ['variables', 'outputs'] as const) {
    for (const name of Object.keys(scope[root])) {
      const known = own<PassWrite>(data.merged[root], name);
      const value = own(scope[root], name);
      if (value === undefined || (root === 'variables' && besides.includes(name)) || (known !== undefined && known.pass > pass)) continue;
      put(data.merged[root], name, { pass, value });
    }
  }
}

function mergePasses({ run, fiber }: At, data: LoopData): void {
  const into = scopeAt(run, fiber);
  for (const root of ['variables', 'outputs'] as const) {
    for (const [name, { value }] of Object.entries(data.merged[root])) put(into[root], name, value);
  }
  const said = (data.merged.threads ?? []).toSorted((a, b) => a.pass - b.pass);
  for (const { threads } of said) joinThreads(into, threads);
  data.merged = { variables: {}, outputs: {} };
}

export function abortPasses(at: At<LoopPlan>, data: LoopData): Aborted {
  abortChildren(at, data.running);
  if (data.running.length > 0) {
    at.fiber.wait = { on: 'children' };
    return 'waiting';
  }
  mergePasses(at, data);
  return 'gone';
}
