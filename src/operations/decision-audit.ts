/** Who tried what on a gate, and what came of it, in the audit log. */
import { recordAudit, type AuditedActor } from '../store/audit.js';
import type { GateRecord, Via } from '../store/gate-record.js';
import { getGate } from '../store/gates.js';
import type { Queryable } from '../store/statement.js';
import type { OperationDeps } from './deps.js';

export interface Asked {
  /** The approval's. */
  readonly id: string;
  readonly decision: 'approve' | 'deny';
  readonly via: Via;
}

/** What nobody could know of is not written down: there is no such gate. */
export async function auditRefusal(
  { db }: Pick<OperationDeps, 'db'>,
  by: AuditedActor,
  asked: Asked,
  { gate, refusal }: { readonly gate: GateRecord | undefined; readonly refusal: { readonly code: string } },
): Promise<void> {
  if (gate !== undefined) await recordRefusal({ db }, by, asked, refusal.code, gate.ownerId);
}

/** That a vote counted, in its transaction. */
export function recordDecision(tx: Queryable, by: AuditedActor, { id: targetId, decision, via }: Asked, gate: GateRecord): Promise<void> {
  const details = { status: gate.status, via };
  return recordAudit(tx, { ownerId: gate.ownerId, ...by, action: `approval.${decision}`, targetType: 'approval', targetId, details });
}

export function recordRefusal(
  { db }: Pick<OperationDeps, 'db'>,
  by: AuditedActor,
  { id, decision, via }: Asked,
  code: string,
  ownerId: string,
): Promise<void> {
  const details = { code, decision, via };
  return recordAudit(db, { ownerId, ...by, action: 'approval.refused', targetType: 'approval', targetId: id, details });
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
  await recordRefusal(deps, { actor }, { id, decision, via: 'slack' }, 'slack_user_unknown', gate.ownerId);
  return gate;
}
