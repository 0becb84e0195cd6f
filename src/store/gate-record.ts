import { toDisplay } from '../definition/value-parts.js';
import type { Json, Value } from '../definition/value.js';
import type { GateOutcome, GateStatus } from '../engine/types.js';
import type { Approval, Vote } from '../generated/prisma/client.js';
import { iso } from './execution-record.js';

export type Via = 'http' | 'web' | 'slack' | 'signal';
export interface PersonRef {
  readonly id: string;
  readonly name: string;
}

/** One person's vote. */
export interface VoteRecord {
  readonly id: string;
  readonly by: PersonRef;
  readonly via: Via;
  readonly decision: 'approve' | 'deny';
  readonly reason: string | null;
  readonly at: string;
}

/** A tool call that waits for a person (design §5). */
export interface HeldCall {
  readonly callId: string;
  readonly toolId: string;
  readonly args: Json;
  readonly summary: string | null;
}

/** A gate's row with its votes, oldest first. Instants are ISO texts. */
export interface GateRecord {
  readonly id: string;
  readonly ownerId: string;
  readonly executionId: string | null;
  readonly sessionId: string;
  readonly workflowName: string | null;
  readonly stepId: string | null;
  readonly iterationPath: string | null;
  readonly attempt: number | null;
  readonly toolCall: HeldCall | null;
  readonly prompt: string | null;
  readonly status: GateStatus;
  /** User ids, e-mails, `group:<name>`; null: the owner's team. */
  readonly approvers: readonly string[] | null;
  readonly quorum: number;
  readonly form: Json;
  readonly votes: readonly VoteRecord[];
  readonly decidedBy: readonly PersonRef[];
  readonly decidedAt: string | null;
  readonly reason: string | null;
  readonly answer: Value | null;
  readonly deadline: string | null;
  readonly escalatedTo: readonly string[];
  readonly createdAt: string;
  readonly settledAt: string | null;
  /** When the workflow was told of the settled row. */
  readonly deliveredAt: string | null;
}

export function toGateRecord(row: Approval, votes: readonly Vote[]): GateRecord {
  return {
    id: row.id,
    ownerId: row.ownerId,
    executionId: row.executionId,
    sessionId: row.sessionId,
    workflowName: row.workflowName,
    stepId: row.stepId,
    iterationPath: row.iterationPath,
    attempt: row.attempt,
    toolCall: row.toolCall as unknown as HeldCall | null,
    prompt: row.prompt,
    status: row.status as GateStatus,
    approvers: row.openToTeam ? null : row.approvers,
    quorum: row.quorum,
    form: row.form as Json,
    votes: votes.map(toVoteRecord),
    decidedBy: row.decidedBy as unknown as readonly PersonRef[],
    decidedAt: iso(row.decidedAt),
    reason: row.reason,
    answer: row.answer as unknown as Value | null,
    deadline: iso(row.deadline),
    escalatedTo: row.escalatedTo,
    createdAt: row.createdAt.toISOString(),
    settledAt: iso(row.settledAt),
    deliveredAt: iso(row.deliveredAt),
  };
}

function toVoteRecord(vote: Vote): VoteRecord {
  return {
    id: vote.id,
    by: { id: vote.byId, name: vote.byName },
    via: vote.via as Via,
    decision: vote.decision as VoteRecord['decision'],
    reason: vote.reason,
    at: vote.at.toISOString(),
  };
}

/** What the engine needs of a gate. Pure. */
export function toGateOutcome(gate: GateRecord): GateOutcome {
  return {
    approvalId: gate.id,
    status: gate.status,
    decidedBy: gate.decidedBy.map((person) => ({ ...person })),
    decidedAt: gate.decidedAt,
    reason: gate.reason,
    answer: gate.answer ?? { v: null },
  };
}

/** Data of the event that tells a gate's end. Pure. */
export function toGateEndData(gate: GateRecord): { readonly [key: string]: Json } {
  return {
    approvalId: gate.id,
    status: gate.status,
    decidedBy: gate.decidedBy.map((person) => ({ ...person })),
    decidedAt: gate.decidedAt,
    reason: gate.reason,
    answer: gate.answer === null ? null : toDisplay(gate.answer),
  };
}
