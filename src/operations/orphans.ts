import type { Database } from '../store/database.js';
import { statement } from '../store/statement.js';

const ORPHANS = statement(
  'awaited_orphans',
  `SELECT c.id FROM executions c JOIN executions p ON p.id = c.parent_execution_id
   WHERE c.parent_awaited AND c.status IN ('pending', 'running', 'waiting_approval', 'waiting_event', 'paused')
     AND p.status IN ('completed', 'failed', 'cancelled')
   ORDER BY c.created_at, c.id LIMIT 500`,
);

/** Open executions that a parent was to wait for and that has ended, oldest first. */
export async function listAwaitedOrphans(db: Database): Promise<string[]> {
  return (await db.rows<{ id: string }>(ORPHANS, [])).map((row) => row.id);
}
