/** Checks the answer of an approval against the gate's form. */
import { Ajv2020, type ErrorObject } from 'ajv/dist/2020.js';
import { RE2JS } from 're2js';
import type { Json } from '../definition/value.js';

export interface AnswerProblem {
  readonly code: 'answer_invalid' | 'form_invalid';
  readonly severity: 'error';
  /** JSON pointer into the answer. */
  readonly path: string;
  readonly message: string;
}
const AT_MOST = 50;

/** Everything that is wrong with an answer; empty when it fits. Pure. */
export function checkAnswer(form: Json, answer: Json): readonly AnswerProblem[] {
  try {
    // A schema is a user's text: a compiler of its own each time, so that its $id reaches no other, and patterns in linear time.
    const ajv = new Ajv2020({ allErrors: true, strict: false, validateFormats: false, logger: false, code: { regExp: linearRegExp } });
    const fits = ajv.compile(form as object | boolean);
    if (fits(answer)) return [];
    return (fits.errors ?? []).slice(0, AT_MOST).map(toProblem);
  } catch (error) {
    return [{ code: 'form_invalid', severity: 'error', path: '', message: `The form is not a usable JSON Schema: ${String(error)}` }];
  }
}

function toProblem(error: ErrorObject): AnswerProblem {
  const missing: unknown = error.params['missingProperty'];
  const path =
    typeof missing === 'string' ? `${error.instancePath}/${missing.replaceAll('~', '~0').replaceAll('/', '~1')}` : error.instancePath;
  return { code: 'answer_invalid', severity: 'error', path, message: error.message ?? 'does not fit the form' };
}

/** `toString` tells patterns apart: ajv keeps one compiled pattern for each text that it gives. */
function linearRegExp(pattern: string): { test(text: string): boolean; toString(): string } {
  const compiled = RE2JS.compile(pattern);
  return { test: (text) => compiled.matcher(text).find(), toString: () => pattern };
}
linearRegExp.code = 'linearRegExp';
