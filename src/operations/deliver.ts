/**
 * From a committed row to its workflow: the row decides, the signal only wakes (durability §2). What Temporal did not take stays
 * undelivered, and the reconciler comes back to it; the command's id makes repeats harmless.
 */
import type { Value } from '../definition/value.js';
import type { CommandRecord } from '../store/commands.js';
import { markDelivered } from '../store/commands.js';
import { isEnded } from '../store/execution-record.js';
import { getExecution } from '../store/executions.js';
import type { GateRecord } from '../store/gate-record.js';
import type { ChildSignal } from '../workflows/messages.js';
import type { OperationDeps } from './deps.js';
import type { SendOutcome } from './temporal-gateway.js';
import { startInTemporal } from './temporal-start.js';

export type Deliverable = Pick<CommandRecord, 'id' | 'targetId' | 'kind' | 'payload' | 'by'>;

/** Tells the workflow of a command. Sending it is not its delivery: the workflow marks it once it has applied it. */
export async function deliverCommand(deps: OperationDeps, command: Deliverable): Promise<void> {
  const outcome = await reach(deps, command.targetId, () => send(deps, command));
  if (outcome === 'ended') await markDelivered(deps.db, [command.id]);
}

/** The same behind the caller's answer. */
export function deliverSoon(deps: OperationDeps, command: Deliverable): void {
  deps.background.run(`deliver ${command.kind}`, () => deliverCommand(deps, command));
}

/** Wakes the workflow of a settled gate, which then reads the row. A gate of a conversation has no execution to wake. */
export async function deliverGate(deps: OperationDeps, gate: GateRecord): Promise<void> {
  const { executionId, id } = gate;
  if (executionId === null) return;
  await reach(deps, executionId, () => deps.temporal.signal(executionId, 'approve', { approvalId: id }));
}

export function deliverGateSoon(deps: OperationDeps, gate: GateRecord): void {
  deps.background.run('deliver approval', () => deliverGate(deps, gate));
}

function send(deps: OperationDeps, command: Deliverable): Promise<SendOutcome> {
  const { id, targetId, kind, payload } = command;
  switch (kind) {
    case 'cancel':
      return deps.temporal.cancel(targetId);
    case 'pause':
    case 'resume':
      return deps.temporal.signal(targetId, kind, { id, by: (command.by as { id: string }).id });
    case 'event': {
      const { event, payload: value } = payload as unknown as { event: string; payload: Value };
      return deps.temporal.signal(targetId, 'event', { id, event, value });
    }
    case 'child':
      return deps.temporal.signal(targetId, 'child', { id, ...(payload as unknown as Omit<ChildSignal, 'id'>) });
    case 'message':
    case 'stop':
      throw new Error(`Commands of kind ${kind} belong to conversations`);
  }
}

/**
 * Sends to a workflow, starting it first where its row still waits for that: a command may overtake the start of its execution.
 * @returns whether it was sent, could not be, or has nobody to go to any more
 */
async function reach(deps: OperationDeps, executionId: string, attempt: () => Promise<SendOutcome>): Promise<'sent' | 'ended' | 'failed'> {
  const first = await attempt();
  if (first.kind === 'sent') return 'sent';
  if (first.kind === 'unavailable') return failed(deps, executionId, first.error);
  const execution = await getExecution(deps.db, null, executionId);
  if (execution === undefined || isEnded(execution.status)) return 'ended';
  if (execution.status !== 'pending') return 'failed';
  await startInTemporal(deps, execution, { kind: 'load', executionId });
  const second = await attempt();
  return second.kind === 'sent' ? 'sent' : 'failed';
}

function failed(deps: OperationDeps, executionId: string, error: Error): 'failed' {
  deps.log.warn({ executionId, error: error.message }, 'Temporal did not take a command; it will be repeated');
  return 'failed';
}
