/** Reading gates: owner, approvers and admins see them, others do not know of them. */
import type { GateStatus } from '../engine/types.js';
import { notFound } from '../errors.js';
import { listGates } from '../store/gate-list.js';
import { postsOf } from '../store/gate-posts.js';
import { getGate } from '../store/gates.js';
import type { Page, PageRequest } from '../store/page.js';
import { getUser } from '../store/users.js';
import { authorize } from './authorize.js';
import { audienceOf } from './cast-vote.js';
import type { OperationDeps } from './deps.js';
import { maySee } from './gate-audience.js';
import type { Principal } from './principal.js';
import { isAllowed } from './role-matrix.js';
import { toWireApproval, toWireNotice, type WireApproval, type WireNotice } from './wire.js';

export interface ListApprovalsParams extends PageRequest {
  readonly status?: GateStatus;
  /** Also finds the gates of its subworkflows. */
  readonly executionId?: string;
  /** Only those that the caller may decide. */
  readonly mine?: boolean;
}

/** Newest first. */
export async function listApprovals(deps: OperationDeps, principal: Principal, params: ListApprovalsParams): Promise<Page<WireApproval>> {
  authorize(principal, 'read');
  const { userId, email, groups, role } = principal;
  if (params.mine === true && !isAllowed(principal, 'decide')) return { items: [], cursor: null, hasMore: false };
  const page = await listGates(deps.db, { ...params, viewer: { userId, email, groups, isAdmin: role === 'admin' } });
  return { ...page, items: page.items.map(toWireApproval) };
}

/** With who was told of it, and how far that got. @throws AppError not_found */
export async function getApproval(
  deps: OperationDeps,
  principal: Principal,
  { id }: { readonly id: string },
): Promise<{ readonly approval: WireApproval & { readonly notices: readonly WireNotice[] } }> {
  authorize(principal, 'read');
  const gate = await getGate(deps.db, id);
  const owner = gate === undefined ? undefined : await getUser(deps.db, gate.ownerId);
  if (gate === undefined || !maySee(audienceOf(gate, owner?.groups ?? []), principal)) throw notFound('approval', id);
  return { approval: { ...toWireApproval(gate), notices: (await postsOf(deps.db, id)).map(toWireNotice) } };
}
