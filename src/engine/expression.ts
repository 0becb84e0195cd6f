/** Evaluating an expression where a fiber stands; what the host may not evaluate is ordered and found again by its site. */
import {
  evaluate,
  type Expr,
  ExpressionError,
  isLarge,
  isTruthy,
  NeedsActivity,
  NULL_VALUE,
  render,
  type ScopeReader,
  type Template,
  type Value,
  valueBytes,
} from '../definition/runtime.js';
import { StepFault, stepError, Suspended } from './faults.js';
import { FiberReader, sliceFor } from './reader.js';
import { instanceId, instanceOf, type Run } from './run.js';
import type { Fiber, Frame, StepFrame } from './state.js';
import type { ExpressionSite, ScopeSlice, StepInstance, Warning } from './types.js';

/** Where an expression stands: the step whose field it is, and the fiber that reads it. */
export interface Place {
  readonly run: Run;
  readonly fiber: Fiber;
}
export type Site = ExpressionSite;

/** @throws StepFault when it fails, Suspended when an activity has been ordered */
export function evaluateAt(place: Place, site: Site, expr: Expr, extra?: ScopeSlice): Value {
  return valueAt(place, site, expr, extra, (reader) => evaluate(expr, reader, 'host') ?? NULL_VALUE);
}

/** @throws as evaluateAt */
export function conditionAt(place: Place, site: Site, expr: Expr, extra?: ScopeSlice): boolean {
  return isTruthy(evaluateAt(place, site, expr, extra));
}

/** @throws as evaluateAt */
export function renderAt(place: Place, site: Site, template: Template): Value {
  return valueAt(place, site, template, undefined, (reader) => render(template, reader, 'host'));
}

function valueAt(
  place: Place,
  site: Site,
  source: Expr | Template,
  extra: ScopeSlice | undefined,
  compute: (reader: ScopeReader) => Value,
): Value {
  const answered = answerAt(place, site);
  if (answered !== undefined) return answered;
  const missing: string[] = [];
  const reader = new FiberReader(place.run, place.fiber, extra, (path) => missing.push(path));
  try {
    const value = compute(reader);
    noteMissing(place.fiber, missing);
    // What is large is made where it can be stored: the state never holds it.
    if (isLargeFor(site, value)) return orderEvaluation(place, site, sliceFor(reader, [source]));
    return value;
  } catch (thrown) {
    if (thrown instanceof NeedsActivity) return orderEvaluation(place, site, sliceFor(reader, [source]));
    if (thrown instanceof ExpressionError) throw new StepFault(stepError(thrown.code, thrown.message, { details: thrown.details }));
    throw thrown;
  }
}

/** A list to go over may be larger: reading it in chunks costs more than holding it. */
const LARGE_LIST_BYTES = 64 * 1024;

function isLargeFor({ field }: Site, value: Value): boolean {
  return isLarge(value) && (field !== 'over' || valueBytes(value) > LARGE_LIST_BYTES);
}

/** What an activity has answered for this site, once. */
export function answerAt({ fiber }: Place, site: Site): Value | undefined {
  const answers = topFrame(fiber).answers;
  const answer = answers === undefined || !Object.hasOwn(answers, siteKey(site)) ? undefined : answers[siteKey(site)];
  if (answer === undefined) return undefined;
  if ('error' in answer) throw new StepFault(answer.error);
  return answer.value;
}

/** Called when a step has made use of its answers: the next evaluation of the same site asks again. */
export function forgetAnswers(fiber: Fiber): void {
  delete topFrame(fiber).answers;
}

/** Orders `evaluate` for the site. @throws Suspended always */
export function orderEvaluation({ run, fiber }: Place, site: Site, scope: ScopeSlice): never {
  const instance = evaluationInstance(fiber, site);
  const id = `${instanceId(instance)}:evaluate.${run.nextId()}`;
  run.state.calls[id] = { fiber: fiber.id, name: 'evaluate', instance, site: siteKey(site) };
  fiber.call = { id, cancelSent: false };
  fiber.wait = { on: 'call' };
  run.order({ kind: 'activity', id, name: 'evaluate', instance, site, scope, nowMs: run.state.nowMs });
  throw new Suspended();
}

/** An expression of a pass (`collect`) belongs to the loop, whose frame may lie in another fiber: its attempt is not needed. */
function evaluationInstance(fiber: Fiber, site: Site): StepInstance {
  const top = topFrame(fiber);
  return top.k === 'step' ? instanceOf(top) : { stepId: site.stepId, iterationPath: top.path, attempt: 1 };
}

export const siteKey = ({ field, index }: Site): string => (index === undefined ? field : `${field}.${index}`);

function noteMissing(fiber: Fiber, missing: readonly string[]): void {
  const top = topFrame(fiber);
  if (missing.length === 0 || top.k !== 'step') return;
  addWarnings(
    top,
    missing.map((path) => ({ code: 'missing_reference', message: `${path} has no value` })),
  );
}

const MAX_WARNINGS = 50;

/** Each warning once, and not without end. */
export function addWarnings(frame: StepFrame, warnings: readonly Warning[]): void {
  const known = frame.warnings ?? [];
  const fresh = warnings.filter(({ message }) => !known.some((one) => one.message === message));
  frame.warnings = [...known, ...fresh].slice(0, MAX_WARNINGS);
}

export function topFrame(fiber: Fiber): Frame {
  const top = fiber.frames.at(-1);
  if (top === undefined) throw new Error(`Fiber ${fiber.id} has no frame`);
  return top;
}
