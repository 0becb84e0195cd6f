/** Expressions and templates of a definition, compiled where they stand: parsed, and what they read looked at. */
import { isRecord } from '../blocks.js';
import { evaluateCondition } from '../expression/evaluate.js';
import { type ParseOptions, parseExpression } from '../expression/parse.js';
import { childrenOf } from '../expression/reads.js';
import { didYouMean } from '../nearest.js';
import type { Expr, Template } from '../plan.js';
import { setOwn } from '../value-parts.js';
import type { Json } from '../value.js';
import { parseTextParts, textTemplate, unwrapCondition } from '../template/parse-template.js';
import { type Compilation, type Place, inside } from './context.js';

/** Stands in for what is missing or did not parse: the problem is reported, and there will be no plan. A path, as a literal would be taken for constant. */
export const NOTHING: Expr = { k: 'path', root: null, segments: [''] };

export function compileExpression(source: unknown, place: Place, compilation: Compilation, options: ParseOptions = {}): Expr {
  if (typeof source === 'boolean') return { k: 'lit', v: source };
  if (typeof source !== 'string') return NOTHING;
  if (!compilation.takeExpressions(1, place)) return NOTHING;
  const bare = unwrapCondition(source);
  const result = parseExpression(bare.source, options);
  if ('fault' in result) {
    compilation.fault(result.fault, place, bare.at);
    return NOTHING;
  }
  lintReads(result.expr, place, compilation, bare.at);
  return result.expr;
}

export function compileText(text: string, place: Place, compilation: Compilation, options: ParseOptions = {}): readonly (string | Expr)[] {
  if (!compilation.takeExpressions(text.split('{{').length - 1, place)) return [text];
  const { parts, offsets, faults } = parseTextParts(text, options);
  for (const fault of faults) compilation.fault(fault, place);
  for (const [index, part] of parts.entries()) if (typeof part !== 'string') lintReads(part, place, compilation, offsets[index] ?? 0);
  return parts;
}

/** Texts at any depth may have tokens; everything else is as written. Objects and lists without tokens become one literal. */
export function compileTemplate(json: unknown, place: Place, compilation: Compilation, options: ParseOptions = {}): Template {
  if (typeof json === 'string')
    return json.includes('{{') ? textTemplate(compileText(json, place, compilation, options)) : { k: 'lit', v: json };
  if (Array.isArray(json)) {
    const items = json.map((item: unknown, index) => compileTemplate(item, inside(place, index), compilation, options));
    return items.every(isLiteral) ? { k: 'lit', v: items.map(({ v }) => v) } : { k: 'list', items };
  }
  if (!isRecord(json)) return { k: 'lit', v: (json ?? null) as Json };
  const entries = Object.keys(json).map((key) => [key, compileTemplate(json[key], inside(place, key), compilation, options)] as const);
  if (!entries.every((entry): entry is readonly [string, Literal] => isLiteral(entry[1]))) return { k: 'object', entries };
  const v: { [key: string]: Json } = {};
  for (const [key, literal] of entries) setOwn(v, key, literal.v);
  return { k: 'lit', v };
}

type Literal = Extract<Template, { readonly k: 'lit' }>;
const isLiteral = (template: Template): template is Literal => template.k === 'lit';

type Path = Extract<Expr, { readonly k: 'path' }>;

/** Warns of names that nothing can have given a value when the expression is evaluated. */
function lintReads(expr: Expr, place: Place, compilation: Compilation, offset: number, bound: readonly string[] = []): void {
  if (expr.k === 'path') lintPath(expr, place, compilation, offset, bound);
  const inner = expr.k === 'lambda' ? [...bound, expr.param] : bound;
  for (const child of childrenOf(expr)) lintReads(child, place, compilation, offset, inner);
}

function lintPath(path: Path, place: Place, compilation: Compilation, offset: number, bound: readonly string[]): void {
  const name = path.segments[0];
  if (typeof name !== 'string') return;
  const column = (path.at ?? 0) + offset + 1;
  if (path.root === 'outputs' && !place.published.has(name)) warnOfOutput(name, column, place, compilation);
  const isLocal = path.root === null && (bound.includes(name) || place.locals.includes(name));
  const isVariable = path.root === null || path.root === 'variables';
  if (!isVariable || isLocal || name.startsWith('_') || compilation.variables.has(name)) return;
  const suggestion = (): string | undefined =>
    path.root === null && compilation.outputs.has(name) ? `Write outputs.${name}` : didYouMean(name, namesInSight(place, compilation));
  compilation.warn('unknown_variable', place, `No variable ${name} is declared or set (column ${column})`, { column, suggestion });
}

function* namesInSight(place: Place, compilation: Compilation): Generator<string> {
  yield* place.locals;
  yield* compilation.variables;
}

function warnOfOutput(name: string, column: number, place: Place, compilation: Compilation): void {
  const isLater = compilation.outputs.has(name);
  const message = isLater ? `outputs.${name} is read before any step could publish it` : `No step publishes outputs.${name}`;
  compilation.warn('output_not_yet_published', place, `${message} (column ${column})`, {
    column,
    suggestion: () => (isLater ? undefined : didYouMean(name, compilation.outputs)),
  });
}

/** What a condition always is, if it reads nothing. */
export function constantOf(expr: Expr): boolean | undefined {
  if (!isConstant(expr)) return undefined;
  try {
    return evaluateCondition(expr, { get: () => undefined, names: () => [], nowMs: 0 }, 'host');
  } catch {
    return undefined;
  }
}

const isConstant = (expr: Expr): boolean =>
  expr.k !== 'path' && expr.k !== 'call' && expr.k !== 'lambda' && childrenOf(expr).every(isConstant);
