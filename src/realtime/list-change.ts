/** A change of a list as the event that tells it. Pure. */
import type { WireApproval, WireExecution } from '../operations/wire.js';
import type { GateRecord } from '../store/gate-record.js';

/** An event without the seq, which each subscription counts for itself. */
export interface ListChange {
  readonly executionId: string | null;
  readonly sessionId: string;
  readonly kind: string;
  readonly stepId?: string;
  readonly iterationPath?: string;
  readonly attempt?: number;
  readonly at: string;
  readonly data: { readonly execution: WireExecution } | { readonly approval: WireApproval };
}

/** Kinds of Event where the status has one; `execution.updated` for the rest (progress, going on after a wait). */
export function executionChange(before: string | undefined, execution: WireExecution, at: string): ListChange {
  const { id: executionId, sessionId } = execution;
  return { executionId, sessionId, kind: executionKind(before, execution.status), at, data: { execution } };
}

function executionKind(before: string | undefined, status: WireExecution['status']): string {
  if (before === undefined && (status === 'pending' || status === 'running')) return 'execution.started';
  if (before === status) return 'execution.updated';
  switch (status) {
    case 'pending':
    case 'running':
      return before === 'paused' ? 'execution.resumed' : 'execution.updated';
    case 'waiting_approval':
    case 'waiting_event':
      return 'execution.waiting';
    case 'paused':
    case 'cancelling':
    case 'completed':
    case 'failed':
    case 'cancelled':
      return `execution.${status}`;
  }
}

/** `approval.required`, then a vote, an escalation, or the end. */
export function gateChange(before: GateRecord | undefined, gate: GateRecord, approval: WireApproval): ListChange {
  const { executionId, sessionId, stepId, iterationPath, attempt } = gate;
  const place = stepId === null ? {} : { stepId, iterationPath: iterationPath ?? '', attempt: attempt ?? 1 };
  const kind = gateKind(before, gate);
  return { executionId, sessionId, kind, ...place, at: gate.settledAt ?? gate.votes.at(-1)?.at ?? gate.createdAt, data: { approval } };
}

function gateKind(before: GateRecord | undefined, gate: GateRecord): string {
  if (gate.status !== 'pending') return `approval.${gate.status}`;
  if (before === undefined) return 'approval.required';
  return gate.escalatedTo.length > before.escalatedTo.length ? 'approval.escalated' : 'approval.voted';
}
