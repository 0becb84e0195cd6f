/** What changed between two definitions, in words of steps and fields (api.md, `GET …/diff`). Pure. */
import { isRecord, slotsOf } from './blocks.js';
import { isSameJson } from './json-check.js';
import { type Segment, escapeToken, toPointer } from './pointer.js';
import type { Json, JsonObject } from './value.js';

/** `path` is a JSON pointer inside the step (or root); null stands for absent. */
export interface FieldChange {
  readonly path: string;
  readonly from: Json;
  readonly to: Json;
}

export interface DefinitionDiff {
  readonly steps: {
    readonly added: readonly string[];
    readonly removed: readonly string[];
    /** In another container or slot, or in another order among those that stayed. */
    readonly moved: readonly string[];
    readonly changed: readonly { readonly stepId: string; readonly fields: readonly FieldChange[] }[];
  };
  readonly root: readonly FieldChange[];
}

/** A step by itself, and the slot it stands in: `<container id>/then`. */
interface Placed {
  readonly own: JsonObject;
  readonly slot: string;
}

/** Compares two definitions with ids filled in, as compileDefinition gives them. Steps are matched by id. */
export function diffDefinitions(from: JsonObject, to: JsonObject): DefinitionDiff {
  const [before, after] = [placedSteps(from), placedSteps(to)];
  const kept = [...after.keys()].filter((id) => before.has(id));
  const fields = (id: string): FieldChange[] => compareFields(before.get(id)?.own, after.get(id)?.own, []);
  return {
    steps: {
      added: [...after.keys()].filter((id) => !before.has(id)),
      removed: [...before.keys()].filter((id) => !after.has(id)),
      moved: movedSteps(kept, before, after),
      changed: kept.map((stepId) => ({ stepId, fields: fields(stepId) })).filter((change) => change.fields.length > 0),
    },
    root: compareFields(withoutSteps(from), withoutSteps(to), []),
  };
}

const withoutSteps = (definition: JsonObject): JsonObject => withoutKey(definition, 'steps');

function placedSteps(definition: JsonObject): Map<string, Placed> {
  const placed = new Map<string, Placed>();
  collect(Array.isArray(definition['steps']) ? definition['steps'] : [], '', placed);
  return placed;
}

function collect(steps: readonly unknown[], slot: string, placed: Map<string, Placed>): void {
  for (const step of steps) {
    if (!isRecord(step) || typeof step['id'] !== 'string') continue;
    placed.set(step['id'], { own: withoutBlocks(step), slot });
    for (const inner of slotsOf(step)) collect(inner.steps, step['id'] + toPointer(inner.path), placed);
  }
}

/** The step's own fields: the steps in its slots are compared by themselves. */
function withoutBlocks(step: JsonObject): JsonObject {
  const own: { [key: string]: Json } = { ...step };
  for (const { path } of slotsOf(step)) {
    const [name, index] = path as [string, number?];
    if (index === undefined) delete own[name];
    else own[name] = (step[name] as readonly Json[]).map((item) => (isRecord(item) ? withoutKey(item, 'steps') : item));
  }
  return own;
}

const withoutKey = (object: JsonObject, key: string): JsonObject =>
  Object.fromEntries(Object.entries(object).filter(([name]) => name !== key));

function compareFields(from: Json | undefined, to: Json | undefined, path: readonly Segment[]): FieldChange[] {
  if (isSameJson(from, to)) return [];
  if (isRecord(from) && isRecord(to))
    return [...new Set([...Object.keys(from), ...Object.keys(to)])]
      .toSorted()
      .flatMap((key) => compareFields(from[key], to[key], [...path, key]));
  if (Array.isArray(from) && Array.isArray(to) && from.length === to.length)
    return from.flatMap((item: Json, index) => compareFields(item, to[index] as Json, [...path, index]));
  return [{ path: path.map((segment) => `/${escapeToken(segment)}`).join(''), from: from ?? null, to: to ?? null }];
}

/** Those in another slot, and, slot by slot, those outside the longest run that kept its order. */
function movedSteps(kept: readonly string[], before: ReadonlyMap<string, Placed>, after: ReadonlyMap<string, Placed>): string[] {
  const oldOrder = new Map([...before.keys()].map((id, index) => [id, index]));
  const stayed = new Map<string, string[]>();
  const moved = new Set<string>();
  for (const id of kept) {
    const slot = after.get(id)?.slot ?? '';
    if (before.get(id)?.slot === slot) pushTo(stayed, slot, id);
    else moved.add(id);
  }
  for (const ids of stayed.values()) for (const id of outOfOrder(ids, (each) => oldOrder.get(each) ?? 0)) moved.add(id);
  return kept.filter((id) => moved.has(id));
}

function pushTo(groups: Map<string, string[]>, key: string, item: string): void {
  const group = groups.get(key);
  if (group === undefined) groups.set(key, [item]);
  else group.push(item);
}

/** The fewest elements to take out so that the rest is in rising order. */
function outOfOrder(ids: readonly string[], rank: (id: string) => number): string[] {
  const tails: number[] = [];
  const previous: number[] = [];
  ids.forEach((id, index) => {
    let at = tails.findIndex((tail) => rank(ids[tail] as string) > rank(id));
    if (at === -1) at = tails.length;
    previous[index] = at === 0 ? -1 : (tails[at - 1] as number);
    tails[at] = index;
  });
  const inOrder = new Set<number>();
  for (let at = tails.at(-1) ?? -1; at !== -1; at = previous[at] as number) inOrder.add(at);
  return ids.filter((_, index) => !inOrder.has(index));
}
