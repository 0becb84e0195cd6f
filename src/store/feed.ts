/** A session's messages and the step instances of its executions, merged by time (reference §4). */
import type { Database } from './database.js';
import { messageFromRow, type MessageRecord } from './messages.js';
import { parseCursor, toPage, type Page, type PageRequest } from './page.js';
import { statement } from './statement.js';
import { toStepRecord, type StepRecord } from './step-list.js';

/** `at`: when a message was written; when a step started, else when its row was made. Milliseconds. */
export type FeedRow = { readonly at: number } & (
  | { readonly kind: 'message'; readonly message: MessageRecord }
  | { readonly kind: 'step'; readonly step: StepRecord }
);

interface Place {
  readonly kind: 'message' | 'step';
  readonly place: string;
  readonly at: Date;
}

/** Of one instant, steps come first: what they say comes after. Messages in the order of their session. */
const PLACES = statement(
  'feed_places',
  `SELECT kind, place, at FROM (
     SELECT 'message' AS kind, 'm' || lpad(m.seq::text, 10, '0') || ' ' || m.id AS place, m.created_at AS at
       FROM messages m WHERE m.session_id = $1 AND m.owner_id = $2
     UNION ALL
     SELECT 'step', 'e' || s.execution_id || ' ' || s.instance_key, coalesce(s.started_at, s.created_at)
       FROM executions e JOIN steps s ON s.execution_id = e.id WHERE e.session_id = $1 AND e.owner_id = $2
   ) AS items WHERE at > $3 OR (at = $3 AND place COLLATE "C" > $4) ORDER BY at, place COLLATE "C" LIMIT $5`,
);
const MESSAGES = statement('feed_messages', 'SELECT * FROM messages WHERE id = ANY($1)');
const STEPS = statement(
  'feed_steps',
  'SELECT s.* FROM unnest($1::text[], $2::text[]) AS f(execution_id, instance_key) JOIN steps s USING (execution_id, instance_key)',
);

/** A page of an owner's session, the oldest first. What has begun at one instant may stand in any order among itself. */
export async function readFeed(db: Database, ownerId: string, sessionId: string, page: PageRequest): Promise<Page<FeedRow>> {
  const after = page.cursor === undefined ? undefined : parseCursor(page.cursor);
  const places = await db.rows<Place>(PLACES, [sessionId, ownerId, after?.createdAt ?? new Date(0), after?.id ?? '', page.limit + 1]);
  const shown = toPage(
    places.map(({ at, ...rest }) => ({ ...rest, createdAt: at, id: rest.place })),
    page.limit,
    (place) => place,
  );
  const rows = await load(db, shown.items);
  return { ...shown, items: shown.items.flatMap(({ place, createdAt }) => toRow(rows.get(place), createdAt.getTime())) };
}

type Loaded = { readonly kind: 'message'; readonly message: MessageRecord } | { readonly kind: 'step'; readonly step: StepRecord };

/** A row that was deleted meanwhile is left out. */
const toRow = (row: Loaded | undefined, at: number): FeedRow[] => (row === undefined ? [] : [{ ...row, at }]);

async function load(db: Database, places: readonly Pick<Place, 'kind' | 'place'>[]): Promise<ReadonlyMap<string, Loaded>> {
  const found = new Map<string, Loaded>();
  const ofKind = (kind: Place['kind']): string[] => places.filter((place) => place.kind === kind).map(({ place }) => place);
  const messages = new Map(ofKind('message').map((place) => [place.split(' ')[1] ?? '', place]));
  for (const row of await db.rows(MESSAGES, [[...messages.keys()]])) {
    const message = messageFromRow(row);
    found.set(messages.get(message.id) ?? '', { kind: 'message', message });
  }
  const steps = ofKind('step').map((place) => place.slice(1).split(' '));
  const rows = await db.rows<{ execution_id: string; instance_key: string }>(STEPS, [
    steps.map(([executionId]) => executionId),
    steps.map(([, key]) => key),
  ]);
  for (const row of rows) found.set(`e${row.execution_id} ${row.instance_key}`, { kind: 'step', step: toStepRecord(row) });
  return found;
}
