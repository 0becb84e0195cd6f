import type { GateRecord, PersonRef, VoteRecord } from './gate-record.js';

export type Decision = 'approve' | 'deny';

/** What the votes settle, if anything: one denial denies, `quorum` distinct people approve. Pure. */
export function votesSettle(quorum: number, votes: readonly Pick<VoteRecord, 'by' | 'decision'>[]): 'approved' | 'denied' | undefined {
  if (votes.some((vote) => vote.decision === 'deny')) return 'denied';
  const people = new Set(votes.map((vote) => vote.by.id));
  return people.size >= quorum ? 'approved' : undefined;
}

/** Who decided, in order: everyone who approved, or the one who denied. Pure. */
export function decidersOf(outcome: 'approved' | 'denied', votes: readonly Pick<VoteRecord, 'by' | 'decision'>[]): PersonRef[] {
  const wanted: Decision = outcome === 'approved' ? 'approve' : 'deny';
  return votes.filter((vote) => vote.decision === wanted).map((vote) => vote.by);
}

/** Whether this person's vote is among the gate's. Pure. */
export const hasVoted = (gate: Pick<GateRecord, 'votes'>, personId: string): boolean => gate.votes.some((vote) => vote.by.id === personId);
