import { readFileSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { compileDefinition } from '../../src/definition/compile/compile.js';
import type { CompileContext } from '../../src/definition/compile/context.js';
import type { Plan, PlanStep, StepType } from '../../src/definition/plan.js';
import type { Problem } from '../../src/definition/problem.js';
import type { Json, JsonObject } from '../../src/definition/value.js';

export const EXAMPLES = join(__dirname, '../../examples');
export const exampleNames = (): string[] => readdirSync(EXAMPLES).filter((name) => name.endsWith('.json'));
export const anExample = (name: string): JsonObject => JSON.parse(readFileSync(join(EXAMPLES, name), 'utf8')) as JsonObject;

/** A definition around these steps. */
export const aDefinition = (steps: readonly Json[], more: JsonObject = {}): JsonObject => ({ name: 'Test', steps, ...more });

export function aPlan(steps: readonly Json[], more: JsonObject = {}, context: CompileContext = {}): Plan {
  const { plan, problems } = compileDefinition(aDefinition(steps, more), context);
  if (plan === null) throw new Error(JSON.stringify(problems, null, 1));
  return plan;
}

export function aStep<T extends StepType>(type: T, fields: JsonObject): Extract<PlanStep, { readonly type: T }> {
  return aPlan([{ type, ...fields }]).steps[0] as Extract<PlanStep, { readonly type: T }>;
}

/** `code path` of each problem of these steps. */
export const problemsOf = (steps: readonly Json[], more: JsonObject = {}, context: CompileContext = {}): string[] =>
  compileDefinition(aDefinition(steps, more), context).problems.map(({ code, path }) => `${code} ${path}`);

export const problemListOf = (steps: readonly Json[], more: JsonObject = {}, context: CompileContext = {}): readonly Problem[] =>
  compileDefinition(aDefinition(steps, more), context).problems;
export const SET: JsonObject = { type: 'set', values: { a: 1 } };
