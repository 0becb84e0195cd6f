import { setOwn } from '../../value-parts.js';
import type { Json, JsonObject } from '../../value.js';
import type { Evaluation, Operand } from '../evaluation.js';
import { type LibraryFunction, isMissing, listArgument, objectArgument } from './arguments.js';
import { keyArgument } from './list-functions.js';

function listed(fn: string, list: (object: JsonObject) => Json[]): LibraryFunction {
  return ([operand], evaluation) => {
    const object = objectArgument(fn, operand, evaluation);
    const result = list(object);
    evaluation.produceList(result.length * 2);
    return result;
  };
}

function keySet(fn: string, operand: Operand, evaluation: Evaluation): Set<string> {
  return new Set(listArgument(fn, operand, evaluation).map((key) => String(keyArgument(fn, key, evaluation))));
}

function selected(fn: string, keeps: (isNamed: boolean) => boolean): LibraryFunction {
  return ([operand, named], evaluation) => {
    const object = objectArgument(fn, operand, evaluation);
    const keys = keySet(fn, named, evaluation);
    const result: { [key: string]: Json } = {};
    evaluation.produceList(Object.keys(object).length);
    for (const key of Object.keys(object)) if (keeps(keys.has(key))) setOwn(result, key, object[key] as Json);
    return result;
  };
}

const merge: LibraryFunction = ([a, b], evaluation) => {
  const left = isMissing(a) ? {} : objectArgument('merge', a, evaluation);
  const right = isMissing(b) ? {} : objectArgument('merge', b, evaluation);
  evaluation.produceList(Object.keys(left).length + Object.keys(right).length);
  return { ...left, ...right };
};

export const OBJECT_FUNCTIONS = {
  merge,
  keys: listed('keys', Object.keys),
  values: listed('values', Object.values),
  entries: listed('entries', (object) => Object.entries(object)),
  pick: selected('pick', (isNamed) => isNamed),
  omit: selected('omit', (isNamed) => !isNamed),
} satisfies { readonly [name: string]: LibraryFunction };
