import { ownProperty } from '../value-parts.js';
import type { Json, JsonObject } from '../value.js';
import type { Evaluation } from './evaluation.js';
import { ExpressionError } from './faults.js';

const MAX_DATA_DEPTH = 1_000;

/** `==`: null equals missing, otherwise strict by type; lists and objects by content, whatever the order of keys. */
export function areEqual(left: Json | undefined, right: Json | undefined, evaluation: Evaluation, depth = 0): boolean {
  if (left === null || left === undefined) return right === null || right === undefined;
  if (left === right) return true;
  if (typeof left !== 'object' || typeof right !== 'object' || right === null || right === undefined) return false;
  if (depth > MAX_DATA_DEPTH) throw new ExpressionError('The values compared are nested too deep', { limit: 'depth' });
  if (Array.isArray(left) !== Array.isArray(right)) return false;
  return Array.isArray(left)
    ? areListsEqual(left as readonly Json[], right as readonly Json[], evaluation, depth)
    : areObjectsEqual(left as JsonObject, right as JsonObject, evaluation, depth);
}

function areListsEqual(left: readonly Json[], right: readonly Json[], evaluation: Evaluation, depth: number): boolean {
  if (left.length !== right.length) return false;
  evaluation.spend(1 + (left.length >> 4));
  return left.every((item, index) => areEqual(item, right[index], evaluation, depth + 1));
}

function areObjectsEqual(left: JsonObject, right: JsonObject, evaluation: Evaluation, depth: number): boolean {
  const keys = Object.keys(left);
  if (keys.length !== Object.keys(right).length) return false;
  evaluation.spend(1 + (keys.length >> 4));
  return keys.every((key) => Object.hasOwn(right, key) && areEqual(ownProperty(left, key), ownProperty(right, key), evaluation, depth + 1));
}
