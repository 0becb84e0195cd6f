import type { GateStatus } from '../engine/types.js';
import type { Database } from './database.js';
import type { GateRecord } from './gate-record.js';
import { toGatesWithVotes, VOTES_COLUMN } from './gate-writes.js';
import { parseCursor, toPage, type Page, type PageRequest } from './page.js';
import { statement } from './statement.js';

/** Who looks. An admin sees every gate; others what they own, may decide, or what was escalated to them. */
export interface GateViewer {
  readonly userId: string;
  readonly email: string;
  readonly groups: readonly string[];
  readonly isAdmin: boolean;
}

export interface GateFilter extends PageRequest {
  readonly viewer: GateViewer;
  readonly status?: GateStatus;
  /** Also finds the gates of its subworkflows, at any depth. */
  readonly executionId?: string;
  /** Only those that the viewer may decide. */
  readonly mine?: boolean;
}

const MAY_DECIDE = `
  (a.open_to_team AND (a.owner_id = $1 OR EXISTS (SELECT FROM users u WHERE u.id = a.owner_id AND u.groups && $3::text[])))
  OR EXISTS (SELECT FROM unnest(a.approvers || a.escalated_to) AS entry WHERE entry = $1 OR lower(entry) = $2
    OR (entry LIKE 'group:%' AND substr(entry, 7) = ANY($3::text[])))`;

const LIST = statement(
  'list_gates',
  `WITH RECURSIVE family AS (
     SELECT id FROM executions WHERE id = $5
     UNION SELECT e.id FROM executions e JOIN family f ON e.parent_execution_id = f.id)
   SELECT a.*, ${VOTES_COLUMN} FROM approvals a
   WHERE ($6::text IS NULL OR a.status = $6)
     AND ($5::text IS NULL OR a.execution_id IN (SELECT id FROM family))
     AND (($4::boolean AND NOT $7::boolean) OR (a.owner_id = $1 AND NOT $7::boolean) OR ${MAY_DECIDE})
     AND ($8::timestamptz IS NULL OR (a.created_at, a.id) < ($8, $9))
   ORDER BY a.created_at DESC, a.id DESC LIMIT $10`,
);

/** Gates that the viewer may know of, newest first. */
export async function listGates(db: Database, filter: GateFilter): Promise<Page<GateRecord>> {
  const { viewer, limit } = filter;
  const position = filter.cursor === undefined ? undefined : parseCursor(filter.cursor);
  if (filter.cursor !== undefined && position === undefined) return { items: [], cursor: null, hasMore: false };
  const rows = await db.rows<{ id: string; created_at: Date }>(LIST, [
    viewer.userId,
    viewer.email.toLowerCase(),
    [...viewer.groups],
    viewer.isAdmin,
    filter.executionId ?? null,
    filter.status ?? null,
    filter.mine ?? false,
    position?.createdAt ?? null,
    position?.id ?? null,
    limit + 1,
  ]);
  const gates = toGatesWithVotes(rows);
  const positions = rows.map((row, index) => ({ id: row.id, createdAt: row.created_at, gate: gates[index] }));
  return toPage(positions, limit, ({ gate }) => gate as GateRecord);
}
