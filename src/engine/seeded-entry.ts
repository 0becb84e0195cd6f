/** Recorded instances of a rerun, as the engine meets them (durability §13). */
import { partAt, type Value } from '../definition/runtime.js';
import type { At, Run } from './run.js';
import { put, scopeAt } from './scopes.js';
import { type Fiber, seedKey, type StepEnd } from './state.js';
import type { Seed } from './types.js';

/** Each seed is taken once: a later attempt of the same instance is new work. */
export function takeSeed(run: Run, path: string, stepId: string): Seed | undefined {
  const key = seedKey(path, stepId);
  const { seeds } = run.state;
  if (!Object.hasOwn(seeds, key)) return undefined;
  const seed = seeds[key];
  delete seeds[key];
  return seed;
}

/** Whether the container around the fiber's top block is only walked: its record says how it ended. */
export function isInsideSeeded(run: Run, fiber: Fiber): boolean {
  const below = fiber.frames.at(-2) ?? (fiber.parent === null ? undefined : run.fiber(fiber.parent.fiber)?.frames[fiber.parent.frame]);
  return below?.k === 'step' && below.seed?.how === 'done';
}

/** How the record of a finished instance says that it ended. Skipped ones are met before. */
export function endOfSeed(seed: Seed): StepEnd {
  if (seed.status === 'failed' && seed.error !== null) return { ended: 'failed', error: seed.error, recorded: true };
  return { ended: 'completed', output: seed.output, recorded: true };
}

/** What a recorded `set` assigned. */
export function assignSeeded(at: At): void {
  const { run, fiber, step, frame } = at;
  if (step.type !== 'set' || frame.seed?.status !== 'completed') return;
  const { variables } = scopeAt(run, fiber);
  for (const [name] of step.values) put(variables, name, memberOf(frame.seed.output, name));
}

function memberOf(value: Value, name: string): Value {
  const part = partAt(value, [name]);
  return part.at === 'value' ? part.value : { v: null };
}
