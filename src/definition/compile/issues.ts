/** From zod's issues to problems of the language. */
import type { z } from 'zod';
import { isRecord } from '../blocks.js';
import { didYouMean } from '../nearest.js';
import { escapeToken } from '../pointer.js';
import type { ProblemCode } from '../problem.js';
import type { Compilation, Place } from './context.js';
import { inside } from './context.js';

export function reportIssues(
  issues: readonly z.core.$ZodIssue[],
  raw: unknown,
  schema: z.ZodObject,
  place: Place,
  compilation: Compilation,
): void {
  for (const issue of issues) reportIssue(issue, raw, schema, place, compilation);
}

function reportIssue(issue: z.core.$ZodIssue, raw: unknown, schema: z.ZodObject, place: Place, compilation: Compilation): void {
  const path = issue.path as (string | number)[];
  const here = inside(place, ...path);
  if (issue.code === 'unrecognized_keys') {
    const known = path.length === 0 ? Object.keys(schema.shape) : [];
    for (const key of issue.keys)
      compilation.error('unknown_field', inside(here, key), `There is no field ${key} here`, { suggestion: () => didYouMean(key, known) });
    return;
  }
  const name = path.length === 0 ? 'This' : path.map((segment) => escapeToken(segment)).join('.');
  if (valueAt(raw, path) === undefined) compilation.error('missing_field', here, `${name} is missing`);
  else compilation.error(codeOf(issue, path), here, `${name}: ${messageOf(issue)}`);
}

function codeOf(issue: z.core.$ZodIssue, path: readonly (string | number)[]): ProblemCode {
  if (issue.code === 'custom' && typeof issue.params?.['code'] === 'string') return issue.params['code'] as ProblemCode;
  return path.length === 1 && path[0] === 'id' ? 'invalid_step_id' : 'invalid_field';
}

function messageOf(issue: z.core.$ZodIssue): string {
  if (issue.code === 'custom') return issue.message;
  if (issue.code === 'invalid_union') return 'has the wrong type';
  if (issue.code === 'invalid_key') return 'this name is not allowed: letters, digits, _ and -, beginning with a letter or _';
  return issue.message.replace(/^Invalid input: /, '');
}

function valueAt(raw: unknown, path: readonly (string | number)[]): unknown {
  let value = raw;
  for (const segment of path) {
    if (Array.isArray(value)) value = value[Number(segment)];
    else value = isRecord(value) && Object.hasOwn(value, segment) ? value[segment] : undefined;
  }
  return value;
}
