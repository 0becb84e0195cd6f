import { partAt } from '../../value-parts.js';
import type { Json } from '../../value.js';
import { areEqual } from '../equality.js';
import { type Evaluation, Held, type Operand } from '../evaluation.js';
import { ExpressionError } from '../faults.js';
import { type LibraryFunction, isMissing, isObject, listArgument, textArgument, wholeNumberArgument, wrongArgument } from './arguments.js';

const exists: LibraryFunction = ([operand]) => !isMissing(operand);

const length: LibraryFunction = ([operand], evaluation) => {
  if (isMissing(operand)) return 0;
  const json = operand instanceof Held ? visiblePart(operand, evaluation) : operand;
  if (typeof json === 'string' || Array.isArray(json)) return json.length;
  if (isObject(json)) return Object.keys(json).length;
  throw wrongArgument('length', 'a text, a list or an object', json);
};

/** A list with references in it has a length without being read. */
function visiblePart(held: Held, evaluation: Evaluation): Json | undefined {
  return held.value.refs?.[''] === undefined ? held.value.v : evaluation.read(held);
}

const concat: LibraryFunction = ([a, b], evaluation) => {
  const [left, right] = [evaluation.read(a), evaluation.read(b)];
  if (typeof left === 'string' && typeof right === 'string') {
    evaluation.produce(left.length + right.length);
    return left + right;
  }
  const lists = [listArgument('concat', left, evaluation), listArgument('concat', right, evaluation)] as const;
  evaluation.produceList(lists[0].length + lists[1].length);
  return [...lists[0], ...lists[1]];
};

const append: LibraryFunction = ([operand, item], evaluation) => {
  const list = listArgument('append', operand, evaluation);
  evaluation.produceList(list.length + 1);
  return [...list, evaluation.read(item) ?? null];
};

const flatten: LibraryFunction = ([operand], evaluation) => {
  const list = listArgument('flatten', operand, evaluation);
  evaluation.produceList(list.reduce<number>((size, item) => size + (Array.isArray(item) ? item.length : 1), 0));
  return list.flat();
};

const range: LibraryFunction = (operands, evaluation) => {
  const [first = 0, second] = operands
    .filter((operand) => operand !== undefined)
    .map((operand) => wholeNumberArgument('range', operand, evaluation));
  const [from, to] = second === undefined ? [0, first] : [first, second];
  const size = Math.max(0, to - from);
  evaluation.produceList(size);
  return Array.from({ length: size }, (_, index) => from + index);
};

function elementAt(fn: string, indexOf: (length: number) => number): LibraryFunction {
  return ([operand], evaluation) => {
    if (isMissing(operand)) return undefined;
    const json = operand instanceof Held ? visiblePart(operand, evaluation) : operand;
    const index = indexOf(listArgument(fn, json, evaluation).length);
    return operand instanceof Held ? evaluation.partOf(operand, [index]) : (json as readonly Json[])[index];
  };
}

const slice: LibraryFunction = ([operand, from, to], evaluation) => {
  const json = evaluation.read(operand);
  const start = wholeNumberArgument('slice', from, evaluation);
  const end = to === undefined ? undefined : wholeNumberArgument('slice', to, evaluation);
  if (typeof json === 'string') {
    const part = json.slice(start, end);
    evaluation.produce(part.length);
    return part;
  }
  const part = listArgument('slice', json, evaluation).slice(start, end);
  evaluation.produceList(part.length);
  return part;
};

const unique: LibraryFunction = ([operand], evaluation) => {
  const list = listArgument('unique', operand, evaluation);
  evaluation.produceList(list.length);
  const scalars = new Set<Json>();
  const others: Json[] = [];
  return list.filter((item) => {
    if (typeof item !== 'object' || item === null) return !scalars.has(item) && scalars.add(item) !== undefined;
    evaluation.spend(others.length);
    return !others.some((other) => areEqual(other, item, evaluation)) && others.push(item) > 0;
  });
};

/** A computed key is text or a number; names that no path may have are refused here too. */
export function keyArgument(fn: string, operand: Operand, evaluation: Evaluation): string | number {
  const key = typeof operand === 'number' ? wholeNumberArgument(fn, operand, evaluation) : textArgument(fn, operand, evaluation);
  if (key === '__proto__' || key === 'prototype' || key === 'constructor')
    throw new ExpressionError(`${fn} does not read ${key}`, { function: fn });
  return key;
}

const get: LibraryFunction = ([operand, by, fallback], evaluation) => {
  const key = keyArgument('get', by, evaluation);
  const found = operand instanceof Held ? evaluation.partOf(operand, [key]) : plainPart(operand, key);
  return isMissing(found) ? (fallback ?? found) : found;
};

function plainPart(json: Json | undefined, key: string | number): Json | undefined {
  const part = partAt({ v: json ?? null }, [key]);
  return part.at === 'value' ? part.value.v : undefined;
}

export const LIST_FUNCTIONS = {
  exists,
  length,
  concat,
  append,
  flatten,
  range,
  slice,
  unique,
  get,
  first: elementAt('first', () => 0),
  last: elementAt('last', (size) => size - 1),
} satisfies { readonly [name: string]: LibraryFunction };
