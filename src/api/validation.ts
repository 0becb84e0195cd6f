/** zod's issues as problems: one for each fault, with its pointer. Pure. */
import type { z } from 'zod';
import { AppError } from '../errors.js';
import { pointerSegment } from './json-limits.js';
import type { Problem } from './problem.js';

/** Problems of one part of a request. `base` is '' for the body, '/query' and '/headers' for the others. */
export function problemsOf(error: z.ZodError, base: string): Problem[] {
  return error.issues.flatMap((issue) => {
    if (issue.code === 'unrecognized_keys') return issue.keys.map((key) => unknownField(pointer(base, [...issue.path, key]), key));
    return [fault(issue, pointer(base, issue.path))];
  });
}

const pointer = (base: string, path: readonly PropertyKey[]): string => base + path.map((key) => `/${pointerSegment(key)}`).join('');

const unknownField = (path: string, key: string): Problem => ({
  code: 'unknown_field',
  severity: 'error',
  path,
  message: `There is no field ${JSON.stringify(key.slice(0, 100))} here`,
});

function fault(issue: z.core.$ZodIssue, path: string): Problem {
  const isMissing = issue.code === 'invalid_type' && issue.message.endsWith('received undefined');
  if (!isMissing) return { code: 'invalid_field', severity: 'error', path, message: issue.message };
  const name = path.slice(path.lastIndexOf('/') + 1);
  // A field that takes anything expects "nonoptional", which says nothing to whoever has left it out.
  const expected = issue.expected === 'nonoptional' ? '' : `: expected ${issue.expected}`;
  return { code: 'missing_field', severity: 'error', path, message: `${name === '' ? 'The body' : name} is required${expected}` };
}

/** @returns the error of a request that has these faults */
export function validationFailed(problems: readonly Problem[]): AppError<'validation_failed'> {
  const first = problems[0];
  const only = problems.length === 1 ? first : undefined;
  const detail =
    only === undefined ? `${problems.length} faults; see problems` : `${only.path === '' ? '' : `${only.path}: `}${only.message}`;
  return new AppError('validation_failed', detail, { problems });
}
