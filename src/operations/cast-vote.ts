/** One vote tried on a gate's row: what every door shares (HTTP, WebSocket, Slack, a raw signal). */
import type { Json, Value } from '../definition/value.js';
import { AppError, notFound } from '../errors.js';
import type { AuditedActor } from '../store/audit.js';
import type { GateRecord, Via } from '../store/gate-record.js';
import { hasVoted } from '../store/gate-rules.js';
import { decideGate, getGate, type GateView } from '../store/gates.js';
import { getUser } from '../store/users.js';
import { storeIfLarge } from '../store/values.js';
import { checkAnswer, type AnswerProblem } from './answer-check.js';
import { auditRefusal, recordDecision } from './decision-audit.js';
import { deliverGateSoon } from './deliver.js';
import type { OperationDeps } from './deps.js';
import { mayDecide, maySee, type GateAudience } from './gate-audience.js';
import type { Role } from './role-matrix.js';

export interface Voter {
  readonly userId: string;
  readonly name: string;
  readonly email: string;
  readonly groups: readonly string[];
  readonly role: Role;
  /** Whoever may reach Temporal: votes where no list of approvers stands. */
  readonly isOperator?: true;
}
export interface Ballot {
  /** The approval's. */
  readonly id: string;
  readonly decision: 'approve' | 'deny';
  readonly reason?: string;
  readonly answer?: Json;
  readonly voter: Voter;
  /** The same as the audit log has it. */
  readonly by: AuditedActor;
  readonly via: Via;
  readonly executionId?: string;
}
export type Decided =
  | { readonly gate: GateRecord; readonly refusal?: undefined }
  | { readonly gate?: GateRecord; readonly refusal: AppError };
type Judge = (view: GateView) => AppError | undefined;

/**
 * Casts it; the row is the judge. What comes of it stands in the audit log, where there is such a gate. The workflow of a gate that ends by
 * it is woken behind the answer.
 */
export async function castVote(deps: OperationDeps, ballot: Ballot): Promise<Decided> {
  const decided = await tryVote(deps, ballot, judgeOf(ballot));
  if (decided.refusal !== undefined) await auditRefusal(deps, ballot.by, ballot, { gate: decided.gate, refusal: decided.refusal });
  return decided;
}

async function tryVote(deps: OperationDeps, ballot: Ballot, judge: Judge): Promise<Decided> {
  const answer = await storeAnswer(deps, ballot, judge);
  const result = await decideGate<AppError | 'answer_missing'>(deps.db, {
    approvalId: ballot.id,
    ...(ballot.executionId === undefined ? {} : { executionId: ballot.executionId }),
    voter: { id: ballot.voter.userId, name: ballot.voter.name },
    via: ballot.via,
    decision: ballot.decision,
    reason: ballot.reason ?? null,
    answer: answer ?? null,
    refuse: (view) => judge(view) ?? (answer === undefined ? 'answer_missing' : undefined),
    note: (tx, gate) => recordDecision(tx, ballot.by, ballot, gate),
  });
  if (result.kind === 'not_found') return { refusal: notFound('approval', ballot.id) };
  if (result.kind === 'refused') {
    // Between the two looks they have become an approver.
    if (result.refusal === 'answer_missing') return await tryVote(deps, ballot, judge);
    // The click that came too late has expired the gate: its workflow follows.
    if (result.gate.status === 'expired') deliverGateSoon(deps, result.gate);
    return { refusal: result.refusal, gate: result.gate };
  }
  if (result.settled) deliverGateSoon(deps, result.gate);
  return { gate: result.gate };
}

/**
 * Answers are values of the gate's owner, as their workflow reads them. One is stored only for a vote that may count, which is asked before;
 * undefined: it looks as if it would not. The row has the last word, by its clock.
 */
async function storeAnswer(deps: OperationDeps, { id, answer }: Ballot, judge: Judge): Promise<Value | null | undefined> {
  if (answer === undefined || answer === null) return null;
  const gate = await getGate(deps.db, id);
  if (gate === undefined) return null;
  if (judge({ gate, owner: await getUser(deps.db, gate.ownerId) }) !== undefined) return undefined;
  return await storeIfLarge(deps.db, gate.ownerId, answer);
}

/** Whether the vote would count; its answer is checked once, however often that is asked. */
function judgeOf(ballot: Ballot): Judge {
  const answer = ballot.answer ?? null;
  let problems: readonly AnswerProblem[] | undefined;
  return (view) => refusalOf(view, ballot, (form) => (problems ??= form === null ? [] : problemsOf(form, ballot.decision, answer)));
}

/** Why a vote would not count, in api.md's order; undefined when it would. Pure. */
export function refusalOf(
  { gate, owner }: GateView,
  { voter, id, via }: Pick<Ballot, 'voter' | 'id' | 'via'>,
  faultsOf: (form: Json) => readonly AnswerProblem[],
): AppError | undefined {
  const audience = audienceOf(gate, owner?.groups ?? []);
  const isAllowed = voter.isOperator === true ? gate.approvers === null : mayDecide(audience, voter);
  if (voter.isOperator !== true && !maySee(audience, voter) && via !== 'signal') return notFound('approval', id);
  if (gate.status !== 'pending') return settled(gate);
  if (!isAllowed) return new AppError('approver_not_allowed', `${voter.name} is not among the approvers of ${id}`, { approvalId: id });
  if (hasVoted(gate, voter.userId)) return new AppError('already_voted', `${voter.name} has voted on ${id}`, { approvalId: id });
  const problems = faultsOf(gate.form);
  return problems.length === 0 ? undefined : new AppError('validation_failed', 'The answer does not fit the form', { problems });
}

/** A denial needs no answer; one that is given has to fit all the same. */
const problemsOf = (form: Json, decision: 'approve' | 'deny', answer: Json): readonly AnswerProblem[] =>
  decision === 'deny' && answer === null ? [] : checkAnswer(form, answer);

const settled = (gate: GateRecord): AppError =>
  new AppError('approval_settled', `Approval ${gate.id} is ${gate.status}`, {
    approvalId: gate.id,
    approvalStatus: gate.status,
    decidedBy: gate.decidedBy,
    decidedAt: gate.decidedAt,
  });

/** Whom the rules are about. Pure. */
export const audienceOf = (gate: GateRecord, ownerGroups: readonly string[]): GateAudience => ({
  approvers: gate.approvers,
  escalatedTo: gate.escalatedTo,
  owner: { userId: gate.ownerId, groups: ownerGroups },
});
