import type { Json } from '../definition/value.js';
import type { Database } from './database.js';
import { statement } from './statement.js';

const ORIGIN = statement('workspace_origin', 'SELECT owner_id, repo FROM executions WHERE id = $1');
/** A run that is over keeps its workspace for ten minutes, for whoever still cleans up in it. */
const STATES = statement(
  'workspace_states',
  `SELECT id, completed_at < now() - interval '10 minutes' IS TRUE AS over FROM executions WHERE id = ANY($1)
   UNION ALL SELECT id, archived_at IS NOT NULL FROM sessions WHERE id = ANY($1)`,
);

/** Whose run it is and which repo it works on; undefined: no such run. */
export async function workspaceOrigin(
  db: Database,
  executionId: string,
): Promise<{ readonly ownerId: string; readonly repo: Json } | undefined> {
  const [row] = await db.rows<{ owner_id: string; repo: Json }>(ORIGIN, [executionId]);
  return row === undefined ? undefined : { ownerId: row.owner_id, repo: row.repo };
}

/** Whether the runs and sessions of these ids go on; unknown ones are absent. */
export async function workspaceStates(db: Database, ids: readonly string[]): Promise<ReadonlyMap<string, 'open' | 'over'>> {
  const rows = await db.rows<{ id: string; over: boolean }>(STATES, [[...ids]]);
  return new Map(rows.map(({ id, over }) => [id, over ? 'over' : 'open']));
}
