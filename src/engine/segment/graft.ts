/** The host's side of a segment that has answered: the same inputs on its own copy, then the fiber goes back into the run. */
import { instanceId, instanceOf, type Run, wake } from '../run.js';
import type { EngineState, Fiber, Frame, OpenSegment } from '../state.js';
import { enforceLimit } from '../timer-fired.js';
import { armTimer, dropTimer } from '../timers.js';
import type { ActivityResult, LateAnswer, SegmentResult } from '../types.js';
import { activeUnwind, dropUnwind } from '../unwind.js';
import { FedState } from './fed-state.js';
import { limitsAround, orderCall } from './open.js';

/**
 * Takes the answer of the call that ran `segment`. Without one, its attempts are fenced off first, by another activity.
 * @returns answers of its calls that are to be fed behind it
 * @throws Error when the copy comes to another state: host and activity do not run the same engine, and the task has to be tried again
 */
export function takeSegment(run: Run, fiber: Fiber, segment: string, result: ActivityResult): readonly LateAnswer[] {
  const open = run.state.segments?.[segment];
  if (open === undefined) throw new Error(`There is no segment ${segment}`);
  if (result.of !== 'segment') {
    orderCall(run, fiber, { id: `${segment}:recover.${run.nextId()}`, segment, timeoutMs: null, recover: true });
    return [];
  }
  delete run.state.segments?.[segment];
  if (result.hash === null) {
    run.state.steps -= open.given.segment?.reserved ?? 0;
    wake(run, fiber);
    if (result.outOfTime === true) enforceLimits(run, fiber, open);
    return [];
  }
  const ended = rebuild(run, segment, open, result);
  graft(run, fiber, ended);
  if (result.outOfTime === true) enforceLimits(run, fiber, open);
  return [...result.late, ...lostCalls(ended, result.late)];
}

/** What the segment knew before the timers fired: its calls ended because of the limits, not by themselves. */
function enforceLimits(run: Run, fiber: Fiber, { endsAt }: OpenSegment): void {
  for (const [id, { at }] of limitsAround(run, fiber)) if (endsAt !== undefined && at <= endsAt) enforceLimit(run, id);
}

function rebuild(run: Run, segment: string, { given }: OpenSegment, { inputs, hash }: SegmentResult): EngineState {
  const machine = new FedState(run.plan, given, run.advance);
  machine.begin();
  for (const input of inputs) machine.feed(input);
  const here = machine.hash();
  if (here !== hash) throw new Error(`Segment ${segment} comes to another state here (${here}) than where it ran (${hash})`);
  return machine.state;
}

/** A call that nobody answers for any more: the engine has its step fenced off. */
function lostCalls({ nowMs, calls }: EngineState, late: readonly LateAnswer[]): LateAnswer[] {
  return Object.keys(calls)
    .filter((id) => !late.some((one) => one.id === id))
    .map((id) => ({ id, at: nowMs, result: { of: 'lost', timedOut: false } }));
}

function graft(run: Run, fiber: Fiber, ended: EngineState): void {
  const { state } = run;
  const own = ended.fibers[fiber.id];
  if (own === undefined || ended.segment === undefined) throw new Error(`The segment of fiber ${fiber.id} has lost it`);
  state.steps -= ended.segment.stepsLeft;
  state.grown += ended.grown;
  if (fiber.parent === null) state.done = ended.done;
  Object.assign(state.calls, ended.calls);
  replaceFiber(run, fiber, own);
  const made = Object.values(ended.fibers).filter(({ id }) => state.fibers[id] === undefined);
  for (const one of made) state.fibers[one.id] = one;
  for (const [id, timer] of Object.entries(ended.timers)) armTimer(run, timer, id);
  for (const id of ended.parked) wakeParked(run, id);
  if (activeUnwind(fiber) !== undefined) wake(run, fiber);
}

/** What began around the fiber meanwhile stays, unless the frame that it was for has ended by itself. */
function replaceFiber(run: Run, fiber: Fiber, own: Fiber): void {
  const before = fiber.frames;
  const { frames, end, call, wait } = own;
  Object.assign(fiber, { frames: withoutItem(frames, before), end, call, wait });
  for (const unwind of fiber.unwinds) {
    if (unwind.depth >= 0 && !isSameStep(before[unwind.depth], frames[unwind.depth])) dropUnwind(run, fiber, unwind);
  }
  const kept = new Set(frames.map((frame) => (frame.k === 'step' ? frame.timer : null)));
  for (const [id, timer] of Object.entries(run.state.timers)) {
    if (timer.fiber === fiber.id && timer.purpose === 'timeout' && !kept.has(id)) dropTimer(run, id);
  }
}

const isSameStep = (before: Frame | undefined, after: Frame | undefined): boolean =>
  before?.k === 'step' && after?.k === 'step' && instanceId(instanceOf(before)) === instanceId(instanceOf(after)) && after.end === null;

/** The item that went along with its pass is in the loop's list here. */
function withoutItem(frames: Frame[], before: readonly Frame[]): Frame[] {
  const [bottom, ...above] = frames;
  const [known] = before;
  if (bottom?.k !== 'block' || bottom.pass === undefined || known?.k !== 'block' || known.pass?.item !== undefined) return frames;
  const { item: _item, ...pass } = bottom.pass;
  return [{ ...bottom, pass }, ...above];
}

function wakeParked(run: Run, id: string): void {
  const fiber = run.fiber(id);
  if (fiber?.wait?.on === 'pause') wake(run, fiber);
}
