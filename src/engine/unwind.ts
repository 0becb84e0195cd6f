/** Aborting: which frames are to be taken down, and how long a `finally` in them may still work. */
import type { Run } from './run.js';
import { wake } from './run.js';
import type { Fiber, Unwind } from './state.js';
import { armTimer, dropTimer } from './timers.js';

/** One minute for the whole clean-up of an abort (durability §9). */
export const CLEANUP_MS = 60_000;

/** The unwinding that acts now; none while a `finally` above it works. */
export function activeUnwind(fiber: Fiber): Unwind | undefined {
  const innermost = fiber.unwinds.at(-1);
  return innermost === undefined || isShielded(fiber, innermost.depth) ? undefined : innermost;
}

function isShielded(fiber: Fiber, depth: number): boolean {
  for (let index = fiber.frames.length - 1; index > depth; index -= 1) {
    const frame = fiber.frames[index];
    if (frame?.k === 'block' && frame.shield === true) return true;
  }
  return false;
}

/** Takes a whole fiber down, at the same moment or later than what surrounds it. */
export function abortFiber(run: Run, fiber: Fiber, { deadline, hard }: Pick<Unwind, 'deadline' | 'hard'>): void {
  insertUnwind(run, fiber, { depth: -1, error: null, deadline, hard });
}

/** Begins an unwinding, beneath those of frames further in. Asking twice changes at most the deadline. */
export function insertUnwind(run: Run, fiber: Fiber, unwind: Unwind): void {
  const known = fiber.unwinds.find(({ depth }) => depth === unwind.depth);
  if (known === undefined) fiber.unwinds = [...fiber.unwinds, unwind].toSorted((a, b) => a.depth - b.depth);
  else {
    known.deadline = Math.min(known.deadline, unwind.deadline);
    known.hard ||= unwind.hard;
  }
  if (unwind.hard) dropShields(fiber, unwind.depth);
  if (isShielded(fiber, unwind.depth)) armCleanup(run, fiber, unwind.deadline);
  if (activeUnwind(fiber) !== undefined) wake(run, fiber);
}

/** One timer a fiber, for the nearest of its deadlines. */
export function armCleanup(run: Run, fiber: Fiber, deadline: number): void {
  if (fiber.cleanupTimer !== null) {
    if ((run.state.timers[fiber.cleanupTimer]?.at ?? 0) <= deadline) return;
    dropTimer(run, fiber.cleanupTimer);
  }
  fiber.cleanupTimer = armTimer(
    run,
    { fiber: fiber.id, frame: -1, purpose: 'cleanup', at: deadline, instance: null },
    `cleanup.${fiber.id}.${run.nextId()}`,
  );
}

/** The minute is over: what is in flight in the clean-up is aborted too. It does not count while a pause holds the clean-up. */
export function cleanupIsOver(run: Run, fiber: Fiber): void {
  const { nowMs, paused } = run.state;
  fiber.cleanupTimer = null;
  for (const unwind of fiber.unwinds) {
    if (unwind.deadline > nowMs) armCleanup(run, fiber, unwind.deadline);
    else if (paused) {
      unwind.deadline = nowMs + CLEANUP_MS;
      armCleanup(run, fiber, unwind.deadline);
    } else harden(fiber, unwind);
  }
  if (activeUnwind(fiber) !== undefined) wake(run, fiber);
}

function harden(fiber: Fiber, unwind: Unwind): void {
  unwind.hard = true;
  dropShields(fiber, unwind.depth);
}

export function dropUnwind(run: Run, fiber: Fiber, unwind: Unwind): void {
  fiber.unwinds = fiber.unwinds.filter((one) => one !== unwind);
  if (fiber.unwinds.length > 0 || fiber.cleanupTimer === null) return;
  dropTimer(run, fiber.cleanupTimer);
  fiber.cleanupTimer = null;
}

function dropShields(fiber: Fiber, depth: number): void {
  fiber.frames.forEach((frame, index) => {
    if (index > depth && frame.k === 'block') delete frame.shield;
  });
}

/** Whether steps here only clean up: no gate opens in it. */
export function isCleanup(run: Run, fiber: Fiber): boolean {
  if (run.state.ending !== null) return true;
  for (let at: Fiber | undefined = fiber; at !== undefined; at = at.parent === null ? undefined : run.fiber(at.parent.fiber)) {
    if (at.unwinds.length > 0) return true;
  }
  return false;
}
