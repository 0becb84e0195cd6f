/** Fibers that work for a container: one per branch or concurrent pass. */
import type { At, Run } from './run.js';
import { type BlockFrame, type Fiber, newFiber } from './state.js';
import { abortFiber, activeUnwind, CLEANUP_MS } from './unwind.js';

/** Starts a fiber whose bottom is `block`. @returns its id */
export function spawn({ run, fiber }: At, slot: number, block: BlockFrame): string {
  const id = `f${run.nextId()}`;
  run.state.fibers[id] = { ...newFiber(id, { fiber: fiber.id, frame: fiber.frames.length - 1, slot }), frames: [block], wait: null };
  run.state.ready.push(id);
  return id;
}

/** Takes down what still runs: within the time of the unwinding around it, or with a minute of its own. */
export function abortChildren({ run, fiber }: At, ids: readonly string[]): void {
  const around = activeUnwind(fiber);
  const limit = { deadline: around?.deadline ?? run.state.nowMs + CLEANUP_MS, hard: around?.hard ?? false };
  for (const child of fibersOf(run, ids)) abortFiber(run, child, limit);
}

const fibersOf = (run: Run, ids: readonly string[]): Fiber[] => ids.map((id) => run.fiber(id)).filter((one) => one !== undefined);
