import { recordAudit } from '../store/audit.js';
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
  const actor = { ...actorOf(principal), kind: principal.kind, role: principal.role, keyId: principal.keyId };
  return recordAudit(deps.db, { ownerId: ownerId ?? principal.userId, actor, ...entry });
}
