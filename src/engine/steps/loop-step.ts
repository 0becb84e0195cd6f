import { isLarge, listValue, type LoopPlan, objectValue, type Value } from '../../definition/runtime.js';
import { answerAt, conditionAt, orderEvaluation, renderAt } from '../expression.js';
import { stepError, StepFault } from '../faults.js';
import type { At } from '../run.js';
import type { LoopData } from '../state.js';
import { type Aborted, completed, failed, type Next, ON, type StepHandler } from '../step-handler.js';
import { tellStarted } from '../tell.js';
import { abortPasses, hasPassesToStart, passFiberEnded, runConcurrently } from './loop-concurrent.js';
import { measure, readItem } from './loop-item.js';
import { passEnded, startPass } from './loop-sequential.js';

/** Passes over a list (at once up to `concurrency`) or while a condition holds (one after the other always). */
export const loopStep: StepHandler<LoopPlan> = {
  begin: (at) => {
    const { frame } = at;
    const list = at.step.over === undefined ? null : listOf(at);
    const data = newData(list);
    if (list !== null) measure(at, data, list);
    frame.data = data;
    const { count } = data;
    tellStarted(at);
    if (count !== null && count > at.step.maxIterations) return failed(limitError(at));
    return ON;
  },
  proceed: (at) => {
    const data = at.frame.data as LoopData;
    if (isConcurrent(at)) return runConcurrently(at, data, () => finish(at, data));
    if (data.error !== null) return failed(data.error);
    return isNextWanted(at, data) ? startPass(at, data, readItem(at, data, data.next)) : finish(at, data);
  },
  mayGoOnInSegment: (at) => isConcurrent(at) && hasPassesToStart(at.frame.data as LoopData),
  blockEnded: (at, block, end) => passEnded(at, at.frame.data as LoopData, block, end),
  childEnded: (at, slot, end) => passFiberEnded(at, at.frame.data as LoopData, slot, end),
  abort: (at): Aborted => (at.frame.data === null || !isConcurrent(at) ? 'gone' : abortPasses(at, at.frame.data as LoopData)),
};

const isConcurrent = ({ step }: At<LoopPlan>): boolean => step.concurrency > 1 && step.while === undefined;

function newData(list: Value | null): LoopData {
  return {
    type: 'loop',
    list,
    count: null,
    chunk: null,
    next: 0,
    failed: 0,
    results: [],
    stored: [],
    storedPasses: 0,
    running: [],
    merged: { variables: {}, outputs: {} },
    stop: false,
    error: null,
  };
}

/** A rerun walks the list that was recorded. */
function listOf(at: At<LoopPlan>): Value {
  const { step, frame } = at;
  const seeded = frame.seed?.choice as { list?: Value | null } | null | undefined;
  if (seeded?.list !== undefined && seeded.list !== null) return seeded.list;
  if (step.over === undefined) throw new Error(`Loop ${step.id} has nothing to go over`);
  return renderAt(at, { stepId: step.id, field: 'over' }, step.over);
}

/** Whether another pass starts. @throws StepFault at the iteration limit, or when `while` fails */
function isNextWanted(at: At<LoopPlan>, data: LoopData): boolean {
  const { step, frame } = at;
  if (data.stop) return false;
  const recorded = frame.seed?.choice as { passes?: number } | null | undefined;
  if (frame.seed?.how === 'done' && recorded?.passes !== undefined) return data.next < recorded.passes;
  if (data.count !== null) return data.next < data.count;
  if (step.while === undefined) return false;
  const isRecorded = recorded?.passes !== undefined && data.next < recorded.passes;
  if (!isRecorded && !conditionAt(at, { stepId: step.id, field: 'while' }, step.while)) return false;
  delete frame.answers;
  if (data.next >= step.maxIterations) throw new StepFault(limitError(at));
  return true;
}

const limitError = ({ step }: At<LoopPlan>) =>
  stepError('loop_limit_exceeded', `Loop ${step.id} may run at most ${step.maxIterations} passes`, {
    details: { maxIterations: step.maxIterations },
  });

function finish(at: At<LoopPlan>, data: LoopData): Next {
  const iterations = data.storedPasses + data.results.length;
  return completed(
    objectValue([
      ['iterations', { v: iterations }],
      ['failed', { v: data.failed }],
      ['results', resultsOf(at, data)],
    ]),
  );
}

/** Results that went out in chunks, or are too large together, become one list elsewhere. @throws Suspended, StepFault */
function resultsOf(at: At<LoopPlan>, data: LoopData): Value {
  const inline = listValue(data.results);
  if (data.stored.length === 0 && !isLarge(inline)) return inline;
  const site = { stepId: at.step.id, field: 'results' } as const;
  return answerAt(at, site) ?? orderEvaluation(at, site, { loop: { results: listValue([...data.stored, inline]) } });
}
