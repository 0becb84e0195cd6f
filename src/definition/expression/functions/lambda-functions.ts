import { setOwn } from '../../value-parts.js';
import type { Json } from '../../value.js';
import { type Evaluation, type Operand, isTrue } from '../evaluation.js';
import type { LambdaName } from '../library.js';
import { textOf } from '../text-of.js';
import { isMissing, listArgument } from './arguments.js';

/** Evaluates the arrow function's body for one element. */
export type Apply = (item: Json) => Operand;
type LambdaFunction = (list: readonly Json[], apply: Apply, evaluation: Evaluation) => Operand;

const map: LambdaFunction = (list, apply, evaluation) => {
  evaluation.produceList(list.length);
  return list.map((item) => evaluation.read(apply(item)) ?? null);
};

const filter: LambdaFunction = (list, apply, evaluation) => {
  evaluation.produceList(list.length);
  return list.filter((item) => isTrue(apply(item)));
};

/** Numbers before texts before booleans before all else. */
const rank = (key: Json | undefined): number => ({ number: 0, string: 1, boolean: 2 })[typeof key as 'number'] ?? 3;

function compareKeys(left: Json | undefined, right: Json | undefined): number {
  const ranks = rank(left) - rank(right);
  if (ranks !== 0 || rank(left) === 3) return ranks;
  return (left as number) < (right as number) ? -1 : (left as number) > (right as number) ? 1 : 0;
}

const sortBy: LambdaFunction = (list, apply, evaluation) => {
  evaluation.produceList(list.length * 2);
  const keyed = list.map((item) => ({ item, key: evaluation.read(apply(item)) }));
  return keyed.toSorted((left, right) => compareKeys(left.key, right.key)).map(({ item }) => item);
};

const groupBy: LambdaFunction = (list, apply, evaluation) => {
  evaluation.produceList(list.length * 2);
  const groups = new Map<string, Json[]>();
  for (const item of list) {
    const key = textOf(apply(item), evaluation);
    const group = groups.get(key);
    if (group === undefined) groups.set(key, [item]);
    else group.push(item);
  }
  const result: { [key: string]: Json } = {};
  for (const [key, items] of groups) setOwn(result, key, items);
  return result;
};

const FUNCTIONS: { readonly [name in LambdaName]: LambdaFunction } = {
  map,
  filter,
  sortBy,
  groupBy,
  find: (list, apply) => list.find((item) => isTrue(apply(item))),
  any: (list, apply) => list.some((item) => isTrue(apply(item))),
  all: (list, apply) => list.every((item) => isTrue(apply(item))),
};

/** Calls one of the functions that take an arrow function. `any` of nothing is false. */
export function callLambdaFunction(fn: LambdaName, operand: Operand, apply: Apply, evaluation: Evaluation): Operand {
  if (fn === 'any' && isMissing(operand)) return false;
  return FUNCTIONS[fn](listArgument(fn, operand, evaluation), apply, evaluation);
}

export const isLambdaName = (name: string): name is LambdaName => Object.hasOwn(FUNCTIONS, name);
