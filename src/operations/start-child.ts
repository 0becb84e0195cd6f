import { replaceRefs } from '../definition/value-parts.js';
import type { Json, JsonObject, Value } from '../definition/value.js';
import { AppError, notFound } from '../errors.js';
import type { ParentLink } from '../store/execution-record.js';
import { getExecution } from '../store/executions.js';
import { getChildOf } from '../store/start-execution.js';
import { getVersion, getWorkflow } from '../store/workflows.js';
import { SYSTEM } from './actor.js';
import { admitExecution } from './admit-execution.js';
import type { OperationDeps } from './deps.js';
import { planOf } from './plan-of.js';
import { readRefs } from './read-refs.js';
import { checkedVariables, triggerVariables } from './start-variables.js';

export interface StartChildParams {
  /** The parent's step instance: starting is idempotent by it. */
  readonly parent: ParentLink;
  /** Id or slug of a workflow of the parent's owner; the parent's own is allowed. */
  readonly workflow: string;
  /** A version (the newest content that carried it) or a hash. */
  readonly version?: string;
  /** An object; may hold references. */
  readonly input: Value;
  /** Its variables go by reference: they hold what agents have said. */
  readonly isPrivate?: boolean;
  /** How many executions are above the child. */
  readonly depth: number;
}
export interface PreparedChild {
  readonly executionId: string;
  readonly workflowName: string;
}

/**
 * Pins a subworkflow's version and writes the child's row; the parent's workflow then starts it by id. Neither checked against the
 * limits nor counted. May repeat: the same step instance has the same child.
 * @throws AppError subworkflow_not_found, workflow_disabled, validation_failed, execution_ended (the parent is being cancelled, or has ended)
 */
export async function startChild(deps: OperationDeps, params: StartChildParams): Promise<PreparedChild> {
  const { parent, depth, isPrivate = false } = params;
  const above = await getExecution(deps.db, null, parent.executionId);
  if (above === undefined) throw notFound('execution', parent.executionId);
  // Before what may have changed since: the row is there, and will run.
  const known = await getChildOf(deps.db, parent);
  if (known !== undefined) return { executionId: known.id, workflowName: known.workflowName };
  const { ownerId } = above;
  const { workflowId, hash, data } = await pinned(deps, ownerId, params);
  const plan = await planOf(deps.db, { hash, data });
  const trigger = { type: 'subworkflow' as const };
  const variables = checkedVariables(plan, await inputOf(deps, ownerId, params.input), triggerVariables(trigger, new Date()));
  const { execution } = await admitExecution(deps, {
    ownerId,
    workflowId,
    plan,
    data,
    trigger,
    variables,
    startedBy: above.startedBy ?? SYSTEM,
    parent,
    depth,
    isPrivate,
  });
  return { executionId: execution.id, workflowName: execution.workflowName };
}

async function pinned(
  deps: OperationDeps,
  ownerId: string,
  { workflow: idOrSlug, version }: StartChildParams,
): Promise<{ workflowId: string; hash: string; data: Json }> {
  const workflow = await getWorkflow(deps.db, ownerId, idOrSlug);
  // `enabled` counts on every route, also on one that a run takes to itself.
  if (workflow?.enabled === false)
    throw new AppError('workflow_disabled', `Workflow ${workflow.name} is disabled`, { workflowId: workflow.id });
  const content = workflow === undefined || version === undefined ? workflow : await getVersion(deps.db, ownerId, workflow.id, version);
  if (workflow !== undefined && content !== undefined) return { workflowId: workflow.id, hash: content.hash, data: content.data };
  const wanted = version === undefined ? idOrSlug : `${idOrSlug} of version ${version}`;
  throw new AppError('subworkflow_not_found', `There is no workflow ${wanted}`, {
    workflow: idOrSlug,
    ...(version === undefined ? {} : { version }),
  });
}

/** Types and enums are checked on the whole input, so what stands for a stored value is read. */
async function inputOf(deps: OperationDeps, ownerId: string, input: Value): Promise<JsonObject> {
  const stored = await readRefs(deps.db, ownerId, [input]);
  const whole = replaceRefs(input, stored);
  if (typeof whole === 'object' && whole !== null && !Array.isArray(whole)) return whole as JsonObject;
  if (whole === null) return {};
  const problem = { code: 'input_type_mismatch', severity: 'error', path: '', message: 'The input of a subworkflow is an object' } as const;
  throw new AppError('validation_failed', problem.message, { problems: [problem] });
}
