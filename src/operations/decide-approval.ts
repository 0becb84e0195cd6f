import type { Json, Value } from '../definition/value.js';
import { AppError, notFound } from '../errors.js';
import type { GateRecord, Via } from '../store/gate-record.js';
import { hasVoted } from '../store/gate-rules.js';
import { decideGate, getGate, type GateView } from '../store/gates.js';
import { findUser, getUser } from '../store/users.js';
import { storeIfLarge } from '../store/values.js';
import { audit } from './actor.js';
import { checkAnswer } from './answer-check.js';
import { authorize } from './authorize.js';
import { deliverGateSoon } from './deliver.js';
import type { OperationDeps } from './deps.js';
import { mayDecide, maySee, type GateAudience } from './gate-audience.js';
import type { Principal } from './principal.js';
import { isAllowed, type Role } from './role-matrix.js';
import { toWireApproval, type WireApproval } from './wire.js';
import type { SignalledDecision } from './signalled-decision.js';

export interface DecisionParams {
  /** The approval's. */
  readonly id: string;
  readonly decision: 'approve' | 'deny';
  readonly reason?: string;
  readonly answer?: Json;
  /** The door: `http` unless told. */
  readonly via?: Via;
}

/**
 * One person's vote. The row decides, at once and for good; the workflow is woken after. Checks in api.md's order: agent, visible,
 * settled, approver, already voted, answer. Refusals of agents and strangers are audited.
 * @throws AppError agent_cannot_decide, forbidden, not_found, approval_settled, approver_not_allowed, already_voted, validation_failed
 */
export async function decideApproval(
  deps: OperationDeps,
  principal: Principal,
  params: DecisionParams,
): Promise<{ readonly approval: WireApproval }> {
  await admitDecider(deps, principal, params);
  const rules = { ...params, voter: principal, via: params.via ?? 'http' };
  const result = await decide(deps, rules);
  if (result.refusal === undefined) {
    await audit(deps, principal, {
      ownerId: result.gate.ownerId,
      action: `approval.${params.decision}`,
      targetType: 'approval',
      targetId: params.id,
      details: { status: result.gate.status, via: rules.via },
    });
    return { approval: toWireApproval(result.gate) };
  }
  if (result.refusal.code === 'approver_not_allowed')
    await auditRefusal(deps, principal, params, 'approver_not_allowed', result.gate?.ownerId);
  throw result.refusal;
}

/** An agent is refused first, whatever the route, and it is written down. */
async function admitDecider(deps: OperationDeps, principal: Principal, params: DecisionParams): Promise<void> {
  if (principal.kind === 'agent') await auditRefusal(deps, principal, params, 'agent_cannot_decide');
  authorize(principal, 'decide');
}

function auditRefusal(
  deps: OperationDeps,
  principal: Principal,
  { id, decision }: DecisionParams,
  code: string,
  ownerId?: string,
): Promise<void> {
  return audit(deps, principal, {
    ...(ownerId === undefined ? {} : { ownerId }),
    action: 'approval.refused',
    targetType: 'approval',
    targetId: id,
    details: { code, decision },
  });
}

interface Voter {
  readonly userId: string;
  readonly name: string;
  readonly email: string;
  readonly groups: readonly string[];
  readonly role: Role;
  /** Whoever may reach Temporal: votes where no list of approvers stands. */
  readonly isOperator?: true;
}
interface Ballot extends Omit<DecisionParams, 'via'> {
  readonly voter: Voter;
  readonly via: Via;
  readonly executionId?: string;
}
type Decided = { readonly gate: GateRecord; readonly refusal?: undefined } | { readonly gate?: GateRecord; readonly refusal: AppError };

async function decide(deps: OperationDeps, ballot: Ballot): Promise<Decided> {
  const answer = ballot.answer ?? null;
  const refuse = (view: GateView) => refusalOf(view, ballot, answer);
  // Asked once before: an answer is stored only for a vote that may count.
  const known = await getGate(deps.db, ballot.id);
  if (known === undefined) return { refusal: notFound('approval', ballot.id) };
  const early = refuse({ gate: known, owner: await getUser(deps.db, known.ownerId) });
  if (early !== undefined) return { refusal: early, gate: known };
  const result = await decideGate<AppError>(deps.db, {
    approvalId: ballot.id,
    ...(ballot.executionId === undefined ? {} : { executionId: ballot.executionId }),
    voter: { id: ballot.voter.userId, name: ballot.voter.name },
    via: ballot.via,
    decision: ballot.decision,
    reason: ballot.reason ?? null,
    answer: await storedAnswer(deps, known, ballot.answer),
    refuse,
  });
  if (result.kind === 'not_found') return { refusal: notFound('approval', ballot.id) };
  if (result.kind === 'refused') {
    // The click that came too late has expired the gate: its workflow follows.
    if (result.gate.status === 'expired') deliverGateSoon(deps, result.gate);
    return { refusal: result.refusal, gate: result.gate };
  }
  if (result.settled) deliverGateSoon(deps, result.gate);
  return { gate: result.gate };
}

/** Answers are values of the gate's owner, as their workflow reads them. */
async function storedAnswer(deps: OperationDeps, gate: GateRecord, answer: Json | undefined): Promise<Value | null> {
  return answer === undefined || answer === null ? null : storeIfLarge(deps.db, gate.ownerId, answer);
}

function refusalOf({ gate, owner }: GateView, { voter, decision, id, via }: Ballot, answer: Json): AppError | undefined {
  const audience = audienceOf(gate, owner?.groups ?? []);
  const isAllowed = voter.isOperator === true ? gate.approvers === null : mayDecide(audience, voter);
  if (voter.isOperator !== true && !maySee(audience, voter) && via !== 'signal') return notFound('approval', id);
  if (gate.status !== 'pending') return settled(gate);
  if (!isAllowed) return new AppError('approver_not_allowed', `${voter.name} is not among the approvers of ${id}`, { approvalId: id });
  if (hasVoted(gate, voter.userId)) return new AppError('already_voted', `${voter.name} has voted on ${id}`, { approvalId: id });
  return answerRefusal(gate, decision, answer);
}

/** A denial needs no answer; one that is given has to fit all the same. */
function answerRefusal(gate: GateRecord, decision: 'approve' | 'deny', answer: Json): AppError | undefined {
  if (gate.form === null || (decision === 'deny' && answer === null)) return undefined;
  const problems = checkAnswer(gate.form, answer);
  return problems.length === 0 ? undefined : new AppError('validation_failed', 'The answer does not fit the form', { problems });
}

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

const OPERATOR: Voter = { userId: 'operator', name: 'Operator', email: '', groups: [], role: 'viewer', isOperator: true };

/**
 * A raw `approve` signal's own decision, tried on the row: the operator's vote, or of whoever `by` names (a user id or e-mail), who
 * must be allowed. May repeat. @returns why it did not count, if it did not
 */
export async function decideBySignal(deps: OperationDeps, executionId: string, signal: SignalledDecision): Promise<AppError | undefined> {
  if (signal.decision === undefined) return undefined;
  const voter = signal.by === undefined ? OPERATOR : await voterNamed(deps, signal.by);
  if (voter === undefined)
    return new AppError('approver_not_allowed', `There is nobody called ${String(signal.by)} who may decide`, {
      approvalId: signal.approvalId,
    });
  const { approvalId: id, decision, reason, answer } = signal;
  const { refusal } = await decide(deps, {
    id,
    decision,
    ...(reason === undefined ? {} : { reason }),
    ...(answer === undefined ? {} : { answer }),
    voter,
    via: 'signal',
    executionId,
  });
  return refusal;
}

async function voterNamed(deps: OperationDeps, by: string): Promise<Voter | undefined> {
  const user = await findUser(deps.db, by);
  if (user === undefined || user.disabled) return undefined;
  if (!isAllowed({ role: user.role as Role, kind: 'person', scopes: null }, 'decide')) return undefined;
  return { userId: user.id, name: user.name, email: user.email, groups: user.groups, role: user.role as Role };
}
