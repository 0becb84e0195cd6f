/** What the run is doing, as rows and readers are told: derived from where its fibers stand. */
import { formatInstant, type Json, type Plan } from '../definition/runtime.js';
import type { EngineState, Fiber, Frame, Wait } from './state.js';
import type { ExecutionStatus, Progress, Projection } from './types.js';

const MAX_CURRENT = 50;

/** Waiting means that every live branch waits for the world: one open gate makes it `waiting_approval`. A retry's delay is running. */
export function statusOf(state: EngineState): ExecutionStatus {
  if (state.finished) return state.status;
  if (state.paused) return 'paused';
  if (!state.isStarted) return 'pending';
  if (state.ending?.outcome.requested === true) return 'cancelling';
  const waits = openWaits(state);
  if (waits === null || waits.length === 0) return 'running';
  return waits.some(({ wait }) => wait.on === 'gate') ? 'waiting_approval' : 'waiting_event';
}

interface OpenWait {
  readonly fiber: Fiber;
  readonly wait: Wait;
}

/** What each live branch waits for; null when one of them is at work. */
function openWaits(state: EngineState): OpenWait[] | null {
  const waits: OpenWait[] = [];
  for (const fiber of Object.values(state.fibers)) {
    const { wait } = fiber;
    if (wait === null || isWork(wait)) return null;
    if (wait.on !== 'children') waits.push({ fiber, wait });
  }
  return waits;
}

function isWork(wait: Wait): boolean {
  switch (wait.on) {
    case 'call':
    case 'retry':
    case 'pause':
    case 'ending':
    case 'cancel':
    case 'child_start':
    case 'store':
      return true;
    case 'gate':
    case 'timer':
    case 'event':
    case 'child':
    case 'children':
      return false;
  }
}

/** What `execution.waiting` says. */
export function waitingFor(state: EngineState): Json {
  return (openWaits(state) ?? []).slice(0, MAX_CURRENT).map(({ fiber, wait }) => ({ ...placeOf(fiber), ...describe(wait) }));
}

function placeOf(fiber: Fiber): { readonly [key: string]: Json } {
  const top = fiber.frames.at(-1);
  return top?.k === 'step' ? { stepId: top.stepId, iterationPath: top.path } : {};
}

function describe(wait: Wait): { readonly [key: string]: Json } {
  switch (wait.on) {
    case 'gate':
      return { for: 'approval', approvalId: wait.approvalId };
    case 'timer':
      return { for: 'timer', until: formatInstant(wait.until) };
    case 'event':
      return { for: 'event', event: wait.event };
    case 'child':
      return { for: 'child', executionId: wait.executionId };
    case 'call':
    case 'retry':
    case 'pause':
    case 'ending':
    case 'cancel':
    case 'child_start':
    case 'store':
    case 'children':
      return { for: wait.on };
  }
}

/** The engine's projection on the execution's row; progress counts top-level steps. Pure. */
export function projectionOf(plan: Plan, state: EngineState): Projection {
  const progress: Progress = { done: state.done, total: plan.steps.length, current: currentSteps(state) };
  return { counter: state.counter, status: statusOf(state), progress };
}

/** Step ids of open leaves, each once. */
function currentSteps(state: EngineState): string[] {
  const current = new Set<string>();
  for (const fiber of Object.values(state.fibers)) {
    const top: Frame | undefined = fiber.frames.at(-1);
    if (top?.k === 'step' && fiber.wait?.on !== 'children') current.add(top.stepId);
    if (current.size === MAX_CURRENT) break;
  }
  return [...current];
}
