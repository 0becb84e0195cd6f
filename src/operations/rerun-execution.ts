import type { Plan } from '../definition/plan.js';
import type { Json, JsonObject } from '../definition/value.js';
import { buildSeeds, type RecordedStep } from '../engine/seeds.js';
import { stepsById } from '../engine/index.js';
import type { Seed } from '../engine/types.js';
import { AppError, type ErrorData } from '../errors.js';
import type { ExecutionRecord } from '../store/execution-record.js';
import type { IdempotencyKey } from '../store/idempotency.js';
import { getDefinition, getPlan } from '../store/plans.js';
import { listSteps, type StepRecord } from '../store/step-list.js';
import { getWorkflow } from '../store/workflows.js';
import { actorOf, audit } from './actor.js';
import { admitExecution } from './admit-execution.js';
import { authorize } from './authorize.js';
import { bodyHashOf } from './body-hash.js';
import { findCarriedApproval } from './carried-approvals.js';
import type { OperationDeps } from './deps.js';
import { earlierStart } from './earlier-start.js';
import { planOf } from './plan-of.js';
import type { Principal } from './principal.js';
import { ownExecution } from './read-executions.js';
import { rerunVariables } from './rerun-variables.js';
import type { Started } from './start-execution.js';
import { toWireExecution } from './wire.js';

export interface RerunParams {
  /** The execution to rerun; it stays as it is. */
  readonly id: string;
  /** Absent: the whole. */
  readonly fromStepId?: string;
  /** Needed where the step has been in several passes or branches. */
  readonly iterationPath?: string;
  /** `same`: the snapshot. `latest`: what the workflow is now. */
  readonly version?: 'same' | 'latest';
  /** Replace start values of these names. */
  readonly variables?: JsonObject;
  readonly idempotencyKey?: string;
}

/**
 * Starts a new execution with the recorded results of everything before a step instance; nothing before it is executed. Counted as any
 * start; the same key with the same body gives the same execution. @throws AppError forbidden, not_found, rerun_not_possible, workflow_disabled, validation_failed, concurrency_limit
 */
export async function rerunExecution(deps: OperationDeps, principal: Principal, params: RerunParams): Promise<Started> {
  authorize(principal, 'run');
  const source = await ownExecution(deps, principal, params.id);
  const idempotency = keyOf(source.id, params);
  const earlier = await earlierStart(deps, source.ownerId, idempotency);
  if (earlier !== undefined) return { execution: toWireExecution(earlier), duplicate: true };
  const { plan, data } = params.version === 'latest' ? await latestContent(deps, source) : await sameContent(deps, source);
  const { variables, areOther } = await rerunVariables(deps, source, plan, params.variables ?? {});
  const from =
    params.fromStepId === undefined
      ? undefined
      : await seedsFrom(deps, source, plan, { ...params, stepId: params.fromStepId, isChanged: areOther || plan.hash !== source.hash });
  const { execution, duplicate } = await admitExecution(deps, {
    ownerId: source.ownerId,
    workflowId: source.workflowId,
    plan,
    data,
    trigger: { type: 'rerun' },
    variables,
    startedBy: actorOf(principal),
    rerunOf: { executionId: source.id, stepId: params.fromStepId ?? null, iterationPath: from?.iterationPath ?? null },
    ...(from === undefined ? {} : { seeds: from.seeds }),
    ...(source.repo === null ? {} : { repo: source.repo }),
    ...(idempotency === undefined ? {} : { idempotency }),
  });
  if (duplicate) return { execution: toWireExecution(execution), duplicate };
  await audit(deps, principal, {
    action: 'execution.rerun',
    targetType: 'execution',
    targetId: source.id,
    details: { executionId: execution.id, fromStepId: params.fromStepId ?? null },
  });
  return { execution: toWireExecution(execution), duplicate };
}

/** A door of its own: events to the execution have keys too. */
function keyOf(executionId: string, params: RerunParams): IdempotencyKey | undefined {
  const { idempotencyKey, fromStepId, iterationPath, version, variables } = params;
  if (idempotencyKey === undefined) return undefined;
  return {
    door: `rerun:${executionId}`,
    key: idempotencyKey,
    bodyHash: bodyHashOf({ fromStepId, iterationPath, version, variables: variables ?? {} }),
  };
}

interface Content {
  readonly plan: Plan;
  readonly data: Json;
}

async function sameContent(deps: OperationDeps, { id, hash, planFormat, workflowId, ownerId }: ExecutionRecord): Promise<Content> {
  const workflow = workflowId === null ? undefined : await getWorkflow(deps.db, ownerId, workflowId);
  // A deleted workflow leaves its snapshots; a disabled one is not to start.
  refuseDisabled(workflow);
  const [plan, data] = [await getPlan(deps.db, hash, planFormat), await getDefinition(deps.db, hash)];
  if (plan === undefined || data === undefined) throw new Error(`Execution ${id} has lost its definition ${hash}`);
  return { plan, data };
}

async function latestContent(deps: OperationDeps, { ownerId, workflowId }: ExecutionRecord): Promise<Content> {
  const workflow = workflowId === null ? undefined : await getWorkflow(deps.db, ownerId, workflowId);
  if (workflow === undefined)
    throw notPossible('The workflow has been deleted, or was never saved: only the same version can be rerun', {
      reason: 'workflow_deleted',
    });
  refuseDisabled(workflow);
  return { plan: await planOf(deps.db, workflow), data: workflow.data };
}

function refuseDisabled(workflow: { readonly id: string; readonly name: string; readonly enabled: boolean } | undefined): void {
  if (workflow?.enabled === false)
    throw new AppError('workflow_disabled', `Workflow ${workflow.name} is disabled`, { workflowId: workflow.id });
}

interface From {
  readonly stepId: string;
  readonly iterationPath?: string;
  readonly isChanged: boolean;
}

async function seedsFrom(
  deps: OperationDeps,
  source: ExecutionRecord,
  plan: Plan,
  from: From,
): Promise<{ readonly seeds: readonly Seed[]; readonly iterationPath: string }> {
  const { stepId, isChanged } = from;
  if (!stepsById(plan).has(stepId)) throw notPossible(`There is no step ${stepId}`, { reason: 'step_unknown', stepId });
  const rows = await listSteps(deps.db, source.ownerId, source.id);
  const iterationPath = from.iterationPath ?? onlyPath(plan, rows, stepId);
  const built = buildSeeds(plan, rows.map(toRecordedStep), { stepId, iterationPath, isChanged });
  if ('refused' in built) {
    const { message, ...place } = built.refused;
    throw notPossible(message, place);
  }
  const carried = isChanged ? await findCarriedApproval(deps, source, built.seeds) : undefined;
  if (carried !== undefined)
    throw notPossible(
      `With other variables or another version the approval within ${carried.stepId} has to be given again: rerun from there`,
      { reason: 'approval_needed', ...carried },
    );
  return { seeds: built.seeds, iterationPath };
}

/** Where a step stood, when it stood in one place. */
function onlyPath(plan: Plan, rows: readonly StepRecord[], stepId: string): string {
  if (plan.steps.some(({ id }) => id === stepId)) return '';
  const paths = new Set(rows.filter((row) => row.stepId === stepId).map((row) => row.iterationPath));
  const [path] = paths;
  if (path === undefined)
    throw notPossible(`Step ${stepId} was never reached: rerun from one before it`, { reason: 'not_recorded', stepId });
  if (paths.size > 1)
    throw notPossible(`Step ${stepId} ran in ${paths.size} passes or branches: say in which by iterationPath`, {
      reason: 'iteration_path_needed',
      stepId,
    });
  return path;
}

const toRecordedStep = ({ stepId, iterationPath, attempt, status, type, output, error, choice }: StepRecord): RecordedStep => ({
  stepId,
  iterationPath,
  attempt,
  status,
  stepType: type,
  output,
  error,
  choice,
});

const notPossible = (message: string, data: ErrorData<'rerun_not_possible'>): AppError => new AppError('rerun_not_possible', message, data);
