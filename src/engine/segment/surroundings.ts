/** What lies around a fiber that a segment takes along: the frames of the fibers that it works for, with the names that the plan reads. */
import { collectReads, type Expr, type Plan, type Template, type Value } from '../../definition/runtime.js';
import type { Run } from '../run.js';
import { itemOf, ownerFrame, own, put } from '../scopes.js';
import type { Fiber, Frame, Scope } from '../state.js';

/** The fibers around it, outermost last: they are read, never run. */
export function surroundingsOf(run: Run, fiber: Fiber): Fiber[] {
  const around: Fiber[] = [];
  const names = readsOf(run.plan);
  for (let parent = parentOf(run, fiber); parent !== undefined; parent = parentOf(run, parent)) around.push(slimFiber(run, parent, names));
  return around;
}

function slimFiber(run: Run, fiber: Fiber, names: Names): Fiber {
  const frames = fiber.frames.map((frame, index) => slimFrame(run, fiber, frame, index, names));
  return { ...fiber, frames, wait: { on: 'children' }, call: null, unwinds: [], cleanupTimer: null };
}

const parentOf = (run: Run, fiber: Fiber): Fiber | undefined => (fiber.parent === null ? undefined : run.fiber(fiber.parent.fiber));

/** A container's own data stays behind, besides what its pass reads of it: its item. */
function slimFrame(run: Run, fiber: Fiber, frame: Frame, index: number, names: Names): Frame {
  if (frame.k === 'step') {
    const { input: _input, answers: _answers, warnings: _warnings, ...rest } = frame;
    return { ...rest, data: null, end: null };
  }
  const { answers: _answers, ...block } = frame;
  const item = frame.pass === undefined ? undefined : itemOf(frame, ownerFrame(run, fiber, index));
  return {
    ...block,
    last: { v: null },
    ...(frame.scope === undefined ? {} : { scope: slimScope(frame.scope, names) }),
    ...(frame.pass === undefined || item === undefined ? {} : { pass: { ...frame.pass, item } }),
  };
}

function slimScope(scope: Scope, names: Names): Scope {
  return { variables: only(scope.variables, names.variables), outputs: only(scope.outputs, names.outputs) };
}

function only(values: Readonly<Record<string, Value>>, names: ReadonlySet<string>): Record<string, Value> {
  if (names.has('*')) return { ...values };
  const kept: Record<string, Value> = {};
  for (const name of Object.keys(values)) if (names.has(name)) put(kept, name, own(values, name) as Value);
  return kept;
}

interface Names {
  readonly variables: ReadonlySet<string>;
  readonly outputs: ReadonlySet<string>;
}

const reads = new WeakMap<Plan, Names>();

/** Every name that some expression of the plan's steps reads; `*` where one reads them all. */
function readsOf(plan: Plan): Names {
  const known = reads.get(plan);
  if (known !== undefined) return known;
  const sources: (Expr | Template)[] = [];
  collectSources(plan.steps, sources);
  const found = collectReads(...sources);
  const under = (...roots: readonly string[]) => new Set(found.filter(({ root }) => roots.includes(root)).map(({ name }) => name));
  const names = { variables: under('variables'), outputs: under('outputs') };
  reads.set(plan, names);
  return names;
}

/** Fields of steps that hold a user's JSON, in which nothing is an expression. */
const DATA_FIELDS: ReadonlySet<string> = new Set(['outputSchema', 'form']);

/** Expressions and templates are the objects with a `k`; what lies below them is theirs. */
function collectSources(node: unknown, into: (Expr | Template)[]): void {
  if (Array.isArray(node)) for (const item of node) collectSources(item, into);
  else if (typeof node === 'object' && node !== null) {
    if (typeof (node as { k?: unknown }).k === 'string') into.push(node as Expr | Template);
    else for (const [name, value] of Object.entries(node)) if (!DATA_FIELDS.has(name)) collectSources(value, into);
  }
}
