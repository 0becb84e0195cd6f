import type { Json } from '../definition/value.js';
import type { AuditEntry } from '../generated/prisma/client.js';
import type { Database } from './database.js';
import { newId } from './ids.js';
import { toJsonText } from './json-text.js';
import { parseCursor, toPage, type Page, type PageRequest } from './page.js';
import { statement, type Queryable } from './statement.js';

/** Who did something, and by which call. */
export interface AuditedActor {
  readonly actor: Json;
  readonly requestId?: string;
}

/** Who did what. `ownerId`: whose thing it was done to. */
export interface NewAuditEntry extends AuditedActor {
  readonly ownerId: string;
  /** `resource.verb`, such as `approval.refused`. */
  readonly action: string;
  readonly targetType: string;
  readonly targetId: string | null;
  readonly details?: Json;
}
export interface AuditRecord extends Required<Omit<NewAuditEntry, 'requestId'>> {
  readonly id: string;
  readonly requestId: string | null;
  readonly at: string;
}

const INSERT = statement(
  'insert_audit',
  'INSERT INTO audit_log (id, owner_id, actor, action, target_type, target_id, details, request_id) VALUES ($1, $2, $3, $4, $5, $6, $7, $8)',
);

/** In the transaction of what it tells of, where there is one. */
export async function recordAudit(db: Queryable, entry: NewAuditEntry): Promise<void> {
  await db.rows(INSERT, [
    newId('aud'),
    entry.ownerId,
    toJsonText(entry.actor),
    entry.action,
    entry.targetType,
    entry.targetId,
    toJsonText(entry.details ?? {}),
    entry.requestId ?? null,
  ]);
}

/** Newest first. */
export async function listAudit(db: Database, page: PageRequest): Promise<Page<AuditRecord>> {
  const position = page.cursor === undefined ? undefined : parseCursor(page.cursor);
  if (page.cursor !== undefined && position === undefined) return { items: [], cursor: null, hasMore: false };
  const where =
    position === undefined ? {} : { OR: [{ at: { lt: position.createdAt } }, { at: position.createdAt, id: { lt: position.id } }] };
  const rows = await db.with((prisma) =>
    prisma.auditEntry.findMany({ where, orderBy: [{ at: 'desc' }, { id: 'desc' }], take: page.limit + 1 }),
  );
  return toPage(
    rows.map((row) => ({ ...row, createdAt: row.at })),
    page.limit,
    toAuditRecord,
  );
}

function toAuditRecord(row: AuditEntry): AuditRecord {
  const { id, ownerId, action, targetType, targetId, requestId } = row;
  return {
    id,
    ownerId,
    actor: row.actor as Json,
    action,
    targetType,
    targetId,
    details: row.details as Json,
    requestId,
    at: row.at.toISOString(),
  };
}
