/** Checks the answer of an approval against the gate's form. */
import { Ajv2020, type ErrorObject } from 'ajv/dist/2020.js';
import { linearRegExp } from '../definition/linear-patterns.js';
import type { Json } from '../definition/value.js';
import { withinLimit } from './within-limit.js';

export interface AnswerProblem {
  readonly code: 'answer_invalid' | 'form_invalid';
  readonly severity: 'error';
  /** JSON pointer into the answer. */
  readonly path: string;
  readonly message: string;
}
const AT_MOST = 50;

/** Everything that is wrong with an answer; empty when it fits. Takes a second at most: what takes longer does not fit. Pure. */
export function checkAnswer(form: Json, answer: Json): readonly AnswerProblem[] {
  try {
    return withinLimit(() => problemsOf(form, answer));
  } catch (error) {
    return [{ code: 'form_invalid', severity: 'error', path: '', message: `The form is not a usable JSON Schema: ${reasonOf(error)}` }];
  }
}

function problemsOf(form: Json, answer: Json): readonly AnswerProblem[] {
  const ajv = new Ajv2020(OPTIONS);
  const fits = ajv.compile(form as object | boolean);
  // An asynchronous schema would answer with a promise, which is true.
  if ('$async' in fits) throw new Error('$async is not supported');
  return fits(answer) ? [] : (fits.errors ?? []).slice(0, AT_MOST).map(toProblem);
}

/**
 * A schema is a user's text: a compiler of its own each time, so that its $id reaches no other, and patterns in linear time. That it is a
 * schema was seen when it was saved; to ask again costs a hundred times what the answer costs.
 */
const OPTIONS = {
  allErrors: true,
  strict: false,
  validateSchema: false,
  validateFormats: false,
  logger: false,
  code: { regExp: linearRegExp },
} as const;

const reasonOf = (error: unknown): string => (error instanceof Error ? error.message : String(error));

function toProblem(error: ErrorObject): AnswerProblem {
  const missing: unknown = error.params['missingProperty'];
  const path =
    typeof missing === 'string' ? `${error.instancePath}/${missing.replaceAll('~', '~0').replaceAll('/', '~1')}` : error.instancePath;
  return { code: 'answer_invalid', severity: 'error', path, message: error.message ?? 'does not fit the form' };
}
