import type { Delivery } from '../generated/prisma/client.js';
import type { Database } from './database.js';
import { newId } from './ids.js';
import { toStorableText } from './json-text.js';
import { behind, NEWEST_FIRST, toPage, type Page, type PageRequest } from './page.js';
import { statement, type Queryable } from './statement.js';

export const DELIVERY_OUTCOMES = [
  'matched',
  'no_match',
  'concurrency_cap',
  'duplicate',
  'skipped_overlap',
  'workflow_disabled',
  'workflow_deleted',
  'error',
] as const;
export type DeliveryOutcome = (typeof DELIVERY_OUTCOMES)[number];

/** One arrival at a trigger and what came of it. */
export interface DeliveryRecord {
  readonly id: string;
  readonly triggerId: string;
  readonly outcome: DeliveryOutcome;
  readonly reason: string | null;
  readonly eventType: string | null;
  /** The sender's id of it, or the tick's nominal time. */
  readonly deliveryId: string | null;
  readonly executionId: string | null;
  readonly payloadPreview: string | null;
  readonly latencyMs: number;
  readonly test: boolean;
  readonly receivedAt: string;
}

export interface NewDelivery {
  /** Given when it was told before it is written. */
  readonly id?: string;
  readonly ownerId: string;
  readonly triggerId: string;
  readonly outcome: DeliveryOutcome;
  readonly reason?: string | null;
  readonly eventType?: string | null;
  readonly deliveryId?: string | null;
  readonly executionId?: string | null;
  readonly payloadPreview?: string | null;
  readonly latencyMs: number;
  readonly test?: boolean;
  /** Whatever makes a repeat the same delivery: a tick's attempts write one. */
  readonly dedupKey?: string;
  readonly receivedAt: Date;
}

/**
 * Of a trigger that is gone nothing is kept. `last_fired_at` never moves back; of deliveries at the same moment one moves it, so that they do not
 * wait for each other's commit.
 */
const INSERT = statement(
  'insert_delivery',
  `WITH free AS (SELECT id FROM triggers WHERE id = $3 AND $14::boolean FOR NO KEY UPDATE SKIP LOCKED),
     fired AS (UPDATE triggers SET last_fired_at = greatest(last_fired_at, $13) WHERE id IN (SELECT id FROM free))
   INSERT INTO deliveries (id, owner_id, trigger_id, outcome, reason, event_type, delivery_id, execution_id, payload_preview, latency_ms, test, dedup_key, created_at)
   SELECT $1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13 WHERE EXISTS (SELECT FROM triggers WHERE id = $3)
   ON CONFLICT (trigger_id, dedup_key) DO NOTHING`,
);
const KNOWN_IDS = statement(
  'known_delivery_ids',
  'SELECT delivery_id AS id FROM deliveries WHERE trigger_id = $1 AND delivery_id = ANY($2)',
);
const OF_EXECUTION = statement(
  'delivery_of_execution',
  `SELECT coalesce(left(trigger->>'deliveryId', 300), CASE WHEN trigger->>'scheduledAt' IS NOT NULL THEN substring(id FROM '[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9:]{8}Z$') END) AS id
   FROM executions WHERE id = $1`,
);
const DELETE_OLD = statement(
  'delete_old_deliveries',
  `DELETE FROM deliveries WHERE id IN (SELECT id FROM deliveries WHERE created_at < now() - $1 * interval '1 day' ORDER BY created_at LIMIT $2) RETURNING id`,
);

const MAX_REASON = 1_000;
const MAX_ID = 300;

export const newDeliveryId = (): string => newId('dlv');

/** Writes it down, once for each `dedupKey`; what matched, and is no test, moves the trigger's `lastFiredAt`. */
export async function addDelivery(db: Queryable, delivery: NewDelivery): Promise<void> {
  await db.rows(INSERT, [
    delivery.id ?? newDeliveryId(),
    delivery.ownerId,
    delivery.triggerId,
    delivery.outcome,
    shortText(delivery.reason, MAX_REASON),
    shortText(delivery.eventType, MAX_ID),
    shortText(delivery.deliveryId, MAX_ID),
    delivery.executionId ?? null,
    shortText(delivery.payloadPreview),
    Math.max(0, Math.round(delivery.latencyMs)),
    delivery.test ?? false,
    delivery.dedupKey ?? null,
    delivery.receivedAt,
    delivery.outcome === 'matched' && delivery.test !== true,
  ]);
}

const shortText = (text: string | null | undefined, max = Number.POSITIVE_INFINITY): string | null =>
  text === undefined || text === null ? null : toStorableText(text.slice(0, max));

/** Newest first. */
export async function listDeliveries(db: Database, ownerId: string, triggerId: string, page: PageRequest): Promise<Page<DeliveryRecord>> {
  const rows = await db.with((prisma) =>
    prisma.delivery.findMany({
      where: { AND: [{ ownerId, triggerId }, behind(page.cursor)] },
      orderBy: NEWEST_FIRST,
      take: page.limit + 1,
    }),
  );
  return toPage(rows, page.limit, toDeliveryRecord);
}

/** Which of these ids (of senders, or nominal times) a trigger has deliveries of. */
export async function knownDeliveryIds(db: Queryable, triggerId: string, ids: readonly string[]): Promise<ReadonlySet<string>> {
  const rows = await db.rows<{ id: string }>(KNOWN_IDS, [triggerId, [...ids]]);
  return new Set(rows.map(({ id }) => id));
}

/** The delivery that started an execution, by the id that its sender or its tick gave it; null when none did, undefined when there is no such execution. */
export async function deliveryIdOf(db: Queryable, executionId: string): Promise<string | null | undefined> {
  const [row] = await db.rows<{ id: string | null }>(OF_EXECUTION, [executionId]);
  return row?.id;
}

/** How many were deleted, at most `limit`. */
export async function deleteOldDeliveries(db: Database, days: number, limit: number): Promise<number> {
  return (await db.rows(DELETE_OLD, [days, limit])).length;
}

function toDeliveryRecord(row: Delivery): DeliveryRecord {
  const { id, triggerId, reason, eventType, deliveryId, executionId, payloadPreview, latencyMs, test } = row;
  return {
    id,
    triggerId,
    outcome: row.outcome as DeliveryOutcome,
    reason,
    eventType,
    deliveryId,
    executionId,
    payloadPreview,
    latencyMs,
    test,
    receivedAt: row.createdAt.toISOString(),
  };
}
