/**
 * Who is told of a gate, and how far that got: a row for each telling of one gate to one target. The rows are written with what they tell;
 * whoever has a claim carries one out. A Slack message stays a row's own for as long as its gate can change.
 */
import type { GatePost } from '../generated/prisma/client.js';
import type { Database, Tx } from './database.js';
import { newId } from './ids.js';
import { toStorableText } from './json-text.js';
import { camelRow, statement } from './statement.js';

/** Why there is a post. `found`: a message of ours that its row had lost, come back by a click on it. */
export type PostCause = 'required' | 'reminded' | 'escalated' | 'found';

/** A post with the claim on it. */
export interface PostRecord {
  readonly id: string;
  readonly approvalId: string;
  readonly ownerId: string;
  readonly cause: PostCause;
  /** `slack:<channel>`, `webhook:<url>`, `chat`, `orchestrator`. */
  readonly target: string;
  /** Of a message in Slack: where it is; null until it is there. */
  readonly place: { readonly channel: string; readonly ts: string } | null;
  /** The state of the gate that has to be shown, as a count of its changes. */
  readonly wanted: number;
  /** Number of this claim. */
  readonly claim: number;
  readonly failures: number;
  readonly createdAt: string;
}

const LEASE_SECONDS = 60;
/** Stands in place of a failure. */
const DROPPED = 'settled';
const INSERT = statement(
  'insert_gate_posts',
  `INSERT INTO gate_posts (id, approval_id, owner_id, post_key, cause, target, due_at)
   SELECT id, $1, $2, $3 || '/' || target, $4, target, clock_timestamp() FROM unnest($5::text[], $6::text[]) AS t(id, target)
   ON CONFLICT (approval_id, post_key) DO NOTHING`,
);
const TARGETS = statement(
  'targets_of_gate',
  `SELECT target FROM gate_posts WHERE approval_id = $1 AND cause = 'required' ORDER BY created_at, id`,
);
const CHANGED = statement(
  'gate_posts_changed',
  `UPDATE gate_posts SET wanted = wanted + 1, due_at = coalesce(CASE WHEN failures > 0 THEN due_at END, clock_timestamp())
   WHERE approval_id = $1 AND target LIKE 'slack:%'`,
);
const CLAIM = statement(
  'claim_gate_posts',
  `UPDATE gate_posts SET lease_until = clock_timestamp() + interval '${LEASE_SECONDS} seconds', claims = claims + 1
   WHERE id IN (
     SELECT id FROM gate_posts
     WHERE due_at <= clock_timestamp() AND (lease_until IS NULL OR lease_until <= clock_timestamp()) AND (target LIKE 'slack:%') = $2
     ORDER BY due_at, id LIMIT $1 FOR UPDATE SKIP LOCKED)
   RETURNING *`,
);
const DONE = statement(
  'gate_post_done',
  `UPDATE gate_posts SET channel = coalesce($3, channel), ts = coalesce($4, ts), shown = $5, failures = 0, failure = NULL, lease_until = NULL,
     due_at = CASE WHEN wanted > $5 THEN clock_timestamp() END
   WHERE id = $1 AND claims = $2 RETURNING due_at`,
);
const FAILED = statement(
  'gate_post_failed',
  `UPDATE gate_posts SET failures = failures + 1, failure = $3, lease_until = NULL,
     due_at = CASE WHEN $4::bigint IS NULL THEN NULL ELSE clock_timestamp() + $4 * interval '1 millisecond' END
   WHERE id = $1 AND claims = $2`,
);
const FOUND = statement(
  'gate_post_found',
  `INSERT INTO gate_posts (id, approval_id, owner_id, post_key, cause, target, channel, ts, due_at)
   SELECT $1, a.id, a.owner_id, 'found/' || $3 || '/' || $4, 'found', 'slack:' || $3, $3, $4, clock_timestamp() FROM approvals a
   WHERE a.id = $2 AND NOT EXISTS (SELECT FROM gate_posts p WHERE p.channel = $3 AND p.ts = $4)
   ON CONFLICT (approval_id, post_key) DO NOTHING`,
);

const REFRESH = statement(
  'gate_post_refresh',
  'UPDATE gate_posts SET wanted = wanted + 1, due_at = coalesce(due_at, clock_timestamp()) WHERE channel = $1 AND ts = $2',
);

const AGENDA = statement(
  'gate_agenda',
  `SELECT (SELECT min(due_at) FROM gate_nudges) AS "nextNudge", clock_timestamp() AS now, EXISTS (
     SELECT FROM gate_posts WHERE due_at <= clock_timestamp() AND (lease_until IS NULL OR lease_until <= clock_timestamp())) AS "postsDue"`,
);

/** What gates have to say: whether something has to be told now, and in how many ms somebody is to be nudged (0: now). */
export interface Agenda {
  readonly postsDue: boolean;
  readonly nudgeInMs: number | undefined;
}

/** Asked again and again: one cheap statement. */
export async function readAgenda(db: Database): Promise<Agenda> {
  const [row] = await db.rows<{ nextNudge: Date | null; now: Date; postsDue: boolean }>(AGENDA, []);
  if (row === undefined) throw new Error('PostgreSQL answered nothing');
  const { nextNudge, now, postsDue } = row;
  return { postsDue, nudgeInMs: nextNudge === null ? undefined : Math.max(0, nextNudge.getTime() - now.getTime()) };
}

const OF_GATE = statement(
  'posts_of_gate',
  'SELECT cause, target, shown, due_at, failure, created_at FROM gate_posts WHERE approval_id = $1 ORDER BY created_at, id',
);

/** How far one telling of a gate got. */
export interface PostState {
  readonly cause: PostCause;
  readonly target: string;
  /** It was told at least once; a message may be due for rewriting. */
  readonly isTold: boolean;
  /** It is tried (again), or rewritten. */
  readonly isDue: boolean;
  /** The gate was settled before anybody was told. */
  readonly isDropped: boolean;
  /** Why the last try failed. */
  readonly failure: string | null;
  readonly createdAt: string;
}

/** Everything that is told of a gate, oldest first. */
export async function postsOf(db: Database, approvalId: string): Promise<readonly PostState[]> {
  const rows = await db.rows<Pick<GatePost, 'cause' | 'target' | 'shown' | 'failure'> & { due_at: Date | null; created_at: Date }>(
    OF_GATE,
    [approvalId],
  );
  return rows.map(({ cause, target, shown, due_at, failure, created_at }) => ({
    cause: cause as PostCause,
    target,
    isTold: shown > 0,
    isDue: due_at !== null,
    isDropped: failure === DROPPED,
    failure: failure === DROPPED ? null : failure,
    createdAt: created_at.toISOString(),
  }));
}

export interface NewPosts {
  readonly approvalId: string;
  readonly ownerId: string;
  readonly cause: Exclude<PostCause, 'found'>;
  /** Tells the reminders of a gate apart. */
  readonly nth: number;
  readonly targets: readonly string[];
}

/** Orders one telling to each target, in the transaction of what it tells. May repeat. */
export async function insertPosts(tx: Tx, { approvalId, ownerId, cause, nth, targets }: NewPosts): Promise<void> {
  if (targets.length === 0) return;
  await tx.rows(INSERT, [approvalId, ownerId, `${cause}${nth}`, cause, targets.map(() => newId('pst')), targets.map(toStorableText)]);
}

/** Whom the gate was to be told to when it opened. */
export async function targetsOf(tx: Tx, approvalId: string): Promise<readonly string[]> {
  return (await tx.rows<{ target: string }>(TARGETS, [approvalId])).map(({ target }) => target);
}

/** The gate shows something new: its messages are due for rewriting. Its end says so by itself. */
export async function postsChanged(tx: Tx, approvalId: string): Promise<void> {
  await tx.rows(CHANGED, [approvalId]);
}

/**
 * Takes what is due, for a minute: whoever dies with it leaves it to the next.
 * @param whose what is for Slack, which may want to be left alone, or all else
 */
export async function claimPosts(db: Database, limit: number, whose: 'slack' | 'others'): Promise<readonly PostRecord[]> {
  return (await db.rows(CLAIM, [limit, whose === 'slack'])).map(toPostRecord);
}

/**
 * Notes that the post shows what was wanted when it was claimed; what has changed since is due at once.
 * @param place where Slack put it, when it is new
 * @returns false when the claim had run out and another has it
 */
export async function postDone(db: Database, post: PostRecord, place: PostRecord['place'] = null): Promise<boolean> {
  const rows = await db.rows(DONE, [post.id, post.claim, place?.channel ?? null, place?.ts ?? null, post.wanted]);
  return rows.length > 0;
}

/** Notes why it did not work; it is due again after `retryInMs`, or never (null) until its gate changes. */
export async function postFailed(db: Database, post: PostRecord, failure: string, retryInMs: number | null): Promise<void> {
  await db.rows(FAILED, [post.id, post.claim, toStorableText(failure.slice(0, 500)), retryInMs === null ? null : Math.round(retryInMs)]);
}

/** Notes that there is nothing left to tell: the gate was settled before. */
export const postDropped = (db: Database, post: PostRecord): Promise<void> => postFailed(db, post, DROPPED, null);

/** Makes a row for a message of this gate that has none, so that it is kept up to date as the others are. May repeat. */
export async function adoptPost(db: Database, approvalId: string, { channel, ts }: { channel: string; ts: string }): Promise<void> {
  await db.rows(FOUND, [newId('pst'), approvalId, toStorableText(channel), toStorableText(ts)]);
}

/** Has a message rewritten that somebody has seen to show less than is. */
export async function refreshPost(db: Database, { channel, ts }: { channel: string; ts: string }): Promise<void> {
  await db.rows(REFRESH, [channel, ts]);
}

function toPostRecord(raw: object): PostRecord {
  const row = camelRow<GatePost>(raw);
  const { id, approvalId, ownerId, target, channel, ts, wanted, claims, failures } = row;
  return {
    id,
    approvalId,
    ownerId,
    cause: row.cause as PostCause,
    target,
    place: channel === null || ts === null ? null : { channel, ts },
    wanted,
    claim: claims,
    failures,
    createdAt: row.createdAt.toISOString(),
  };
}
