import { compileDefinition } from '../../src/definition/index.js';
import type { Plan } from '../../src/definition/plan.js';

/** The plan of a definition that has no errors. With `light`, steps of `http:request` may run in segments. */
export function planOf(definition: object, { light = false } = {}): Plan {
  const result = compileDefinition(definition, { lightTools: new Set(light ? ['http:request'] : []) });
  if (result.plan === null) throw new Error(`the definition does not compile: ${JSON.stringify(result.problems)}`);
  return result.plan;
}
