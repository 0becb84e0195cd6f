import { recordAudit, type AuditedActor } from '../store/audit.js';
import type { Json } from '../definition/value.js';
import type { OperationDeps } from './deps.js';
import type { Principal } from './principal.js';

/** Who did something, as rows and events keep it. */
export const actorOf = (principal: Principal): { readonly id: string; readonly name: string } => ({
  id: principal.userId,
  name: principal.name,
});

/** The reconciler, and everything that no person asked for. */
export const SYSTEM = { id: 'system', name: 'Signalbox' } as const;

interface Audited {
  /** Whose thing it was done to; the actor's own when absent. */
  readonly ownerId?: string;
  /** `resource.verb`. */
  readonly action: string;
  readonly targetType: string;
  readonly targetId: string | null;
  readonly details?: Json;
}

/** Writes who did what into the audit log. */
export function audit(deps: OperationDeps, principal: Principal, { ownerId, ...entry }: Audited): Promise<void> {
  return recordAudit(deps.db, { ownerId: ownerId ?? principal.userId, ...auditedActor(principal), ...entry });
}

/** Who asks, as the audit log keeps it, and by which call. */
export function auditedActor(principal: Principal): AuditedActor {
  const { kind, role, keyId, requestId } = principal;
  return { actor: { ...actorOf(principal), kind, role, keyId }, ...(requestId === undefined ? {} : { requestId }) };
}
