import type { Json } from '../definition/value.js';
import type { Database } from './database.js';
import { toJsonText } from './json-text.js';
import { statement } from './statement.js';

/** What an owner has set for the tools of their agents: tool id, `provider:*` or risk. */
export interface OwnPolicies {
  readonly [key: string]: 'allow' | 'approve' | 'deny';
}

const GET = statement('get_tool_policies', 'SELECT policies FROM tool_policies WHERE owner_id = $1');
const PUT = statement(
  'put_tool_policies',
  `INSERT INTO tool_policies (owner_id, policies) VALUES ($1, $2)
   ON CONFLICT (owner_id) DO UPDATE SET policies = EXCLUDED.policies, updated_at = now()`,
);

/** Empty when the owner has set nothing. */
export async function getToolPolicies(db: Database, ownerId: string): Promise<OwnPolicies> {
  const [row] = await db.rows<{ policies: OwnPolicies }>(GET, [ownerId]);
  return row?.policies ?? {};
}

/** In place of all that was set before. */
export async function putToolPolicies(db: Database, ownerId: string, policies: OwnPolicies): Promise<void> {
  await db.rows(PUT, [ownerId, toJsonText(policies as Json)]);
}
