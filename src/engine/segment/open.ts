/** Where the host's engine gives a fiber's stretch away to an activity, instead of ordering its calls one by one (durability §6). */
import { type At, instanceId, instanceOf, type Run } from '../run.js';
import { itemOf, ownerFrame } from '../scopes.js';
import { type EngineState, type Fiber, initialState } from '../state.js';
import { boundInlineValues } from '../store-values.js';
import { isCleanup } from '../unwind.js';
import { isWorthSegment, SEGMENT_STEPS } from './light.js';
import { surroundingsOf } from './surroundings.js';

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
  (state.segments ??= {})[segment] = { fiber: fiber.id, reserved, given: givenTo(run, fiber, segment, reserved) };
  state.steps += reserved;
  const timeoutMs = step.type === 'tool' ? (step.timeoutMs ?? null) : null;
  orderCall(run, fiber, { id: `${instanceId(instanceOf(frame))}:segment.${segment}`, segment, timeoutMs });
}

/** Orders the activity, or the one that fences it off when it gave no answer. */
export function orderCall(
  run: Run,
  fiber: Fiber,
  call: { readonly id: string; readonly segment: string; readonly timeoutMs: number | null; readonly recover?: true },
): void {
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
