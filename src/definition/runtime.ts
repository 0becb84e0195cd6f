/**
 * The door for code that may run in the workflow: evaluation, templates, scopes, values, durations, paths. What is behind it
 * imports no zod, no acorn and no node builtin.
 */
export { parseDuration, formatDuration, MAX_DURATION_MS } from './duration.js';
export { isHostBound } from './host-bound.js';
export { parseInstant, formatInstant } from './instant.js';
export {
  type PathSegment,
  IterationPathError,
  compareIterationPaths,
  formatIterationPath,
  innerPath,
  parseIterationPath,
} from './iteration-path.js';
export { LARGE_VALUE_BYTES, isLarge, jsonBytes, utf8Bytes, valueBytes } from './json-size.js';
export { parsePointer, toPointer } from './pointer.js';
export { type ScopeReader, type ScopeSlice, sliceReader } from './scope.js';
export { type Json, type JsonObject, type Ref, type Value, NULL_VALUE, plain, wholeRef } from './value.js';
export {
  type Part,
  containsRefs,
  listValue,
  objectValue,
  partAt,
  replaceRefs,
  setOwn,
  toDisplay,
  wholeRefOf,
  withRefs,
} from './value-parts.js';
export { evaluate, evaluateCondition, evaluateText, isTruthy } from './expression/evaluate.js';
export type { Mode } from './expression/evaluation.js';
export { type ExpressionErrorCode, ExpressionError, NeedsActivity, NeedsValues } from './expression/faults.js';
export { type Read, collectReads } from './expression/reads.js';
export { render } from './template/render.js';
export type * from './plan.js';
