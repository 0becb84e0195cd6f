/** From the text of an expression to the closed list of node kinds (design §3.2). Not for the workflow: it imports acorn. */
import type { CallExpression, Expression, MemberExpression, ObjectExpression, Property, SpreadElement } from 'acorn';
import { didYouMean } from '../nearest.js';
import type { BinaryOperator, Expr, Root } from '../plan.js';
import { LIBRARY, isForbiddenName, isFunctionName, type FunctionSignature } from './library.js';
import { type ExpressionFault, ParseFault } from './parse-fault.js';
import { MAX_NESTING, parseSyntax, tooDeep } from './syntax.js';

export interface ParseOptions {
  /** `secrets.NAME` may stand here: a field that an activity renders. */
  readonly secrets?: boolean;
  /** `event` is a root here: `match`. Elsewhere it is a name like any other. */
  readonly event?: boolean;
}

export type ParseResult = { readonly expr: Expr } | { readonly fault: ExpressionFault };

/** Reads one expression, bare. The first fault of it, if any, is given back as data. Pure. */
export function parseExpression(source: string, options: ParseOptions = {}): ParseResult {
  try {
    return { expr: toExpr(parseSyntax(source), { options, bound: [], depth: 1 }) };
  } catch (error) {
    if (error instanceof ParseFault) return { fault: error.toFault() };
    throw error;
  }
}

interface Place {
  readonly options: ParseOptions;
  /** Parameters of the arrow functions around. */
  readonly bound: readonly string[];
  readonly depth: number;
}

const BINARY: ReadonlySet<string> = new Set<BinaryOperator>([
  '==',
  '!=',
  '===',
  '!==',
  '<',
  '<=',
  '>',
  '>=',
  '+',
  '-',
  '*',
  '/',
  '%',
  'in',
]);
const ROOTS: ReadonlySet<string> = new Set<Root>(['variables', 'outputs', 'loop', 'execution', 'trigger', 'secrets']);

function toExpr(node: Expression | SpreadElement, outer: Place): Expr {
  if (outer.depth > MAX_NESTING) throw tooDeep(node.start);
  const place = { ...outer, depth: outer.depth + 1 };
  // oxlint-disable-next-line typescript/switch-exhaustiveness-check -- the list is closed: every other kind is refused by its name
  switch (node.type) {
    case 'Literal':
      return literal(node.value, node.start, 'regex' in node);
    case 'Identifier':
      return path(node.name, [], node.start, place);
    case 'MemberExpression':
      return member(node, place);
    case 'UnaryExpression':
      return unary(node.operator, node.argument, node.start, place);
    case 'LogicalExpression':
      return { k: 'logic', op: node.operator, left: toExpr(node.left, place), right: toExpr(node.right, place) };
    case 'BinaryExpression':
      return binary(node.operator, node.left, node.right, node.start, place);
    case 'ConditionalExpression':
      return { k: 'cond', test: toExpr(node.test, place), yes: toExpr(node.consequent, place), no: toExpr(node.alternate, place) };
    case 'ArrayExpression':
      return { k: 'list', items: node.elements.map((item) => toExpr(item ?? refuse('A list may not have holes', node.start), place)) };
    case 'ObjectExpression':
      return object(node, place);
    case 'CallExpression':
      return call(node, place);
    default:
      return refuse(...refusalOf(node.type), node.start);
  }
}

function refuse(message: string, at: number): never;
function refuse(message: string, suggestion: string | undefined, at: number): never;
function refuse(message: string, second: string | number | undefined, at?: number): never {
  throw typeof second === 'number' ? new ParseFault(message, second) : new ParseFault(message, at ?? 0, second);
}

const REFUSED: { readonly [type: string]: readonly [string, string?] } = {
  TemplateLiteral: ['Template literals are not part of the language', 'Join texts with +'],
  TaggedTemplateExpression: ['Template literals are not part of the language', 'Join texts with +'],
  ThisExpression: ['"this" is not part of the language'],
  NewExpression: ['"new" is not part of the language'],
  AssignmentExpression: ['An expression assigns nothing', 'Compare with ==; assign with a step of type set'],
  UpdateExpression: ['An expression assigns nothing', 'Write x + 1, in a step of type set'],
  SequenceExpression: ['One expression is expected, not several'],
  ArrowFunctionExpression: ['An arrow function may only be the second argument of map, filter, find, any, all, sortBy or groupBy'],
  FunctionExpression: ['Functions cannot be written', 'Use x => … in map, filter, find, any, all, sortBy or groupBy'],
  ChainExpression: ['?. is not part of the language', 'Write a plain dot: a missing path is no error'],
  SpreadElement: ['"..." is not part of the language', 'Use concat(a, b) or merge(a, b)'],
};

const refusalOf = (type: string): [string, string | undefined] => {
  const [message, suggestion] = REFUSED[type] ?? [`${type} is not part of the language`];
  return [message, suggestion];
};

function literal(value: unknown, at: number, isRegex: boolean): Expr {
  if (isRegex) return refuse('Regular expressions are written as text', 'matches(text, "pattern")', at);
  if (value === null || typeof value === 'string' || typeof value === 'boolean') return { k: 'lit', v: value };
  if (typeof value === 'number' && Number.isFinite(value)) return { k: 'lit', v: value };
  return refuse('This number cannot be used', at);
}

/** A path from its first name on; segments follow. */
function path(name: string, segments: readonly (string | number)[], at: number, { bound, options }: Place): Expr {
  if (bound.includes(name)) return { k: 'path', root: null, segments: [name, ...segments], at };
  if (name === 'undefined' && segments.length === 0) return { k: 'lit', v: null };
  refuseForbidden(name, at);
  if (name === 'trigger') return { k: 'path', root: 'variables', segments: ['_trigger', ...segments], at };
  if (name === 'secrets') return secret(segments, at, options);
  const isRoot = ROOTS.has(name) || (name === 'event' && options.event === true);
  return isRoot ? { k: 'path', root: name as Root, segments, at } : { k: 'path', root: null, segments: [name, ...segments], at };
}

function secret(segments: readonly (string | number)[], at: number, options: ParseOptions): Expr {
  if (segments.length !== 1 || typeof segments[0] !== 'string') return refuse('A secret is read by its name: secrets.NAME', at);
  if (options.secrets !== true)
    throw new ParseFault('secrets.* may only be used in the fields of tool, bash, notify and agent_prompt steps', at, undefined, true);
  return { k: 'path', root: 'secrets', segments, at };
}

function refuseForbidden(name: string, at: number): void {
  if (isForbiddenName(name)) refuse(`${name} may not be used`, at);
}

function member(node: MemberExpression, place: Place): Expr {
  const segments: (string | number)[] = [];
  let base: MemberExpression['object'] = node;
  while (base.type === 'MemberExpression') {
    segments.unshift(segmentOf(base));
    base = base.object;
  }
  if (base.type === 'Super') return refuse('"super" is not part of the language', base.start);
  if (base.type === 'Identifier') return path(base.name, segments, base.start, place);
  return { k: 'get', of: toExpr(base, place), segments, at: node.start };
}

function segmentOf({ property, computed, optional }: MemberExpression): string | number {
  const at = property.start;
  if (optional) return refuse(...refusalOf('ChainExpression'), at);
  if (property.type === 'PrivateIdentifier') return refuse('Names beginning with # are not part of the language', at);
  if (!computed && property.type === 'Identifier') return checkedKey(property.name, at);
  if (property.type === 'Literal' && typeof property.value === 'string') return checkedKey(property.value, at);
  if (property.type === 'Literal' && typeof property.value === 'number' && Number.isSafeInteger(property.value)) return property.value;
  if (property.type === 'UnaryExpression') return refuse('An index counts from 0', 'Use last(list) or slice(list, -2)', at);
  return refuse('Only a text or a number may stand in [ ]', 'Use get(x, key) for a computed key', at);
}

function checkedKey(key: string, at: number): string {
  refuseForbidden(key, at);
  return key;
}

function unary(op: string, argument: Expression, at: number, place: Place): Expr {
  if (op !== '!' && op !== '-' && op !== '+') return refuse(`The operator ${op} is not part of the language`, at);
  const of = toExpr(argument, place);
  if (op === '-' && of.k === 'lit' && typeof of.v === 'number') return { k: 'lit', v: 0 - of.v };
  return { k: 'unary', op, of, at };
}

function binary(
  op: string,
  left: Expression | { type: 'PrivateIdentifier'; start: number },
  right: Expression,
  at: number,
  place: Place,
): Expr {
  if (left.type === 'PrivateIdentifier') return refuse('Names beginning with # are not part of the language', left.start);
  if (!BINARY.has(op))
    return refuse(`The operator ${op} is not part of the language`, op === '|' ? 'Call functions as name(x)' : undefined, at);
  return { k: 'binary', op: op as BinaryOperator, left: toExpr(left, place), right: toExpr(right, place), at };
}

function object(node: ObjectExpression, place: Place): Expr {
  const entries = node.properties.map((property): readonly [string, Expr] => {
    if (property.type === 'SpreadElement') return refuse(...refusalOf('SpreadElement'), property.start);
    if (property.kind !== 'init' || property.method || property.computed)
      return refuse('An object takes plain keys and values', property.start);
    return [checkedKey(keyOf(property), property.start), toExpr(property.value, place)];
  });
  return { k: 'object', entries };
}

function keyOf({ key }: Property): string {
  if (key.type === 'Identifier') return key.name;
  if (key.type === 'Literal' && (typeof key.value === 'string' || typeof key.value === 'number')) return String(key.value);
  return refuse('An object takes plain keys and values', key.start);
}

/** What people write as methods, and how it is written here. */
const METHODS: { readonly [method: string]: string } = {
  includes: 'contains',
  toLowerCase: 'lower',
  toUpperCase: 'upper',
  some: 'any',
  every: 'all',
  replaceAll: 'replace',
  toString: 'string',
  sort: 'sortBy',
  test: 'matches',
  push: 'append',
};

function call(node: CallExpression, place: Place): Expr {
  const { callee } = node;
  if (node.optional) return refuse(...refusalOf('ChainExpression'), node.start);
  if (callee.type === 'MemberExpression') return refuseMethod(callee);
  if (callee.type !== 'Identifier') return refuse('Functions are called by name', callee.start);
  const fn = callee.name;
  if (!isFunctionName(fn)) return refuse(`There is no function ${fn}`, didYouMean(fn, Object.keys(LIBRARY)), callee.start);
  const signature: FunctionSignature = LIBRARY[fn];
  const count = node.arguments.length;
  if (count < signature.min || count > signature.max)
    return refuse(`${fn} got ${count} argument${count === 1 ? '' : 's'}`, `Write ${signature.usage}`, node.start);
  const args = node.arguments.map((argument, index) =>
    signature.lambda === true && index === 1 ? lambda(argument, fn, place) : toExpr(argument, place),
  );
  return { k: 'call', fn, args, at: node.start };
}

function refuseMethod(callee: MemberExpression): never {
  const method = callee.property.type === 'Identifier' ? callee.property.name : '';
  const fn = Object.hasOwn(METHODS, method) ? METHODS[method] : method;
  const usage = fn !== undefined && isFunctionName(fn) ? `Write ${LIBRARY[fn].usage}` : undefined;
  return refuse('Values have no methods: functions are called by name', usage, callee.property.start);
}

function lambda(node: Expression | SpreadElement, fn: string, place: Place): Expr {
  if (node.type !== 'ArrowFunctionExpression')
    return refuse(`The second argument of ${fn} is an arrow function`, `Write ${LIBRARY[fn as 'map'].usage}`, node.start);
  const [param, ...more] = node.params;
  const isPlain = !node.async && more.length === 0 && param?.type === 'Identifier' && node.body.type !== 'BlockStatement';
  if (!isPlain) return refuse('An arrow function here takes one name and gives one expression: x => …', node.start);
  refuseForbidden(param.name, param.start);
  return { k: 'lambda', param: param.name, body: toExpr(node.body as Expression, { ...place, bound: [...place.bound, param.name] }) };
}
