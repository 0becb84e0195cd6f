import { ApplicationFailure } from '@temporalio/common';
import type { ActivityCommand, GateOutcome } from '../engine/types.js';
import { AppError } from '../errors.js';
import type { Database } from '../store/database.js';
import { isEnded } from '../store/execution-record.js';
import { getExecution } from '../store/executions.js';
import { toGateOutcome, type GateRecord } from '../store/gate-record.js';
import { closeGate, markGatesDelivered, openGate } from '../store/gates.js';
import { recordEvents } from '../store/projection.js';
import type { CarryWriter } from './carry-writer.js';
import type { ApproveSignal, Common } from './contract.js';
import { noticeOf, prepareGate } from './gate-input.js';
import type { StepJournal } from './record-step.js';
import { recordFault } from './record-fault.js';
import type { RunFacts, RunFactsSource } from './run-facts.js';
import { isPlatformFault, toActivityFailure } from './step-error.js';
import type { StepCallInput } from './step-call.js';

type ExpireInput = Common & Omit<Extract<ActivityCommand, { name: 'expire_gate' }>, 'kind' | 'id' | 'name'>;
export interface GateParts {
  readonly db: Database;
  readonly facts: RunFactsSource;
  readonly journal: StepJournal;
  readonly carry: CarryWriter;
  /** The row of a gate after a signal: a pending one first tries the signal's own decision. Null: no such gate in this execution. */
  readSignalledGate(executionId: string | null, signal: ApproveSignal): Promise<GateOutcome | null>;
}

const CLOSED: GateOutcome = {
  approvalId: '',
  status: 'cancelled',
  decidedBy: [],
  decidedAt: null,
  reason: null,
  answer: { v: null },
};

/** Opens a step's gate once and answers with its row; an opening that cannot be made fails the step, recorded here. */
export function createOpenGateActivity(parts: GateParts): (input: StepCallInput & { readonly deadlineAt: number }) => Promise<GateOutcome> {
  return async (input) => {
    try {
      const facts = await parts.facts.of(input);
      return await recordingFaults(parts, facts, input, () => open(parts, facts, input));
    } catch (error) {
      throw toActivityFailure(error, input.instance, input.nowMs);
    }
  };
}

async function open(parts: GateParts, facts: RunFacts, input: StepCallInput & { readonly deadlineAt: number }): Promise<GateOutcome> {
  const prepared = await prepareGate(facts, input);
  const opened = await openGate(parts.db, {
    ownerId: input.ownerId,
    executionId: input.executionId,
    sessionId: input.sessionId,
    workflowName: input.workflowName,
    instance: input.instance,
    prompt: prepared.prompt,
    approvers: prepared.approvers,
    quorum: prepared.step.quorum,
    deadlineAt: input.deadlineAt,
    carry: input.carry,
    at: Math.max(Date.now(), input.nowMs),
    step: { input: prepared.recorded },
    notice: noticeOf(prepared, input.deadlineAt),
    ...(prepared.step.form === undefined ? {} : { form: prepared.step.form }),
  });
  return opened.kind === 'closed' ? await orEnded(parts.db, input.executionId, CLOSED) : await told(parts.db, opened.gate);
}

/** What is no fault of the platform ends the step, in its row and log: the host takes a failed answer as proof of both. */
async function recordingFaults<T>(parts: GateParts, facts: RunFacts, input: StepCallInput, work: () => Promise<T>): Promise<T> {
  try {
    return await work();
  } catch (error) {
    if (isPlatformFault(error) || error instanceof ApplicationFailure) throw error;
    throw await recordFault(parts.journal, input, error, facts.redactor);
  }
}

/** Closes a pending gate, asking no clock, and answers with its row as it then is: a decision may have come first. */
export function createExpireGateActivity(db: Database): (input: ExpireInput) => Promise<GateOutcome> {
  return async (input) => {
    try {
      const gate = await closeGate(db, { approvalId: input.approvalId, to: input.to, carry: input.carry });
      if (gate === undefined) {
        await recordEvents(db, input.executionId, input.carry);
        throw new AppError('internal_error', `Gate ${input.approvalId} is not in the store`, {});
      }
      return await told(db, gate);
    } catch (error) {
      throw toActivityFailure(error, input.instance, Date.now());
    }
  };
}

/** The row after a signal, whatever the signal said. Null: no such gate in this execution. */
export function createReadGateActivity(
  parts: GateParts,
): (input: Common & { readonly approvalId: string; readonly signal: ApproveSignal }) => Promise<GateOutcome | null> {
  return async (input) => {
    await parts.carry.write(input);
    const gate = await parts.readSignalledGate(input.executionId, input.signal);
    return gate === null ? null : await orEnded(parts.db, input.executionId, gate);
  };
}

/** What is answered with a settled row is delivered: the reconciler need not signal it. */
async function told(db: Database, gate: GateRecord): Promise<GateOutcome> {
  if (gate.status !== 'pending' && gate.deliveredAt === null) await markGatesDelivered(db, [gate.id]);
  const outcome = toGateOutcome(gate);
  return gate.executionId === null ? outcome : await orEnded(db, gate.executionId, outcome);
}

/** A gate is closed, or not opened, for a cancel that the workflow will hear of; or because its row has ended without it. */
async function orEnded(db: Database, executionId: string, outcome: GateOutcome): Promise<GateOutcome> {
  if (outcome.status !== 'cancelled') return outcome;
  const execution = await getExecution(db, null, executionId);
  return execution !== undefined && isEnded(execution.status) ? { ...outcome, closed: true } : outcome;
}
