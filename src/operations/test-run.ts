import { z } from 'zod';
import type { Json, JsonObject } from '../definition/value.js';
import { dryRun, type DryRunResult } from '../engine/dry-run/dry-run.js';
import type { Mocks } from '../engine/dry-run/mocks.js';
import { stepsById } from '../engine/index.js';
import { AppError, type ProblemData } from '../errors.js';
import { actorOf, auditedActor } from './actor.js';
import { admitExecution } from './admit-execution.js';
import { authorize } from './authorize.js';
import { bodyHashOf } from './body-hash.js';
import { compile } from './compile-definition.js';
import type { OperationDeps } from './deps.js';
import { earlierStart } from './earlier-start.js';
import type { Principal } from './principal.js';
import { checkedVariables, triggerVariables } from './start-variables.js';
import type { Started } from './start-execution.js';
import { toWireExecution } from './wire.js';

export interface TestRunParams {
  /** A definition that need not be saved. */
  readonly data?: unknown;
  readonly variables?: JsonObject;
}
export interface DryRunParams extends TestRunParams {
  /** By step id: `{ output }`, `{ error: { code, message } }`, or a list of them, one a visit. */
  readonly mocks?: JsonObject;
}

/**
 * Runs a definition for real, as an execution of trigger type `test` of no workflow; lists leave it out.
 * @throws AppError forbidden, definition_invalid, validation_failed, concurrency_limit
 */
export async function testRunLive(
  deps: OperationDeps,
  principal: Principal,
  params: TestRunParams & { readonly idempotencyKey?: string },
): Promise<Started> {
  authorize(principal, 'run');
  const ownerId = principal.userId;
  const { plan, data } = await compile(deps, ownerId, params.data);
  const { idempotencyKey: key, variables: given = {} } = params;
  const idempotency =
    key === undefined ? undefined : { door: 'test-run', key, bodyHash: bodyHashOf({ hash: plan.hash, variables: given }) };
  const earlier = await earlierStart(deps, ownerId, idempotency);
  if (earlier !== undefined) return { execution: toWireExecution(earlier), duplicate: true };
  const trigger = { type: 'test' as const };
  const variables = checkedVariables(plan, given, triggerVariables(trigger, new Date()));
  const { execution, duplicate } = await admitExecution(deps, {
    ownerId,
    workflowId: null,
    plan,
    data,
    trigger,
    variables,
    startedBy: actorOf(principal),
    audited: auditedActor(principal),
    ...(idempotency === undefined ? {} : { idempotency }),
  });
  return { execution: toWireExecution(execution), duplicate };
}

const MockSchema = z.union([
  z.strictObject({ output: z.json() }),
  z.strictObject({
    error: z.strictObject({
      code: z.string().min(1),
      message: z.string().optional(),
      retryable: z.boolean().optional(),
      details: z.record(z.string(), z.json()).optional(),
    }),
  }),
]);
const MockEntrySchema = z.union([MockSchema, z.array(MockSchema).min(1)]);

/**
 * Runs a definition in memory, with mocked steps and a virtual clock, and tells its timeline: nothing is stored, no call leaves.
 * @throws AppError forbidden, definition_invalid, validation_failed (input or mocks)
 */
export async function testRunDry(deps: OperationDeps, principal: Principal, params: DryRunParams): Promise<DryRunResult> {
  authorize(principal, 'run');
  // No tool is called: a step that is mocked need not say what it would be called with.
  const { argumentFaults: _unasked, ...rest } = deps;
  const { plan } = await compile(rest, principal.userId, params.data);
  const now = new Date();
  const variables = checkedVariables(plan, params.variables ?? {}, triggerVariables({ type: 'test' }, now));
  const problems = Object.entries(params.mocks ?? {}).flatMap(([stepId, mock]) => mockProblems(stepId, mock, stepsById(plan).has(stepId)));
  if (problems.length > 0) throw new AppError('validation_failed', 'The mocks do not fit', { problems });
  return dryRun({
    plan,
    variables,
    mocks: (params.mocks ?? {}) as unknown as Mocks,
    startMs: now.getTime(),
    execution: { ownerId: principal.userId, triggerType: 'test' },
  });
}

function mockProblems(stepId: string, mock: Json, isStep: boolean): ProblemData[] {
  const path = `/mocks/${stepId.replaceAll('~', '~0').replaceAll('/', '~1')}`;
  if (!isStep) return [{ code: 'unknown_step', severity: 'error', path, message: `The definition has no step ${stepId}` }];
  if (MockEntrySchema.safeParse(mock).success) return [];
  return [
    { code: 'invalid_field', severity: 'error', path, message: 'Expected { output }, { error: { code, message } }, or a list of them' },
  ];
}
