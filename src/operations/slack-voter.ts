import { getUserOfSlack } from '../store/users.js';
import type { OperationDeps } from './deps.js';
import type { Principal } from './principal.js';
import type { Role } from './role-matrix.js';

/** The person whom a user of Slack is linked to (`slackUserId`), as they act here; undefined for a stranger, or who was disabled. */
export async function slackVoter(deps: Pick<OperationDeps, 'db'>, slackUserId: string): Promise<Principal | undefined> {
  const user = await getUserOfSlack(deps.db, slackUserId);
  if (user === undefined || user.disabled) return undefined;
  const { id, name, email, groups } = user;
  return { userId: id, name, email, groups, role: user.role as Role, kind: 'person', keyId: null, scopes: null };
}
