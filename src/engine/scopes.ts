/** Names and what they mean at a place: frames are walked outwards, from a fiber on to the container frame that it works for. */
import { partAt, type Value } from '../definition/runtime.js';
import type { Run } from './run.js';
import type { BlockFrame, Fiber, Frame, LoopData, Scope, StepFrame } from './state.js';

export const emptyScope = (): Scope => ({ variables: {}, outputs: {} });

/** `__proto__` may be a name too: plain assignment would change the prototype. */
export function put<T>(target: Record<string, T>, name: string, value: T): void {
  if (name === '__proto__') Object.defineProperty(target, name, { value, enumerable: true, configurable: true, writable: true });
  else target[name] = value;
}

export function own<T>(from: { readonly [name: string]: T } | undefined, name: string): T | undefined {
  return from !== undefined && Object.hasOwn(from, name) ? from[name] : undefined;
}

/** Calls `visit` for each block frame from the top of `fiber` outwards, with the frame that it stands on, until one gives an answer. */
export function outward<T>(
  run: Run,
  fiber: Fiber,
  visit: (block: BlockFrame, owner: StepFrame | undefined) => T | undefined,
): T | undefined {
  let at: Fiber | undefined = fiber;
  let index = fiber.frames.length - 1;
  while (at !== undefined) {
    for (; index >= 0; index -= 1) {
      const frame = at.frames[index] as Frame;
      if (frame.k !== 'block') continue;
      const found = visit(frame, ownerFrame(run, at, index));
      if (found !== undefined) return found;
    }
    index = at.parent?.frame ?? -1;
    at = at.parent === null ? undefined : run.fiber(at.parent.fiber);
  }
  return undefined;
}

/** The container frame that a block frame works for: below it, or in the parent fiber. */
export function ownerFrame(run: Run, fiber: Fiber, index: number): StepFrame | undefined {
  const below =
    index > 0 ? fiber.frames[index - 1] : fiber.parent === null ? undefined : run.fiber(fiber.parent.fiber)?.frames[fiber.parent.frame];
  return below?.k === 'step' ? below : undefined;
}

export function variableAt(run: Run, fiber: Fiber, name: string): Value | undefined {
  return outward(run, fiber, (block, owner) => own(block.scope?.variables, name) ?? localOf(run, block, owner, name));
}

export function outputAt(run: Run, fiber: Fiber, name: string): Value | undefined {
  return outward(run, fiber, (block) => own(block.scope?.outputs, name));
}

/** `item` or `index` of the nearest loop. */
export function loopLocal(run: Run, fiber: Fiber, name: string): Value | undefined {
  if (name !== 'item' && name !== 'index') return undefined;
  return outward(run, fiber, (block, owner) =>
    block.pass === undefined ? undefined : name === 'index' ? { v: block.pass.index } : itemOf(block, owner),
  );
}

function localOf(run: Run, block: BlockFrame, owner: StepFrame | undefined, name: string): Value | undefined {
  const local = own(block.local, name);
  if (local !== undefined || block.pass === undefined) return local;
  const loop = run.stepOf(block.owner);
  if (loop.type !== 'loop') return undefined;
  if (name === loop.itemVar) return itemOf(block, owner);
  return name === loop.indexVar ? { v: block.pass.index } : undefined;
}

/** A pass's item is not copied out of the list unless it had to be fetched from a stored one. */
export function itemOf({ pass }: BlockFrame, owner: StepFrame | undefined): Value {
  if (pass?.item !== undefined) return pass.item;
  const list = (owner?.data as LoopData | undefined)?.list;
  const part = list === null || list === undefined ? undefined : partAt(list, [pass?.index ?? 0]);
  return part?.at === 'value' ? part.value : { v: null };
}

/** The overlay that steps at this place write to. */
export function scopeAt(run: Run, fiber: Fiber): Scope {
  const scope = outward(run, fiber, (block) => block.scope);
  if (scope === undefined) throw new Error(`Fiber ${fiber.id} has no scope`);
  return scope;
}

export function namesAt(run: Run, fiber: Fiber, root: 'variables' | 'outputs'): string[] {
  const names = new Set<string>();
  outward(run, fiber, (block) => {
    for (const name of Object.keys(block.scope?.[root] ?? {})) names.add(name);
    if (root === 'variables') for (const name of localNames(run, block)) names.add(name);
    return undefined;
  });
  return [...names];
}

function localNames(run: Run, block: BlockFrame): string[] {
  const names = Object.keys(block.local ?? {});
  const loop = block.pass === undefined ? undefined : run.stepOf(block.owner);
  return loop?.type === 'loop' ? [...names, loop.itemVar, loop.indexVar] : names;
}

/** Takes over what an overlay holds, besides the names that were its own. */
export function mergeScope(into: Scope, from: Scope, besides: readonly string[] = []): void {
  for (const name of Object.keys(from.variables)) {
    if (!besides.includes(name)) put(into.variables, name, from.variables[name] as Value);
  }
  for (const name of Object.keys(from.outputs)) put(into.outputs, name, from.outputs[name] as Value);
}
