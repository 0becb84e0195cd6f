/** Carries out one telling of a gate: to Slack, a webhook, or a session of the owner's. Durable where the row is; may repeat. */
import { setTimeout as sleep } from 'node:timers/promises';
import type { MessagePoster } from '../../activities/notify-activity.js';
import { shownTarget } from '../../operations/wire.js';
import type { Database } from '../../store/database.js';
import type { GateRecord } from '../../store/gate-record.js';
import { adoptPost, postDone, postDropped, postFailed, type PostRecord } from '../../store/gate-posts.js';
import { getGate } from '../../store/gates.js';
import { getUsersNamed } from '../../store/users.js';
import type { HttpClient } from '../../tools/http/send-http.js';
import { channelOf } from '../slack/channel.js';
import { gateMessage, type Mentions } from '../slack/gate-message.js';
import { SlackFault, type SlackClient } from '../slack/slack-client.js';
import { sessionText } from './session-text.js';
import { postWebhook } from './webhook-notice.js';

export interface NoticeLog {
  info(fields: object, message: string): void;
  warn(fields: object, message: string): void;
}
export interface NoticeParts {
  readonly db: Database;
  readonly http: HttpClient;
  readonly messages: MessagePoster;
  /** Undefined: no bot token is set. */
  readonly slack: SlackClient | undefined;
  readonly log: NoticeLog;
}

/** `slackRestMs`: Slack asked to be left alone for so long. */
export interface Delivered {
  readonly slackRestMs?: number;
}

const GIVE_UP_MS = 24 * 3_600_000;
const MOST_WAIT_MS = 60_000;
const REPAIR_WAIT_MS = 5 * 60_000;
const RECORD_TRIES = 5;

/** Never throws: what did not work is written into the row, which says when to come back. */
export async function deliverPost(parts: NoticeParts, post: PostRecord): Promise<Delivered> {
  try {
    const gate = await getGate(parts.db, post.approvalId);
    if (gate !== undefined) await deliver(parts, post, gate);
    else await postDone(parts.db, post);
    return {};
  } catch (error) {
    return await failed(parts, post, error);
  }
}

async function deliver(parts: NoticeParts, post: PostRecord, gate: GateRecord): Promise<void> {
  const { target } = post;
  if (target.startsWith('slack:')) return await toSlack(parts, post, gate);
  const isWebhook = target.startsWith('webhook:');
  // A receiver that keeps books hears of every gate; people are not asked for what is decided already.
  if (gate.status !== 'pending' && !(isWebhook && post.cause === 'required')) return await postDropped(parts.db, post);
  if (isWebhook) await postWebhook(parts.http, target.slice('webhook:'.length), post, gate);
  else await toSession(parts.messages, post, gate);
  await postDone(parts.db, post);
}

async function toSlack(parts: NoticeParts, post: PostRecord, gate: GateRecord): Promise<void> {
  if (post.place === null && gate.status !== 'pending') return await postDropped(parts.db, post);
  const { slack } = parts;
  if (slack === undefined) throw new SlackFault('not_authed', 'repaired', undefined);
  const message = gateMessage(gate, post.cause, await mentionsOf(parts.db, gate));
  if (post.place !== null) {
    await slack.update(post.place, message);
    await postDone(parts.db, post);
    return;
  }
  const place = await slack.post(await channelOf(parts.db, post.target.slice('slack:'.length)), message);
  // It is there now: what is not written down would be posted again, and never rewritten.
  await insistently(async () => {
    if (!(await postDone(parts.db, post, place))) await adoptPost(parts.db, post.approvalId, place);
  });
}

/** The database may be away for a moment just then. */
async function insistently(work: () => Promise<void>): Promise<void> {
  for (let tried = 1; ; tried += 1) {
    try {
      return await work();
    } catch (error) {
      if (tried === RECORD_TRIES) throw error;
      await sleep(200 * 2 ** tried);
    }
  }
}

async function mentionsOf(db: Database, gate: GateRecord): Promise<Mentions> {
  const people = await getUsersNamed(db, gate.escalatedTo);
  return new Map(people.flatMap((person) => [person.id, person.email].map((key) => [key.toLowerCase(), person] as const)));
}

async function toSession(messages: MessagePoster, post: PostRecord, gate: GateRecord): Promise<void> {
  const { executionId, stepId } = gate;
  if (executionId === null || stepId === null) return;
  await messages.post({
    ownerId: gate.ownerId,
    session: post.target === 'chat' ? { id: gate.sessionId } : 'orchestrator',
    content: sessionText(gate, post.cause),
    author: gate.workflowName ?? 'Signalbox',
    dedupKey: `gate:${post.id}`,
    origin: { executionId, stepId, iterationPath: gate.iterationPath ?? '', attempt: gate.attempt ?? 1 },
  });
}

async function failed(parts: NoticeParts, post: PostRecord, error: unknown): Promise<Delivered> {
  const fault = error instanceof SlackFault ? error : undefined;
  const failure = failureOf(error);
  const retryInMs = retryAfter(post, fault);
  const fields = { approvalId: post.approvalId, target: shownTarget(post.target), failure };
  if (retryInMs === null) parts.log.warn(fields, 'Gave up telling of a gate');
  else if (post.failures === 0) parts.log.warn(fields, 'Could not tell of a gate; it is tried again');
  // When the database is away the claim runs out by itself.
  await postFailed(parts.db, post, failure, retryInMs).catch(() => undefined);
  return fault?.code === 'ratelimited' ? { slackRestMs: fault.retryAfterMs ?? MOST_WAIT_MS } : {};
}

/** The code of a fault that has one: ours, Slack's, a step's. */
function failureOf(error: unknown): string {
  const { code, message } = error as { readonly code?: unknown; readonly message?: unknown };
  return typeof code === 'string' ? code : typeof message === 'string' ? message : 'unknown';
}

/** In ms; null: never. A message that is gone, or that Slack cannot take, is not tried again until its gate changes. */
function retryAfter(post: PostRecord, fault: SlackFault | undefined): number | null {
  if (fault?.hope === 'never') return null;
  if (Date.now() - Date.parse(post.createdAt) > GIVE_UP_MS + MOST_WAIT_MS * post.failures) return null;
  const waitMs = Math.min(1_000 * 2 ** Math.min(post.failures, 10), fault?.hope === 'repaired' ? REPAIR_WAIT_MS : MOST_WAIT_MS);
  return Math.max(fault?.retryAfterMs ?? 0, waitMs);
}
