/** Walks a compiled expression (design §3.2). Pure: no clock, no randomness; never changes what it reads. May run in the workflow. */
import type { Expr, Root } from '../plan.js';
import type { ScopeReader } from '../scope.js';
import { listValue, objectValue, ownProperty } from '../value-parts.js';
import type { Json, Value } from '../value.js';
import { Evaluation, Held, MAX_DEPTH, type Mode, type Operand, isTrue, toOperand, toValue } from './evaluation.js';
import { ExpressionError } from './faults.js';
import { callLambdaFunction, isLambdaName } from './functions/lambda-functions.js';
import { plainFunction } from './functions/registry.js';
import type { LambdaName } from './library.js';
import { applyBinary, applyUnary } from './operators.js';
import { textOf } from './text-of.js';

/** Parameters of arrow functions around this place, innermost first. */
interface Parameters {
  readonly name: string;
  readonly value: Operand;
  readonly outer: Parameters | undefined;
}

/**
 * The value of an expression; undefined for a missing one.
 * @throws ExpressionError code expression_error or secret_not_found; NeedsActivity in mode `host`; NeedsValues in mode `full`
 */
export function evaluate(expr: Expr, scope: ScopeReader, mode: Mode): Value | undefined {
  const operand = operandOf(expr, new Evaluation(scope, mode), undefined);
  return operand === undefined ? undefined : toValue(operand);
}

/** Whether a condition holds: truthiness as in JavaScript. @throws as evaluate */
export function evaluateCondition(expr: Expr, scope: ScopeReader, mode: Mode): boolean {
  return isTrue(operandOf(expr, new Evaluation(scope, mode), undefined));
}

/** The value as it stands in mixed text (also one quoted word of a bash step). @throws as evaluate */
export function evaluateText(expr: Expr, scope: ScopeReader, mode: Mode): string {
  const evaluation = new Evaluation(scope, mode);
  return textOf(operandOf(expr, evaluation, undefined), evaluation);
}

/** Truthiness of a value as conditions see it. */
export const isTruthy = (value: Value | undefined): boolean => value !== undefined && isTrue(toOperand(value));

function operandOf(expr: Expr, evaluation: Evaluation, parameters: Parameters | undefined): Operand {
  evaluation.spend(1);
  evaluation.depth += 1;
  if (evaluation.depth > MAX_DEPTH * 2) throw new ExpressionError('The expression is nested too deep', { limit: 'depth' });
  const operand = walk(expr, evaluation, parameters);
  evaluation.depth -= 1;
  return operand;
}

function walk(expr: Expr, evaluation: Evaluation, parameters: Parameters | undefined): Operand {
  switch (expr.k) {
    case 'lit':
      return expr.v;
    case 'path':
      return reported(expr, readPath(expr, evaluation, parameters), evaluation);
    case 'get':
      return descend(operandOf(expr.of, evaluation, parameters), expr.segments, 0, evaluation);
    case 'unary':
      return applyUnary(expr.op, operandOf(expr.of, evaluation, parameters), evaluation, expr.at);
    case 'logic':
      return logic(expr, evaluation, parameters);
    case 'binary':
      return binary(expr, evaluation, parameters);
    case 'cond':
      return operandOf(isTrue(operandOf(expr.test, evaluation, parameters)) ? expr.yes : expr.no, evaluation, parameters);
    case 'list':
      return list(expr, evaluation, parameters);
    case 'object':
      return object(expr, evaluation, parameters);
    case 'call':
      return call(expr, evaluation, parameters);
    case 'lambda':
      throw new ExpressionError('An arrow function stands where a value is needed');
  }
}

type Of<K extends Expr['k']> = Extract<Expr, { readonly k: K }>;

function reported(expr: Of<'path'>, operand: Operand, evaluation: Evaluation): Operand {
  if (operand === undefined && evaluation.scope.onMissing !== undefined) evaluation.missing(pathText(expr));
  return operand;
}

/** Where missing is what is asked for, it is no warning. */
function quietly(expr: Expr, evaluation: Evaluation, parameters: Parameters | undefined): Operand {
  evaluation.spend(1);
  if (expr.k === 'logic' && expr.op === '??')
    return quietly(expr.left, evaluation, parameters) ?? quietly(expr.right, evaluation, parameters);
  if (expr.k !== 'path') return operandOf(expr, evaluation, parameters);
  return readPath(expr, evaluation, parameters);
}

function readPath(expr: Of<'path'>, evaluation: Evaluation, parameters: Parameters | undefined): Operand {
  const { root, segments } = expr;
  if (root === 'secrets') return evaluation.secret(String(segments[0]));
  if (segments.length === 0) return wholeRoot(root as Root, evaluation);
  const name = String(segments[0]);
  for (let at = root === null ? parameters : undefined; at !== undefined; at = at.outer) {
    if (at.name === name) return descend(at.value, segments, 1, evaluation);
  }
  const value =
    root === null ? (evaluation.scope.get('local', name) ?? evaluation.scope.get('variables', name)) : evaluation.scope.get(root, name);
  return value === undefined ? undefined : descend(toOperand(value), segments, 1, evaluation);
}

function wholeRoot(root: Root, evaluation: Evaluation): Operand {
  const names = evaluation.scope.names(root);
  evaluation.produceList(names.length);
  const entries: [string, Value][] = [];
  for (const name of names) {
    const value = evaluation.scope.get(root, name);
    if (value !== undefined) entries.push([name, value]);
  }
  return toOperand(objectValue(entries));
}

function descend(operand: Operand, segments: readonly (string | number)[], from: number, evaluation: Evaluation): Operand {
  if (operand instanceof Held)
    return from === segments.length ? operand : evaluation.partOf(operand, from === 0 ? segments : segments.slice(from));
  let json = operand;
  for (let index = from; index < segments.length; index += 1) json = ownProperty(json, segments[index] as string | number);
  return json;
}

function logic(expr: Of<'logic'>, evaluation: Evaluation, parameters: Parameters | undefined): Operand {
  const left = expr.op === '??' ? quietly(expr.left, evaluation, parameters) : operandOf(expr.left, evaluation, parameters);
  const isSettled = expr.op === '??' ? left !== undefined && left !== null : isTrue(left) === (expr.op === '||');
  return isSettled ? left : operandOf(expr.right, evaluation, parameters);
}

function binary(expr: Of<'binary'>, evaluation: Evaluation, parameters: Parameters | undefined): Operand {
  const left = isNull(expr.right) ? quietly(expr.left, evaluation, parameters) : operandOf(expr.left, evaluation, parameters);
  const right = isNull(expr.left) ? quietly(expr.right, evaluation, parameters) : operandOf(expr.right, evaluation, parameters);
  return applyBinary(expr.op, left, right, evaluation, expr.at);
}

const isNull = (expr: Expr): boolean => expr.k === 'lit' && expr.v === null;

function list(expr: Of<'list'>, evaluation: Evaluation, parameters: Parameters | undefined): Operand {
  evaluation.produceList(expr.items.length);
  const items = expr.items.map((item) => operandOf(item, evaluation, parameters) ?? null);
  return items.some((item) => item instanceof Held) ? toOperand(listValue(items.map(toValue))) : (items as Json[]);
}

function object(expr: Of<'object'>, evaluation: Evaluation, parameters: Parameters | undefined): Operand {
  evaluation.produceList(expr.entries.length);
  return toOperand(
    objectValue(expr.entries.map(([key, entry]) => [key, toValue(operandOf(entry, evaluation, parameters) ?? null)] as const)),
  );
}

function call(expr: Of<'call'>, evaluation: Evaluation, parameters: Parameters | undefined): Operand {
  const { fn, args } = expr;
  if (isLambdaName(fn)) return callWithLambda(fn, expr, evaluation, parameters);
  const run = plainFunction(fn);
  if (run === undefined) throw new ExpressionError(`There is no function ${fn}`);
  const isQuiet = fn === 'exists' || fn === 'length';
  return run(
    args.map((arg) => (isQuiet ? quietly(arg, evaluation, parameters) : operandOf(arg, evaluation, parameters))),
    evaluation,
  );
}

function callWithLambda(fn: LambdaName, expr: Of<'call'>, evaluation: Evaluation, parameters: Parameters | undefined): Operand {
  const [source, lambda] = expr.args;
  if (source === undefined || lambda?.k !== 'lambda') throw new ExpressionError(`${fn} takes a list and an arrow function`);
  const apply = (item: Json): Operand => operandOf(lambda.body, evaluation, { name: lambda.param, value: item, outer: parameters });
  return callLambdaFunction(fn, operandOf(source, evaluation, parameters), apply, evaluation);
}

/** A path as its author would write it. */
export function pathText(expr: Of<'path'>): string {
  const [first = '', ...rest] = expr.root === null ? expr.segments : [expr.root, ...expr.segments];
  return (
    String(first) +
    rest
      .map((segment) =>
        typeof segment === 'number' ? `[${segment}]` : /^[A-Za-z_$][\w$]*$/.test(segment) ? `.${segment}` : `[${JSON.stringify(segment)}]`,
      )
      .join('')
  );
}
