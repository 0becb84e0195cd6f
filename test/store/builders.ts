import type { Carry } from '../../src/activities/contract.js';
import type { Value } from '../../src/definition/value.js';
import type { EngineEvent, StepAnswer, StepInstance } from '../../src/engine/types.js';
import { openDatabase, type Database } from '../../src/store/database.js';
import { startExecution, type NewExecution } from '../../src/store/start-execution.js';
import type { ExecutionRecord } from '../../src/store/execution-record.js';
import type { LogEvent } from '../../src/store/log-event.js';
import type { BeginStep } from '../../src/store/steps.js';
import type { NewGate } from '../../src/store/gates.js';
import { createTestDatabase, type TestDatabase } from '../support/postgres.js';

/** A migrated database of its own for the tests of a file; `db()` in a test. */
export function useDatabase(poolSize = 10): { db: () => Database; url: () => string } {
  let test: TestDatabase | undefined;
  let database: Database | undefined;
  beforeAll(async () => {
    test = await createTestDatabase();
    database = openDatabase(test.url, { poolSize });
  });
  afterAll(async () => {
    await database?.close();
    await test?.drop();
  });
  const there = <T>(value: T | undefined): T => {
    if (value === undefined) throw new Error('The database is opened in beforeAll');
    return value;
  };
  return { db: () => there(database), url: () => there(test).url };
}

export const aNewExecution = (overrides: Partial<NewExecution> = {}): NewExecution => ({
  ownerId: 'usr_ana',
  workflowId: 'wf_1',
  workflowName: 'CI digest',
  version: '1.0.0',
  hash: 'sha256:aa',
  planFormat: 1,
  engineVersion: 1,
  trigger: { type: 'manual' },
  variables: {},
  total: 3,
  ...overrides,
});

export async function started(db: Database, overrides: Partial<NewExecution> = {}): Promise<ExecutionRecord> {
  const result = await startExecution(db, aNewExecution(overrides));
  if (result.kind !== 'started') throw new Error(`Expected a start, got ${result.kind}`);
  return result.execution;
}

export const anInstance = (overrides: Partial<StepInstance> = {}): StepInstance => ({
  stepId: 'call',
  iterationPath: '',
  attempt: 1,
  ...overrides,
});

let counter = 0;

/** Each carry is newer than the one before. */
export const aCarry = (overrides: Partial<Carry> = {}): Carry => {
  counter += 1;
  return { counter, status: 'running', progress: { done: 0, total: 3, current: [] }, events: [], delivered: [], ...overrides };
};

export const anEvent = (overrides: Partial<LogEvent> = {}): LogEvent => ({
  kind: 'agent.turn',
  ordinal: '1',
  at: 1_700_000_000_000,
  instance: anInstance(),
  data: {},
  ...overrides,
});

export const anEngineEvent = (overrides: Partial<EngineEvent> = {}): EngineEvent => ({
  kind: 'step.completed',
  ordinal: '1',
  at: 1_700_000_000_000,
  instance: anInstance({ stepId: 'set' }),
  stepType: 'set',
  data: {},
  record: { output: { v: 1 } },
  ...overrides,
});

export const aBegin = (execution: ExecutionRecord, overrides: Partial<BeginStep> = {}): BeginStep => ({
  executionId: execution.id,
  instance: anInstance(),
  stepType: 'tool',
  carry: aCarry(),
  at: 1_700_000_000_000,
  input: { v: { url: 'http://x' } },
  startedData: { input: { url: 'http://x' } },
  holder: 'attempt-1',
  mayRepeat: true,
  unknown: { error: { code: 'outcome_unknown', message: 'cut off', retryable: false }, data: {} },
  ...overrides,
});

export const aCompletion = (output: Value = { v: 'done' }): StepAnswer => ({
  ended: 'completed',
  at: 1_700_000_001_000,
  output,
});

export const aNewGate = (execution: ExecutionRecord, overrides: Partial<NewGate> = {}): NewGate => ({
  ownerId: execution.ownerId,
  executionId: execution.id,
  sessionId: execution.sessionId,
  workflowName: execution.workflowName,
  instance: anInstance({ stepId: 'gate' }),
  prompt: 'Deploy?',
  approvers: null,
  quorum: 1,
  deadlineAt: Date.now() + 60_000,
  carry: aCarry(),
  at: 1_700_000_000_000,
  step: { input: { v: { prompt: 'Deploy?' } } },
  ...overrides,
});
