/** Recorded instances of a rerun, as the engine meets them (durability §13). */
import { partAt, type Value, wholeRefOf } from '../definition/runtime.js';
import { addToThread, threadNamed } from './agent/threads.js';
import { answerAt, orderEvaluation } from './expression.js';
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

/** What a recorded `set` assigned. A record that was stored is read member by member, elsewhere. @throws Suspended */
export function assignSeeded(at: At): void {
  const { run, fiber, step, frame } = at;
  if (step.type === 'agent_prompt') return rejoinThread(at);
  if (step.type !== 'set' || frame.seed?.status !== 'completed') return;
  const { variables } = scopeAt(run, fiber);
  const { output } = frame.seed;
  const isStored = wholeRefOf(output) !== undefined;
  step.values.forEach(([name], index) => {
    put(variables, name, isStored ? storedMember(at, output, index) : memberOf(output, name));
  });
}

/** What it said is part of its thread, as it was. */
function rejoinThread({ run, fiber, frame }: At): void {
  const said = frame.seed?.status === 'completed' ? (frame.seed.choice as { thread?: string; entry?: string } | null) : null;
  if (typeof said?.thread !== 'string' || typeof said.entry !== 'string') return;
  const name = threadNamed(said.thread);
  if (name !== null) addToThread(run, fiber, name, said.entry);
}

function storedMember(at: At, output: Value, index: number): Value {
  const { step } = at;
  const site = { stepId: step.id, field: 'output', index } as const;
  return answerAt(at, site) ?? orderEvaluation(at, site, { outputs: { [step.outputVariable ?? step.id]: output } });
}

function memberOf(value: Value, name: string): Value {
  const part = partAt(value, [name]);
  return part.at === 'value' ? part.value : { v: null };
}
