import type { Carry } from '../../src/activities/contract.js';
import type { ExecutionStatus } from '../../src/engine/types.js';
import type { OperationDeps } from '../../src/operations/deps.js';
import type { Principal } from '../../src/operations/principal.js';
import { runWorkflow } from '../../src/operations/start-execution.js';
import { syncWorkflow } from '../../src/operations/sync-workflow.js';
import { recordEvents } from '../../src/store/projection.js';
import { openGate, type NewGate } from '../../src/store/gates.js';
import type { GateRecord } from '../../src/store/gate-record.js';
import { aDefinition } from './support.js';

export const carryOf = (status: ExecutionStatus, counter = 1): Carry => ({
  counter,
  status,
  progress: { done: 0, total: 1, current: [] },
  events: [],
  delivered: [],
});

/** An execution whose workflow has been started and has made its first projection. */
export async function aRunning(bench: OperationDeps, owner: Principal, status: ExecutionStatus = 'running'): Promise<string> {
  await syncWorkflow(bench, owner, { name: 'Greet', data: aDefinition() });
  const { execution } = await runWorkflow(bench, owner, { id: 'greet' });
  await bench.background.drain();
  await recordEvents(bench.db, execution.id, carryOf(status));
  return execution.id;
}

/** A gate of that execution, opened as its activity would. */
export async function anOpenGate(
  bench: OperationDeps,
  owner: Principal,
  executionId: string,
  overrides: Partial<NewGate> = {},
): Promise<GateRecord> {
  const opened = await openGate(bench.db, {
    ownerId: owner.userId,
    executionId,
    sessionId: 'ses_x',
    workflowName: 'Greet',
    instance: { stepId: 'g', iterationPath: '', attempt: 1 },
    prompt: 'Go?',
    approvers: null,
    quorum: 1,
    deadlineAt: Date.now() + 60_000,
    carry: null,
    at: Date.now(),
    step: { input: { v: null } },
    ...overrides,
  });
  if (opened.kind !== 'gate') throw new Error('The gate did not open');
  return opened.gate;
}

/** Makes rows look older than they are, for what waits for an age. */
export async function age(
  bench: OperationDeps,
  table: 'executions' | 'commands' | 'approvals',
  column: 'created_at' | 'updated_at' | 'settled_at' | 'deadline',
  minutes = 5,
): Promise<void> {
  await bench.db.pool.query(`UPDATE ${table} SET ${column} = ${column} - interval '${minutes} minutes'`);
}
