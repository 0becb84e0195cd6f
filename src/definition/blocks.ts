/** Where the steps inside a step are, in the document as written. Pure; knows no more of a step than its type. */
import type { Segment } from './pointer.js';
import { STEP_ID } from './schema/fields.js';
import { isForbiddenName } from './expression/library.js';
import type { Json, JsonObject } from './value.js';

/** A list of steps inside a step, and the way to it. */
export interface Slot {
  readonly path: readonly Segment[];
  readonly steps: readonly unknown[];
}

const SLOTS: { readonly [type: string]: { readonly blocks: readonly string[]; readonly lists: readonly string[] } } = {
  conditional: { blocks: ['then', 'else'], lists: [] },
  switch: { blocks: ['default'], lists: ['cases'] },
  loop: { blocks: ['steps'], lists: [] },
  parallel: { blocks: ['steps'], lists: ['branches'] },
  try: { blocks: ['steps', 'finally'], lists: ['catch'] },
};

export const isRecord = (value: unknown): value is JsonObject => typeof value === 'object' && value !== null && !Array.isArray(value);

/** The slots of a step in the order in which they run: `try` before `catch` before `finally`, cases before `default`. */
export function slotsOf(step: JsonObject): Slot[] {
  const names = typeof step['type'] === 'string' && Object.hasOwn(SLOTS, step['type']) ? SLOTS[step['type']] : undefined;
  if (names === undefined) return [];
  const blocks = names.blocks
    .filter((name) => Array.isArray(step[name]))
    .map((name): Slot => ({ path: [name], steps: step[name] as readonly Json[] }));
  const lists = names.lists.flatMap((name) => slotsOfList(name, step[name]));
  const late = blocks.filter(({ path }) => path[0] === 'default' || path[0] === 'finally');
  return [...blocks.filter((slot) => !late.includes(slot)), ...lists, ...late];
}

function slotsOfList(name: string, list: Json | undefined): Slot[] {
  if (!Array.isArray(list)) return [];
  return (list as readonly Json[]).flatMap((item, index): Slot[] => {
    const steps = isRecord(item) ? item['steps'] : undefined;
    return Array.isArray(steps) ? [{ path: [name, index, 'steps'], steps: steps as readonly Json[] }] : [];
  });
}

/** Each step with the way to it, outermost first, in author order. */
export function* walkSteps(
  steps: readonly unknown[],
  path: readonly Segment[],
): Generator<{ readonly step: JsonObject; readonly path: readonly Segment[] }> {
  for (const [index, step] of steps.entries()) {
    if (!isRecord(step)) continue;
    const here = [...path, index];
    yield { step, path: here };
    for (const slot of slotsOf(step)) yield* walkSteps(slot.steps, [...here, ...slot.path]);
  }
}

export const isStepId = (id: unknown): id is string => typeof id === 'string' && STEP_ID.test(id) && !isForbiddenName(id);

/**
 * The document with an id on every step and branch that has none: `<type>_<n>`, `branch_<n>`, counted in author order and
 * leaving out what is taken. The same document gives the same ids each time. What needs none is shared, not copied.
 */
export function fillIds(definition: JsonObject): JsonObject {
  const steps = definition['steps'];
  if (!Array.isArray(steps)) return definition;
  const taken = new Set<unknown>();
  for (const { step } of walkSteps(steps, [])) taken.add(step['id']);
  return { ...definition, steps: fillBlock(steps, new IdSource(taken)) };
}

class IdSource {
  readonly #next = new Map<string, number>();
  constructor(readonly taken: Set<unknown>) {}

  take(prefix: string): string {
    let id: string;
    do {
      const n = (this.#next.get(prefix) ?? 0) + 1;
      this.#next.set(prefix, n);
      id = `${prefix}_${n}`;
    } while (this.taken.has(id));
    return id;
  }
}

function fillBlock(steps: readonly unknown[], ids: IdSource): Json[] {
  return steps.map((step) => (isRecord(step) ? fillStep(step, ids) : (step as Json)));
}

function fillStep(step: JsonObject, ids: IdSource): JsonObject {
  const type = step['type'];
  const filled: { [key: string]: Json } =
    step['id'] === undefined ? { id: ids.take(isStepId(type) ? type.slice(0, 40) : 'step'), ...step } : { ...step };
  for (const { path, steps } of slotsOf(step)) {
    const [name, index] = path as [string, number?];
    if (index === undefined) filled[name] = fillBlock(steps, ids);
    else
      listCopy(filled, step, name)[index] = {
        ...((step[name] as readonly JsonObject[])[index] as JsonObject),
        steps: fillBlock(steps, ids),
      };
  }
  return type === 'parallel' && Array.isArray(step['branches'])
    ? { ...filled, branches: fillBranches(filled['branches'] as readonly Json[]) }
    : filled;
}

/** The list of cases, branches or handlers, copied once. */
function listCopy(filled: { [key: string]: Json }, step: JsonObject, name: string): Json[] {
  if (filled[name] === step[name]) filled[name] = [...(step[name] as readonly Json[])];
  return filled[name] as Json[];
}

/** Branch ids are unique among the branches of one step only. */
function fillBranches(branches: readonly Json[]): Json[] {
  const ids = new IdSource(new Set(branches.map((branch) => isRecord(branch) && branch['id'])));
  return branches.map((branch) => (isRecord(branch) && branch['id'] === undefined ? { id: ids.take('branch'), ...branch } : branch));
}
