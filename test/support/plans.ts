import { compileDefinition } from '../../src/definition/index.js';
import type { Plan } from '../../src/definition/plan.js';

/** The plan of a definition that has no errors. */
export function planOf(definition: object): Plan {
  const result = compileDefinition(definition);
  if (result.plan === null) throw new Error(`the definition does not compile: ${JSON.stringify(result.problems)}`);
  return result.plan;
}
