/** A person's decision on a gate. */
import type { Json } from '../definition/value.js';
import { AppError, notFound } from '../errors.js';
import type { GateRecord, Via } from '../store/gate-record.js';
import { getGate } from '../store/gates.js';
import { getUser } from '../store/users.js';
import { auditedActor } from './actor.js';
import { findKeysById } from './authenticate-key.js';
import { authorize } from './authorize.js';
import { castVote, refusalOf } from './cast-vote.js';
import { auditRefusal, recordRefusal, type Asked } from './decision-audit.js';
import type { OperationDeps } from './deps.js';
import type { Principal } from './principal.js';
import { denialOf } from './role-matrix.js';
import { toWireApproval, type WireApproval } from './wire.js';

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
 * settled, approver, already voted, answer. Whatever comes of it is written into the audit log.
 * @throws AppError unauthenticated, agent_cannot_decide, forbidden, not_found, approval_settled, approver_not_allowed, already_voted, validation_failed
 */
export async function decideApproval(
  deps: OperationDeps,
  principal: Principal,
  params: DecisionParams,
): Promise<{ readonly approval: WireApproval }> {
  const via = params.via ?? 'http';
  const voter = await admitDecider(deps, principal, { ...params, via });
  const decided = await castVote(deps, { ...params, voter, by: auditedActor(voter), via });
  if (decided.refusal !== undefined) throw decided.refusal;
  return { approval: toWireApproval(decided.gate) };
}

/**
 * The gate, for somebody who is about to answer its form: as if they had voted with a fitting answer, but nothing is recorded except a refusal.
 * @throws AppError as decideApproval
 */
export async function openDecision(deps: OperationDeps, principal: Principal, params: DecisionParams): Promise<GateRecord> {
  const via = params.via ?? 'http';
  const voter = await admitDecider(deps, principal, { ...params, via });
  const gate = await getGate(deps.db, params.id);
  if (gate === undefined) throw notFound('approval', params.id);
  const asked = { id: params.id, via, voter };
  const refusal = refusalOf({ gate, owner: await getUser(deps.db, gate.ownerId) }, asked, () => []);
  if (refusal === undefined) return gate;
  await auditRefusal(deps, auditedActor(voter), { ...params, via }, { gate, refusal });
  throw refusal;
}

/**
 * Who decides, as they are now: a socket may have been opened, and a key be remembered, from before their key was revoked, they were disabled
 * or left a group. An agent is refused first, whatever the route, and so is who may decide nothing; it is written down.
 */
async function admitDecider(deps: OperationDeps, principal: Principal, params: Asked): Promise<Principal> {
  const decider = await asOfNow(deps, principal);
  const denial = denialOf(decider, 'decide');
  if (denial !== undefined) await recordRefusal(deps, auditedActor(decider), params, denial, decider.userId);
  authorize(decider, 'decide');
  return decider;
}

/** Who comes without a key was looked up for this decision. */
async function asOfNow({ db }: OperationDeps, principal: Principal): Promise<Principal> {
  const { keyId } = principal;
  if (keyId === null) return principal;
  const now = (await findKeysById(db, [keyId])).get(keyId);
  if (now === undefined) throw new AppError('unauthenticated', 'The key has been revoked or has expired', {});
  // A person's key that an agent acts with stays an agent's.
  return { ...principal, ...now, kind: principal.kind === 'agent' ? 'agent' : now.kind };
}
