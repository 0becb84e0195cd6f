/** Steps that contain steps: conditional, switch, loop, parallel, try. */
import { isRecord, walkSteps } from '../blocks.js';
import type { Segment } from '../pointer.js';
import type { Block, ConditionalPlan, LoopPlan, ParallelPlan, SwitchPlan, Template, TryPlan } from '../plan.js';
import type { Lenient } from '../schema/lenient-parse.js';
import type { ConditionalSchema, LoopSchema, ParallelSchema, SwitchSchema, TrySchema } from '../schema/steps.js';
import { type Place, Published } from './context.js';
import { NOTHING, compileExpression, compileTemplate, constantOf } from './expressions.js';
import { given } from './given.js';
import { requireOneOf } from './pure-steps.js';
import { type StepSource, compileCommon } from './step-common.js';

/** Compiles the list of steps at a place; given in, as blocks and steps contain each other. */
export type CompileBlock = (steps: readonly unknown[], place: Place) => Block;

/** Names under which steps publish, at any depth: the output variable, else the id. */
export function* publishedNames(steps: readonly unknown[]): Generator<string> {
  for (const { step } of walkSteps(steps, [])) {
    const name = step['outputVariable'] ?? step['id'];
    if (typeof name === 'string') yield name;
  }
}

/** A container while it is compiled. What a slot publishes is seen in it, and by others only when they are told. */
class Container {
  constructor(
    readonly source: StepSource,
    readonly compileBlock: CompileBlock,
    readonly published = new Published(source.place.published),
  ) {}

  place(path: readonly Segment[], more: Partial<Pick<Place, 'locals' | 'published'>> = {}): Place {
    return { ...this.source.place, published: this.published, ...more, path: [...this.source.place.path, ...path] };
  }

  /** A slot of its own sight. */
  block(path: readonly Segment[], more: Partial<Pick<Place, 'locals' | 'published'>> = {}): Block | undefined {
    const steps = this.stepsAt(path);
    return steps === undefined
      ? undefined
      : this.compileBlock(steps, this.place(path, { published: new Published(this.published), ...more }));
  }

  stepsAt(path: readonly Segment[]): readonly unknown[] | undefined {
    let value: unknown = this.source.raw;
    for (const segment of path)
      value = Array.isArray(value) ? (value as unknown[])[Number(segment)] : isRecord(value) ? value[segment] : undefined;
    return Array.isArray(value) ? value : undefined;
  }

  /** From here on, what these slots publish is seen in the container. */
  reveal(...paths: readonly (readonly Segment[])[]): void {
    for (const path of paths) this.published.add(publishedNames(this.stepsAt(path) ?? []));
  }

  warnUnreachable(path: readonly Segment[], message: string): void {
    this.source.compilation.warn('unreachable_branch', this.place(path), message);
  }
}

export function compileConditional(
  source: StepSource,
  fields: Lenient<typeof ConditionalSchema>,
  compileBlock: CompileBlock,
): ConditionalPlan {
  const container = new Container(source, compileBlock);
  const condition = source.expression('condition') ?? NOTHING;
  const constant = constantOf(condition);
  if (constant === false) container.warnUnreachable(['then'], 'This branch never runs: the condition is always false');
  if (constant === true && source.has('else')) container.warnUnreachable(['else'], 'This branch never runs: the condition is always true');
  // oxlint-disable-next-line unicorn/no-thenable -- the word of the language; never awaited
  return given({
    ...compileCommon(source, fields, false),
    type: 'conditional' as const,
    condition,
    then: container.block(['then']) ?? [],
    else: container.block(['else']),
  });
}

export function compileSwitch(source: StepSource, fields: Lenient<typeof SwitchSchema>, compileBlock: CompileBlock): SwitchPlan {
  const container = new Container(source, compileBlock);
  let isSettled = false;
  const cases = (fields.cases ?? []).map((each, index) => {
    const when =
      each.when === undefined ? NOTHING : compileExpression(each.when, container.place(['cases', index, 'when']), source.compilation);
    const constant = constantOf(when);
    if (isSettled || constant === false)
      container.warnUnreachable(
        ['cases', index],
        isSettled ? 'This case never runs: an earlier one is always true' : 'This case never runs: its condition is always false',
      );
    isSettled ||= constant === true;
    return { when, steps: container.block(['cases', index, 'steps']) ?? [] };
  });
  if (isSettled && source.has('default')) container.warnUnreachable(['default'], 'The default never runs: a case is always true');
  return given({ ...compileCommon(source, fields, false), type: 'switch' as const, cases, default: container.block(['default']) });
}

export function compileLoop(source: StepSource, fields: Lenient<typeof LoopSchema>, compileBlock: CompileBlock): LoopPlan {
  const [itemVar, indexVar, concurrency] = [fields.itemVar ?? 'item', fields.indexVar ?? 'index', fields.concurrency ?? 1];
  checkLoop(source, itemVar, indexVar, concurrency);
  const common = compileCommon(source, fields, false);
  const over = compileOver(source);
  const container = new Container(source, compileBlock);
  const passLocals = [...source.place.locals, itemVar, indexVar];
  // Passes at once do not see each other; one after the other, a step may read what a later one published in the pass before.
  const [seen, before] = [container.published, source.place.published];
  if (concurrency === 1) container.reveal(['steps']);
  const condition = source.expression('while', container.place([]));
  if (condition !== undefined && constantOf(condition) === false)
    container.warnUnreachable(['steps'], 'The loop never runs: its condition is always false');
  const steps = container.block(['steps'], { locals: passLocals, published: new Published(concurrency === 1 ? seen : before) }) ?? [];
  container.reveal(['steps']);
  const after = container.place([], { locals: passLocals });
  return given({
    ...common,
    type: 'loop' as const,
    over,
    while: condition,
    until: source.expression('until', after),
    itemVar,
    indexVar,
    steps,
    concurrency,
    maxIterations: fields.maxIterations ?? 10_000,
    onItemError: fields.onItemError ?? ('fail' as const),
    collect: source.expression('collect', after),
  });
}

function compileOver(source: StepSource): Template | undefined {
  const over = source.raw['over'];
  if (typeof over === 'string') return { k: 'expr', e: compileExpression(over, source.at('over'), source.compilation) };
  return Array.isArray(over) ? compileTemplate(over, source.at('over'), source.compilation) : undefined;
}

function checkLoop(source: StepSource, itemVar: string, indexVar: string, concurrency: number): void {
  const { compilation } = source;
  requireOneOf(source, 'over', 'while');
  if (itemVar === indexVar) compilation.error('invalid_field', source.at('indexVar'), 'itemVar and indexVar are the same name');
  if (concurrency > 1 && source.has('while'))
    compilation.error('invalid_field', source.at('concurrency'), 'concurrency: a loop with while runs one pass after the other');
  for (const [key, name] of [
    ['itemVar', itemVar],
    ['indexVar', indexVar],
  ] as const)
    warnOfShadow(source, key, name);
}

function warnOfShadow(source: StepSource, key: string, name: string, place: Place = source.at(key)): void {
  const isWritten = source.has(key) || key === 'as';
  if (source.compilation.declared.has(name))
    source.compilation.warn('id_shadowed', place, `${name} hides the variable of the same name; it stays readable as variables.${name}`);
  else if (isWritten && source.place.locals.includes(name))
    source.compilation.warn('id_shadowed', place, `${name} hides the ${name} of a step around it`);
}

export function compileParallel(source: StepSource, fields: Lenient<typeof ParallelSchema>, compileBlock: CompileBlock): ParallelPlan {
  requireOneOf(source, 'branches', 'steps');
  const container = new Container(source, compileBlock);
  const branches = source.has('branches') ? namedBranches(container, fields) : stepBranches(container);
  const wait = waitOf(fields.wait);
  if (typeof wait === 'number' && branches.length > 0 && wait > branches.length)
    source.compilation.error('invalid_field', source.at('wait'), `wait: there are only ${branches.length} branches`);
  return given({
    ...compileCommon(source, fields, false),
    type: 'parallel' as const,
    branches,
    wait,
    onBranchError: fields.onBranchError ?? ('fail' as const),
  });
}

type Branches = ParallelPlan['branches'];

function namedBranches(container: Container, fields: Lenient<typeof ParallelSchema>): Branches {
  const seen = new Set<string>();
  return (fields.branches ?? []).map((branch, index) => {
    const id = branch.id ?? '';
    if (id !== '' && seen.has(id))
      container.source.compilation.error('duplicate_step_id', container.place(['branches', index, 'id']), `Two branches are named ${id}`);
    seen.add(id);
    return { id, steps: container.block(['branches', index, 'steps']) ?? [] };
  });
}

/** Each step is a branch, named by its id. */
function stepBranches(container: Container): Branches {
  const steps = container.stepsAt(['steps']) ?? [];
  return steps.map((step, index) => {
    const place = container.place(['steps'], { published: new Published(container.published) });
    return {
      id: isRecord(step) && typeof step['id'] === 'string' ? step['id'] : '',
      steps: container.compileBlock([step], { ...place, from: index }),
    };
  });
}

function waitOf(wait: Lenient<typeof ParallelSchema>['wait']): 'all' | number {
  if (wait === undefined || wait === 'all') return 'all';
  return wait === 'any' ? 1 : Number(wait);
}

export function compileTry(source: StepSource, fields: Lenient<typeof TrySchema>, compileBlock: CompileBlock): TryPlan {
  const container = new Container(source, compileBlock);
  const steps = container.block(['steps']) ?? [];
  container.reveal(['steps']);
  const handlers = (fields.catch ?? []).map((handler, index) => {
    if (handler.as !== undefined) warnOfShadow(source, 'as', handler.as, source.at('catch', index, 'as'));
    const locals = handler.as === undefined ? source.place.locals : [...source.place.locals, handler.as];
    return given({ codes: handler.codes ?? ['*'], as: handler.as, steps: container.block(['catch', index, 'steps'], { locals }) ?? [] });
  });
  container.reveal(...handlers.map((_, index) => ['catch', index, 'steps'] as const));
  return given({
    ...compileCommon(source, fields, false),
    type: 'try' as const,
    steps,
    catch: handlers,
    finally: container.block(['finally']),
  });
}
