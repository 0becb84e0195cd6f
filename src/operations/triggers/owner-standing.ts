import type { UserRecord } from '../../store/users.js';
import { isAllowed, type Role } from '../role-matrix.js';

/**
 * Why what somebody has made starts nothing by itself any more: a trigger does what its owner may do, not what they once might. Undefined when
 * they may. Pure.
 */
export function standingFault(owner: Pick<UserRecord, 'role' | 'disabled'> | undefined): string | undefined {
  if (owner === undefined || owner.disabled) return 'the owner of the trigger is disabled';
  if (isAllowed({ role: owner.role as Role, kind: 'person', scopes: null }, 'run')) return undefined;
  return `the owner of the trigger is a ${owner.role}, who may start nothing`;
}
