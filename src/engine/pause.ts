/** Pause holds fibers at step boundaries; what is in flight ends and is recorded. */
import type { Run } from './run.js';
import { wake } from './run.js';
import type { Fiber } from './state.js';

/** Holds the fiber here until resume. @returns false: it is blocked */
export function park(run: Run, fiber: Fiber): false {
  fiber.wait = { on: 'pause' };
  if (!run.state.parked.includes(fiber.id)) run.state.parked.push(fiber.id);
  return false;
}

/** Lets everything held go on, in the order in which it came to rest. */
export function unpark(run: Run): void {
  const { parked } = run.state;
  run.state.paused = false;
  run.state.parked = [];
  for (const id of parked) {
    const fiber = run.fiber(id);
    if (fiber?.wait?.on === 'pause') wake(run, fiber);
  }
}
