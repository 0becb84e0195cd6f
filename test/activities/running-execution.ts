/** An execution in a real database with a plan of the test's own, and calls of activities for it. */
import { MockActivityEnvironment } from '@temporalio/testing';
import type { Common } from '../../src/activities/contract.js';
import type { StepCallInput } from '../../src/activities/step-call.js';
import { parseTextParts, textTemplate } from '../../src/definition/template/parse-template.js';
import type { Plan, PlanStep, Template } from '../../src/definition/plan.js';
import type { Json } from '../../src/definition/value.js';
import type { ScopeSlice } from '../../src/engine/types.js';
import { openDatabase, type Database } from '../../src/store/database.js';
import { readEvents, type EventRecord } from '../../src/store/event-log.js';
import { putPlan } from '../../src/store/plans.js';
import { startExecution } from '../../src/store/start-execution.js';
import { createTestDatabase } from '../support/postgres.js';

/** A template as an author writes it. */
export function template(json: Json): Template {
  if (typeof json === 'string') return textTemplate(parseTextParts(json, { secrets: true }).parts);
  if (Array.isArray(json)) return { k: 'list', items: (json as readonly Json[]).map(template) };
  if (typeof json === 'object' && json !== null)
    return { k: 'object', entries: Object.entries(json).map(([key, value]) => [key, template(value)] as const) };
  return { k: 'lit', v: json };
}
export const textParts = (text: string) => parseTextParts(text, { secrets: true }).parts;

let plans = 0;
export function aPlan(steps: readonly PlanStep[]): Plan {
  return {
    planFormat: 1,
    hash: `sha256:test-${process.pid}-${++plans}`,
    name: 'Test',
    version: '1.0.0',
    variables: {},
    steps,
    failureNotify: 'none',
    constraints: { allowSelfModification: false, maxSteps: 10_000, maxDurationMs: 604_800_000, maxDepth: 5 },
  };
}

export interface RunningExecution {
  readonly common: Common;
  /** Input of a step's activity. */
  input(stepId: string, overrides?: Partial<StepCallInput>): StepCallInput;
  events(): Promise<readonly EventRecord[]>;
}

export interface TestStore {
  readonly db: Database;
  readonly url: string;
  /** A running execution of `usr_1` (or another). */
  start(plan: Plan, ownerId?: string): Promise<RunningExecution>;
  close(): Promise<void>;
}

export async function openTestStore(): Promise<TestStore> {
  const database = await createTestDatabase();
  const db = openDatabase(database.url);
  return {
    db,
    url: database.url,
    start: (plan, ownerId = 'usr_1') => start(db, plan, ownerId),
    close: async () => {
      await db.close();
      await database.drop();
    },
  };
}

async function start(db: Database, plan: Plan, ownerId: string): Promise<RunningExecution> {
  await putPlan(db, { hash: plan.hash, planFormat: 1, data: {}, plan });
  const started = await startExecution(db, {
    ownerId,
    workflowId: null,
    workflowName: plan.name,
    version: plan.version,
    hash: plan.hash,
    planFormat: 1,
    engineVersion: 1,
    trigger: { type: 'manual' },
    variables: {},
    total: plan.steps.length,
  });
  if (started.kind !== 'started') throw new Error(started.kind);
  const { id: executionId, sessionId } = started.execution;
  const common: Common = {
    executionId,
    ownerId,
    sessionId,
    workflowName: plan.name,
    planHash: plan.hash,
    planFormat: 1,
    engineVersion: 1,
    carry: { counter: 1, status: 'running', progress: { done: 0, total: 1, current: [] }, events: [], delivered: [] },
  };
  return {
    common,
    input: (stepId, overrides = {}) => {
      const step = plan.steps.find(({ id }) => id === stepId);
      if (step === undefined) throw new Error(`no step ${stepId}`);
      return {
        ...common,
        instance: { stepId, iterationPath: '', attempt: 1 },
        stepType: step.type,
        scope: {},
        nowMs: Date.now(),
        timeoutMs: null,
        ...overrides,
      };
    },
    events: () => readEvents(db, executionId, 0, 1_000),
  };
}

/** A variable scope. */
export const variables = (values: { readonly [name: string]: Json }): ScopeSlice => ({
  variables: Object.fromEntries(Object.entries(values).map(([name, v]) => [name, { v }])),
});

/** A Temporal environment for one call; its failures are given, not thrown. */
export function anEnvironment(info: ConstructorParameters<typeof MockActivityEnvironment>[0] = {}): MockActivityEnvironment {
  return new MockActivityEnvironment(info);
}
