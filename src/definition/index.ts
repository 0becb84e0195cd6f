/** The door for code that never runs in the workflow: compiling, checking, describing definitions. What may run there is in runtime.ts. */
export { type CompileResult, compileDefinition } from './compile/compile.js';
export type { ArgumentFault, ArgumentFaults, CompileContext } from './compile/context.js';
export { renderDefinitionReference } from './definition-docs.js';
export { type DefinitionDiff, type FieldChange, diffDefinitions } from './diff.js';
export { type ParseOptions, type ParseResult, parseExpression } from './expression/parse.js';
export { hashOf } from './hash.js';
export { type InputResult, checkInputs } from './inputs.js';
export { canonicalJson, findJsonFault, isSameJson } from './json-check.js';
export { definitionJsonSchema } from './json-schema.js';
export { didYouMean } from './nearest.js';
export { type SchemaFault, type SchemaResult, checkJsonSchema, createSchemaCheck, normalizeOutputSchema } from './output-schema.js';
export { type Problem, type ProblemCode } from './problem.js';
export { STEP_TYPES } from './schema/steps.js';
export { walkSteps } from './blocks.js';
