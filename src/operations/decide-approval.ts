/** A person's decision on a gate. */
import type { Json } from '../definition/value.js';
import { notFound } from '../errors.js';
import type { GateRecord, Via } from '../store/gate-record.js';
import { getGate } from '../store/gates.js';
import { getUser } from '../store/users.js';
import { authorize } from './authorize.js';
import { castVote, refusalOf } from './cast-vote.js';
import { auditRefusal, recordRefusal, type Actor, type Asked } from './decision-audit.js';
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
 * @throws AppError agent_cannot_decide, forbidden, not_found, approval_settled, approver_not_allowed, already_voted, validation_failed
 */
export async function decideApproval(
  deps: OperationDeps,
  principal: Principal,
  params: DecisionParams,
): Promise<{ readonly approval: WireApproval }> {
  const via = params.via ?? 'http';
  await admitDecider(deps, principal, { ...params, via });
  const decided = await castVote(deps, { ...params, voter: principal, actor: actorOf(principal), via });
  if (decided.refusal !== undefined) throw decided.refusal;
  return { approval: toWireApproval(decided.gate) };
}

/**
 * The gate, for somebody who is about to answer its form: as if they had voted with a fitting answer, but nothing is recorded except a refusal.
 * @throws AppError as decideApproval
 */
export async function openDecision(deps: OperationDeps, principal: Principal, params: DecisionParams): Promise<GateRecord> {
  const via = params.via ?? 'http';
  await admitDecider(deps, principal, { ...params, via });
  const gate = await getGate(deps.db, params.id);
  if (gate === undefined) throw notFound('approval', params.id);
  const asked = { id: params.id, via, voter: principal };
  const refusal = refusalOf({ gate, owner: await getUser(deps.db, gate.ownerId) }, asked, () => []);
  if (refusal === undefined) return gate;
  await auditRefusal(deps, actorOf(principal), { ...params, via }, { gate, refusal });
  throw refusal;
}

/** An agent is refused first, whatever the route, and so is who may decide nothing; it is written down. */
async function admitDecider(deps: OperationDeps, principal: Principal, params: Asked): Promise<void> {
  const denial = denialOf(principal, 'decide');
  if (denial !== undefined) await recordRefusal(deps, actorOf(principal), params, denial, principal.userId);
  authorize(principal, 'decide');
}

const actorOf = ({ userId, name, kind, role, keyId }: Principal): Actor => ({ id: userId, name, kind, role, keyId });
