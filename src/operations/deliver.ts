/**
 * From a committed row to its workflow: the row decides, the signal only wakes (durability §2). What Temporal did not take stays
 * undelivered, and the reconciler comes back to it; the command's id makes repeats harmless.
 */
import type { Value } from '../definition/value.js';
import type { CommandRecord } from '../store/commands.js';
import { markDelivered } from '../store/commands.js';
import { streamState } from '../store/event-log.js';
import { markGatesDelivered } from '../store/gates.js';
import { nextMessage, type MessageCommand, type StopCommand } from '../store/session-commands.js';
import { isEnded } from '../store/execution-record.js';
import { getExecution } from '../store/executions.js';
import type { GateRecord } from '../store/gate-record.js';
import type { ChildSignal } from '../workflows/messages.js';
import type { OperationDeps } from './deps.js';
import type { SendOutcome } from './temporal-gateway.js';
import { startInTemporal } from './temporal-start.js';

export type Deliverable = Pick<CommandRecord, 'id' | 'targetId' | 'kind' | 'payload' | 'by'>;

/** `nobody`: there is no workflow to tell, though its row is open; who reconciles closes it. `away`: Temporal cannot be asked now. */
export type Delivery = 'sent' | 'ended' | 'nobody' | 'away';

/**
 * Tells the workflow of a command. Sending it is not its delivery: the workflow marks it once it has applied it. Only of a row that has
 * ended nothing is applied any more: there a cancel is delivered when Temporal has it, which the workflow waits for.
 */
export async function deliverCommand(deps: OperationDeps, command: Deliverable): Promise<Delivery> {
  if (command.kind === 'message' || command.kind === 'stop') return await deliverToConversation(deps, command);
  const delivery = await reach(deps, command.targetId, () => send(deps, command));
  const isDone = delivery === 'ended' || (delivery === 'sent' && command.kind === 'cancel' && (await hasEnded(deps, command.targetId)));
  if (isDone) await markDelivered(deps.db, [command.id]);
  return delivery;
}

/** A message starts the conversation where none is open; so does a stop that has overtaken the message it is for. Any other finds nothing to stop. */
async function deliverToConversation(deps: OperationDeps, command: Deliverable): Promise<Delivery> {
  const { id, targetId: sessionId } = command;
  const session = await streamState(deps.db, sessionId);
  const outcome: SendOutcome = session === undefined ? { kind: 'gone' } : await tell(deps, command, session.ownerId);
  if (outcome.kind !== 'gone') return told(deps, sessionId, outcome);
  await markDelivered(deps.db, [id]);
  return 'ended';
}

async function tell(deps: OperationDeps, { id, targetId: sessionId, kind, payload }: Deliverable, ownerId: string): Promise<SendOutcome> {
  const conversation = { sessionId, ownerId };
  if (kind === 'message') {
    const { messageId } = payload as unknown as MessageCommand;
    return await deps.temporal.tellConversation(conversation, { name: 'message', payload: { id, messageId } });
  }
  const stop = { id, ...(payload as unknown as StopCommand) };
  const outcome = await deps.temporal.signal(sessionId, 'stop', stop);
  const waiting = outcome.kind === 'gone' ? await nextMessage(deps.db, sessionId) : undefined;
  if (waiting === undefined || waiting.seq > stop.upTo) return outcome;
  return await deps.temporal.tellConversation(conversation, { name: 'stop', payload: stop });
}

async function hasEnded(deps: OperationDeps, executionId: string): Promise<boolean> {
  const execution = await getExecution(deps.db, null, executionId);
  return execution === undefined || isEnded(execution.status);
}

/** The same behind the caller's answer. */
export function deliverSoon(deps: OperationDeps, command: Deliverable): void {
  deps.background.run(`deliver ${command.kind}`, async () => {
    await deliverCommand(deps, command);
  });
}

/** Wakes the workflow of a settled gate, which then reads the row: the execution's, or the conversation's that holds the call. */
export async function deliverGate(deps: OperationDeps, gate: GateRecord): Promise<Delivery> {
  const { executionId, sessionId, id } = gate;
  if (executionId === null) {
    const outcome = await deps.temporal.signal(sessionId, 'approve', { approvalId: id });
    if (outcome.kind !== 'gone') return told(deps, sessionId, outcome);
    await markGatesDelivered(deps.db, [id]);
    return 'ended';
  }
  return await reach(deps, executionId, () => deps.temporal.signal(executionId, 'approve', { approvalId: id }));
}

export function deliverGateSoon(deps: OperationDeps, gate: GateRecord): void {
  deps.background.run('deliver approval', async () => {
    await deliverGate(deps, gate);
  });
}

function send(deps: OperationDeps, command: Deliverable): Promise<SendOutcome> {
  const { id, targetId, kind, payload } = command;
  switch (kind) {
    case 'cancel':
      return deps.temporal.cancel(targetId);
    case 'pause':
    case 'resume':
      return deps.temporal.signal(targetId, kind, { id, ...signedBy(command.by as Signer | null) });
    case 'event': {
      const { event, payload: value } = payload as unknown as { event: string; payload: Value };
      return deps.temporal.signal(targetId, 'event', { id, event, value });
    }
    case 'child':
      return deps.temporal.signal(targetId, 'child', { id, ...(payload as unknown as Omit<ChildSignal, 'id'>) });
    case 'message':
    case 'stop':
      throw new Error(`A command of kind ${kind} goes to a conversation`);
  }
}

interface Signer {
  readonly id: string;
  readonly name: string;
}

/** Nobody has signed what a test or an operator has written into the rows. */
const signedBy = (by: Signer | null): { readonly by?: Signer } => (by === null ? {} : { by: { id: by.id, name: by.name } });

/** Sends to a workflow, starting it first where its row still waits for that: a command may overtake the start of its execution. */
async function reach(deps: OperationDeps, executionId: string, attempt: () => Promise<SendOutcome>): Promise<Delivery> {
  const first = await attempt();
  if (first.kind !== 'gone') return told(deps, executionId, first);
  const execution = await getExecution(deps.db, null, executionId);
  if (execution === undefined || isEnded(execution.status)) return 'ended';
  if (execution.status !== 'pending') return 'nobody';
  const started = await startInTemporal(deps, execution, { kind: 'load', executionId });
  return started.kind === 'unavailable' ? 'away' : told(deps, executionId, await attempt());
}

function told(deps: OperationDeps, workflowId: string, outcome: SendOutcome): Delivery {
  if (outcome.kind === 'sent') return 'sent';
  if (outcome.kind === 'gone') return 'nobody';
  deps.log.warn({ workflowId, error: outcome.error.message }, 'Temporal did not take a command; it will be repeated');
  return 'away';
}
