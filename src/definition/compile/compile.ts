/** parse → normalize → compile: from anything to a plan, or to all that is wrong with it. Not for the workflow. */
import { fillIds, isRecord, isStepId, walkSteps } from '../blocks.js';
import { parseDuration } from '../duration.js';
import { hashOf } from '../hash.js';
import { findJsonFault } from '../json-check.js';
import { jsonBytes } from '../json-size.js';
import type { Plan } from '../plan.js';
import { toPointer } from '../pointer.js';
import type { Problem } from '../problem.js';
import { DefinitionSchema } from '../schema/definition.js';
import { type Lenient, parseLeniently } from '../schema/lenient-parse.js';
import type { Json, JsonObject } from '../value.js';
import { publishedNames } from './container-steps.js';
import { type CompileContext, Compilation, type Place, Published, inside } from './context.js';
import { compileTemplate } from './expressions.js';
import { given } from './given.js';
import { reportIssues } from './issues.js';
import { compileSteps } from './steps.js';
import { type VariableFields, compileVariables } from './variables.js';

export const MAX_DEFINITION_BYTES = 1_048_576;
export const MAX_PLAN_BYTES = 1_500_000;

export interface CompileResult {
  /** Null when there is an error among the problems; so are the other two. */
  readonly plan: Plan | null;
  /** The author's document with ids filled in, defaults not. */
  readonly definition: JsonObject | null;
  /** `sha256:…` of that. */
  readonly hash: string | null;
  /** All of them, warnings included, about in document order. */
  readonly problems: readonly Problem[];
}

/** Checks and compiles a definition. Never throws, never changes `data`. Pure. */
export function compileDefinition(data: unknown, context: CompileContext = {}): CompileResult {
  const refusal = refusalOf(data);
  if (refusal !== undefined) return rejected([refusal]);
  const definition = fillIds(data as JsonObject);
  const compilation = compilationOf(definition, context);
  const parts = compileRoot(definition, compilation);
  if (compilation.hasErrors) return rejected(compilation.problems);
  const hash = hashOf(definition);
  warnOfReusedVersion(parts.version, hash, compilation);
  const plan: Plan = { planFormat: 1, hash, ...parts };
  const bytes = jsonBytes(plan as unknown as Json);
  if (bytes > MAX_PLAN_BYTES)
    return rejected([tooLarge(`The compiled plan has ${bytes} bytes; at most ${MAX_PLAN_BYTES} are allowed`), ...compilation.problems]);
  return { plan, definition, hash, problems: compilation.problems };
}

const rejected = (problems: readonly Problem[]): CompileResult => ({ plan: null, definition: null, hash: null, problems });
const tooLarge = (message: string): Problem => ({ code: 'definition_too_large', severity: 'error', path: '', message });

/** What makes a document not worth reading: it is no JSON object, or too large or too deep to be walked. */
function refusalOf(data: unknown): Problem | undefined {
  if (!isRecord(data)) return { code: 'malformed_definition', severity: 'error', path: '', message: 'A definition is a JSON object' };
  const fault = findJsonFault(data);
  if (fault?.kind === 'malformed')
    return { code: 'malformed_definition', severity: 'error', path: toPointer(fault.path), message: fault.message };
  if (fault !== undefined) return tooLarge(fault.message);
  const bytes = jsonBytes(data);
  return bytes > MAX_DEFINITION_BYTES
    ? tooLarge(`The definition has ${bytes} bytes; at most ${MAX_DEFINITION_BYTES} are allowed`)
    : undefined;
}

function compilationOf(definition: JsonObject, context: CompileContext): Compilation {
  const steps = stepsOf(definition);
  const declared = new Set(isRecord(definition['variables']) ? Object.keys(definition['variables']) : []);
  const variables = new Set(declared);
  for (const { step } of walkSteps(steps, []))
    if (step['type'] === 'set' && isRecord(step['values'])) for (const name of Object.keys(step['values'])) variables.add(name);
  return new Compilation(context, declared, variables, new Set(publishedNames(steps)));
}

const stepsOf = (definition: JsonObject): readonly unknown[] =>
  Array.isArray(definition['steps']) ? (definition['steps'] as readonly Json[]) : [];

function compileRoot(definition: JsonObject, compilation: Compilation): Omit<Plan, 'planFormat' | 'hash'> {
  const root: Place = { path: [], stepId: undefined, published: new Published(undefined), locals: [], depth: 0 };
  const { fields, issues } = parseLeniently(DefinitionSchema, definition);
  reportIssues(issues, definition, DefinitionSchema, root, compilation);
  const variables = compileVariables(
    (fields.variables ?? {}) as { readonly [name: string]: VariableFields },
    inside(root, 'variables'),
    compilation,
  );
  reportIds(stepsOf(definition), root, compilation);
  const steps = compileSteps(stepsOf(definition), inside(root, 'steps'), compilation);
  return given({
    name: fields.name ?? '',
    description: fields.description,
    version: fields.version ?? '1.0.0',
    variables,
    steps,
    output: definition['output'] === undefined ? undefined : compileTemplate(definition['output'], inside(root, 'output'), compilation),
    constraints: constraintsOf(fields.constraints),
    failureNotify: fields.failureNotify ?? ('orchestrator' as const),
  });
}

function constraintsOf(fields: Lenient<typeof DefinitionSchema>['constraints']): Plan['constraints'] {
  const { allowSelfModification = false, maxSteps = 10_000, maxDuration = '7d', maxTokens, maxDepth = 5 } = fields ?? {};
  return given({ allowSelfModification, maxSteps, maxDurationMs: parseDuration(maxDuration) ?? 0, maxTokens, maxDepth });
}

/** Ids are one name space over the whole definition; an output variable may re-use a name, but hides the step of that id. */
function reportIds(steps: readonly unknown[], root: Place, compilation: Compilation): void {
  const first = new Map<string, string>();
  const all = [...walkSteps(steps, ['steps'])];
  for (const { step, path } of all) {
    const { id } = step;
    if (!isStepId(id)) continue;
    const here: Place = { ...inside(root, ...path, 'id'), stepId: id };
    if (first.has(id))
      compilation.error('duplicate_step_id', here, `Two steps have the id ${id}; the other one is at ${first.get(id) ?? ''}`);
    else first.set(id, toPointer(path));
  }
  for (const { step, path } of all) {
    const { id, outputVariable } = step;
    if (typeof outputVariable !== 'string' || typeof id !== 'string' || outputVariable === id || !first.has(outputVariable)) continue;
    compilation.warn(
      'id_shadowed',
      { ...inside(root, ...path, 'outputVariable'), stepId: id },
      `outputs.${outputVariable} is also what the step ${outputVariable} publishes`,
    );
  }
}

function warnOfReusedVersion(version: string, hash: string, compilation: Compilation): void {
  const used = compilation.context.usedVersions?.get(version);
  if (used === undefined || used === hash) return;
  compilation.warn(
    'version_reused',
    { path: ['version'], stepId: undefined, published: new Published(undefined), locals: [], depth: 0 },
    `Version ${version} was saved before with other content`,
    { suggestion: 'Raise the version' },
  );
}
