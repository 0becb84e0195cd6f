/** Start input against the declared variables (design §3). Pure. */
import { isSameJson } from './json-check.js';
import { didYouMean } from './nearest.js';
import type { Plan, VariablePlan, VariableType } from './plan.js';
import { toPointer } from './pointer.js';
import type { Problem, ProblemCode } from './problem.js';
import { setOwn } from './value-parts.js';
import type { Json, JsonObject } from './value.js';

export const typeOf = (value: Json): VariableType | 'null' => {
  if (value === null) return 'null';
  return Array.isArray(value) ? 'array' : (typeof value as VariableType);
};

export interface InputResult {
  /** The input with defaults filled in; to be used only if there are no problems. */
  readonly values: JsonObject;
  readonly problems: readonly Problem[];
}

/**
 * Fills in defaults and names every input that does not fit: missing, mistyped, not allowed, unknown. Names beginning with `_`
 * are the trigger's and not checked. A null counts as left out. Paths are pointers into the input.
 */
export function checkInputs(variables: Plan['variables'], input: JsonObject): InputResult {
  const values: { [name: string]: Json } = {};
  const problems: Problem[] = [];
  for (const [name, variable] of Object.entries(variables)) {
    const given = Object.hasOwn(input, name) ? input[name] : undefined;
    const value = given ?? variable.default;
    const problem = given === undefined || given === null ? problemOfMissing(name, variable) : problemOfValue(name, variable, given);
    if (problem !== undefined) problems.push(problem);
    if (value !== undefined) setOwn(values, name, value);
  }
  for (const [name, value] of Object.entries(input)) {
    if (name.startsWith('_')) setOwn(values, name, value);
    else if (!Object.hasOwn(variables, name))
      problems.push(
        inputProblem('input_unknown', name, `There is no input ${name.slice(0, 100)}`, didYouMean(name, Object.keys(variables))),
      );
  }
  return { values, problems };
}

function problemOfMissing(name: string, variable: VariablePlan): Problem | undefined {
  if (!variable.required || (variable.default !== undefined && variable.default !== null)) return undefined;
  return inputProblem('input_required_missing', name, `${name} is required`);
}

function problemOfValue(name: string, variable: VariablePlan, value: Json): Problem | undefined {
  if (typeOf(value) !== variable.type)
    return inputProblem('input_type_mismatch', name, `${name}: expected ${variable.type}, got ${typeOf(value)}`);
  const isAllowed = variable.enum === undefined || variable.enum.some((allowed) => isSameJson(allowed, value));
  return isAllowed
    ? undefined
    : inputProblem('input_not_in_enum', name, `${name}: expected one of ${JSON.stringify(variable.enum).slice(0, 500)}`);
}

function inputProblem(code: ProblemCode, name: string, message: string, suggestion?: string): Problem {
  return { code, severity: 'error', path: toPointer([name]), message, ...(suggestion === undefined ? {} : { suggestion }) };
}
