/** Who tried what on a gate, and what came of it, in the audit log. */
import type { Json } from '../definition/value.js';
import { recordAudit } from '../store/audit.js';
import type { GateRecord, Via } from '../store/gate-record.js';
import { getGate } from '../store/gates.js';
import type { Decided } from './cast-vote.js';
import type { OperationDeps } from './deps.js';

export interface Asked {
  /** The approval's. */
  readonly id: string;
  readonly decision: 'approve' | 'deny';
  readonly via: Via;
}
export type Actor = { readonly [field: string]: Json };

/** What nobody could know of is not written down: there is no such gate. */
export async function auditDecision(deps: OperationDeps, actor: Actor, asked: Asked, { gate, refusal }: Decided): Promise<void> {
  if (gate === undefined) return;
  if (refusal !== undefined) return await recordRefusal(deps, actor, asked, refusal.code, gate.ownerId);
  const { id: targetId, decision, via } = asked;
  const details = { status: gate.status, via };
  await recordAudit(deps.db, { ownerId: gate.ownerId, actor, action: `approval.${decision}`, targetType: 'approval', targetId, details });
}

export function recordRefusal(
  deps: OperationDeps,
  actor: Actor,
  { id, decision, via }: Asked,
  code: string,
  ownerId: string,
): Promise<void> {
  const details = { code, decision, via };
  return recordAudit(deps.db, { ownerId, actor, action: 'approval.refused', targetType: 'approval', targetId: id, details });
}

/** Writes down that a user of Slack tried who is nobody here. Undefined: there is no such gate. */
export async function refuseSlackStranger(
  deps: OperationDeps,
  stranger: { readonly slackUserId: string; readonly name: string },
  { id, decision }: Pick<Asked, 'id' | 'decision'>,
): Promise<GateRecord | undefined> {
  const gate = await getGate(deps.db, id);
  if (gate === undefined) return undefined;
  const actor = { id: null, name: stranger.name, kind: 'slack', slackUserId: stranger.slackUserId };
  await recordRefusal(deps, actor, { id, decision, via: 'slack' }, 'slack_user_unknown', gate.ownerId);
  return gate;
}
