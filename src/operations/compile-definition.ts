/** The one validator, with what it needs to know of the owner's workflows and of the tools that there are. */
import { isRecord } from '../definition/blocks.js';
import { compileDefinition, type CompileResult, findJsonFault, type Problem, walkSteps } from '../definition/index.js';
import type { Plan } from '../definition/plan.js';
import type { Json, JsonObject } from '../definition/value.js';
import { AppError } from '../errors.js';
import { getWorkflow, listWorkflows } from '../store/workflows.js';
import type { OperationDeps } from './deps.js';

/** A definition without errors. */
export interface Compiled {
  readonly plan: Plan;
  readonly data: JsonObject;
  readonly hash: string;
  readonly warnings: readonly Problem[];
}

/** How this workflow may call itself, besides what is saved already. */
interface Self {
  readonly id?: string | undefined;
  readonly slug?: string | null | undefined;
}

/** A server that has not been heard of yet may have any tool: `<server>:*` among the ids says so, and its steps find out. */
class ToolIds extends Set<string> {
  override has(id: string): boolean {
    return super.has(id) || super.has(`${id.split(':')[0] ?? ''}:*`);
  }
}

/** All that the compiler says of a document. */
export async function checkDefinition(deps: OperationDeps, ownerId: string, data: unknown, self: Self = {}): Promise<CompileResult> {
  return compileDefinition(data, {
    tools: new ToolIds(deps.toolIds()),
    lightTools: new Set(deps.lightToolIds),
    argumentFaults: deps.argumentFaults,
    workflows: await callable(deps, ownerId, data, self),
  });
}

/** @throws AppError definition_invalid with every problem */
export async function compile(deps: OperationDeps, ownerId: string, data: unknown, self: Self = {}): Promise<Compiled> {
  const { plan, definition, hash, problems } = await checkDefinition(deps, ownerId, data, self);
  if (plan === null || definition === null || hash === null) {
    const errors = problems.filter(({ severity }) => severity === 'error').length;
    throw new AppError('definition_invalid', `The definition has ${errors === 1 ? 'a problem' : `${errors} problems`}`, { problems });
  }
  return { plan, data: definition, hash, warnings: problems };
}

const SUGGESTED_FROM = 200;
const ASKED_AT_MOST = 200;

/** Ids and slugs that a subworkflow step may name: asked only where a definition has one. */
async function callable(deps: OperationDeps, ownerId: string, data: unknown, { id, slug }: Self): Promise<ReadonlySet<string>> {
  const named = new Set(namedWorkflows(data));
  const known = new Set<string>();
  if (id !== undefined) known.add(id);
  if (typeof slug === 'string') known.add(slug);
  if (named.size === 0) return known;
  const { items } = await listWorkflows(deps.db, { ownerId, limit: SUGGESTED_FROM });
  for (const workflow of items) for (const name of [workflow.id, workflow.slug]) if (name !== null) known.add(name);
  for (const name of [...named].filter((each) => !known.has(each)).slice(0, ASKED_AT_MOST)) {
    if ((await getWorkflow(deps.db, ownerId, name)) !== undefined) known.add(name);
  }
  return known;
}

/** The compiler refuses what is too deep or no JSON before it walks, as a walk of it takes seconds; here that is simply no name. */
function namedWorkflows(data: unknown): string[] {
  if (!isRecord(data) || !Array.isArray(data['steps']) || findJsonFault(data) !== undefined) return [];
  const steps = [...walkSteps(data['steps'] as readonly Json[], [])];
  return steps.flatMap(({ step }) => (step['type'] === 'subworkflow' && typeof step['workflow'] === 'string' ? [step['workflow']] : []));
}
