/** What the functions of the library share: reading an argument of the right kind. */
import type { Json, JsonObject } from '../../value.js';
import { type Evaluation, type Operand, kindOf } from '../evaluation.js';
import { ExpressionError } from '../faults.js';

/** A function of the library. Arguments are counted by the parser; `operands` may be shorter when one was left out. */
export type LibraryFunction = (operands: readonly Operand[], evaluation: Evaluation) => Operand;

function wrong(fn: string, expected: string, got: Operand): ExpressionError {
  return new ExpressionError(`${fn} takes ${expected}; it got ${kindOf(got)}`, { function: fn });
}

export function textArgument(fn: string, operand: Operand, evaluation: Evaluation): string {
  const json = evaluation.read(operand);
  if (typeof json !== 'string') throw wrong(fn, 'a text', json);
  evaluation.spend(json.length >> 10);
  return json;
}

export function numberArgument(fn: string, operand: Operand, evaluation: Evaluation): number {
  const json = evaluation.read(operand);
  if (typeof json !== 'number') throw wrong(fn, 'a number', json);
  return json;
}

export function wholeNumberArgument(fn: string, operand: Operand, evaluation: Evaluation): number {
  const number = numberArgument(fn, operand, evaluation);
  if (!Number.isSafeInteger(number)) throw wrong(fn, 'a whole number', number);
  return number;
}

export function listArgument(fn: string, operand: Operand, evaluation: Evaluation): readonly Json[] {
  const json = evaluation.read(operand);
  if (!Array.isArray(json)) throw wrong(fn, 'a list', json);
  evaluation.spend(json.length >> 6);
  return json as readonly Json[];
}

export const isObject = (json: Json | undefined): json is JsonObject => typeof json === 'object' && json !== null && !Array.isArray(json);

export function objectArgument(fn: string, operand: Operand, evaluation: Evaluation): JsonObject {
  const json = evaluation.read(operand);
  if (!isObject(json)) throw wrong(fn, 'an object', json);
  return json;
}

export const isMissing = (operand: Operand): operand is null | undefined => operand === null || operand === undefined;

export { wrong as wrongArgument };
