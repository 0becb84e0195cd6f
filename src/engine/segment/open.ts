/** Where the host's engine gives a fiber's stretch away to an activity, instead of ordering its calls one by one (durability §6). */
import { type At, instanceId, instanceOf, type Run } from '../run.js';
import { itemOf, ownerFrame } from '../scopes.js';
import { type EngineState, type Fiber, initialState, type Timer } from '../state.js';
import { boundInlineValues } from '../store-values.js';
import { isCleanup } from '../unwind.js';
import { isWorthSegment, SEGMENT_STEPS } from './light.js';
import { surroundingsOf } from './surroundings.js';
import type { ActivityCommand } from '../types.js';

type SegmentOrder = Extract<ActivityCommand, { readonly name: 'segment' }>;

/** Runs with states of an older engine have every step as an activity of its own. */
const SINCE_VERSION = 2;

/** Whether the step on top is to run in a segment, which is then ordered here, or is to be when there is room for it. @returns whether it is */
export function openSegment(at: At): boolean {
  if (!isWorthSegment(at.step) || !mayOpen(at)) return false;
  if (!hasRoom(at.run)) at.fiber.wait = { on: 'store' };
  else order(at);
  return true;
}

/**
 * What is inline travels with a segment and comes back with it: it is stored before, as what is exchanged meanwhile would be overwritten.
 * Long loops would take all their results along each time.
 */
function hasRoom(run: Run): boolean {
  boundInlineValues(run);
  return run.state.storing === null;
}

function mayOpen({ run, fiber, frame }: At): boolean {
  const { state } = run;
  return (
    state.segment === undefined &&
    state.engineVersion >= SINCE_VERSION &&
    frame.seed === undefined &&
    Object.keys(state.seeds).length === 0 &&
    state.steps < run.plan.constraints.maxSteps &&
    !isCleanup(run, fiber)
  );
}

function order({ run, fiber, frame, step }: At): void {
  const { state } = run;
  const segment = `s${run.nextSerial()}`;
  const reserved = Math.min(SEGMENT_STEPS, run.plan.constraints.maxSteps - state.steps);
  const limit = limitAround(run, fiber);
  const ends = limit === undefined ? {} : { endsAt: limit };
  (state.segments ??= {})[segment] = { given: givenTo(run, fiber, segment, reserved), ...ends };
  state.steps += reserved;
  const timeoutMs = step.type === 'tool' ? (step.timeoutMs ?? null) : null;
  orderCall(run, fiber, { id: `${instanceId(instanceOf(frame))}:segment.${segment}`, segment, timeoutMs, ...ends });
}

/** When the first of the time limits comes that containers around the fiber have: a cancel that follows it would reach a segment later. */
function limitAround(run: Run, fiber: Fiber): number | undefined {
  const limits = limitsAround(run, fiber).map(([, { at }]) => at);
  return limits.length === 0 ? undefined : Math.min(...limits);
}

/** Timers of containers in the fiber and in those that it works for. */
export function limitsAround(run: Run, fiber: Fiber): (readonly [string, Timer])[] {
  const around = new Set<string>();
  for (let at: Fiber | undefined = fiber; at !== undefined; at = at.parent === null ? undefined : run.fiber(at.parent.fiber))
    around.add(at.id);
  return Object.entries(run.state.timers).filter(([, timer]) => timer.purpose === 'timeout' && around.has(timer.fiber));
}

/** Orders the activity, or the one that fences it off when it gave no answer. */
export function orderCall(run: Run, fiber: Fiber, call: Pick<SegmentOrder, 'id' | 'segment' | 'timeoutMs' | 'endsAt' | 'recover'>): void {
  const top = fiber.frames.at(-1);
  const instance = top?.k === 'step' ? instanceOf(top) : { stepId: '', iterationPath: top?.path ?? '', attempt: 1 };
  const name = call.recover === true ? 'recover' : 'segment';
  run.state.calls[call.id] = { fiber: fiber.id, name, instance, segment: call.segment };
  fiber.call = { id: call.id, cancelSent: false };
  fiber.wait = { on: 'call' };
  run.order({ kind: 'activity', name: 'segment', instance, ...call });
}

/** A state of its own that holds the fiber and what it may read. Copied: the host's frames change meanwhile, as time limits run out. */
function givenTo(run: Run, fiber: Fiber, id: string, reserved: number): EngineState {
  const { state } = run;
  const own: Fiber = { ...fiber, frames: withItem(run, fiber), wait: null, call: null, unwinds: [], cleanupTimer: null };
  const fibers = Object.fromEntries([own, ...surroundingsOf(run, fiber)].map((one) => [one.id, one]));
  const given: EngineState = {
    ...initialState({ engineVersion: state.engineVersion, plan: run.plan, execution: state.execution, variables: {} }),
    nowMs: state.nowMs,
    isStarted: true,
    startedAt: state.startedAt,
    fibers,
    ready: [fiber.id],
    status: 'running',
    steps: state.steps,
    done: state.done,
    segment: { id, fiber: fiber.id, reserved, stepsLeft: reserved },
  };
  return JSON.parse(JSON.stringify(given)) as EngineState;
}

/** The item of a pass lies in its loop's list, which stays behind. */
function withItem(run: Run, fiber: Fiber): Fiber['frames'] {
  const [bottom, ...above] = fiber.frames;
  if (bottom?.k !== 'block' || bottom.pass === undefined || bottom.pass.item !== undefined) return fiber.frames;
  return [{ ...bottom, pass: { ...bottom.pass, item: itemOf(bottom, ownerFrame(run, fiber, 0)) } }, ...above];
}
