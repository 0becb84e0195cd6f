import type { NotifyPlan } from '../definition/plan.js';
import type { Json } from '../definition/value.js';
import type { StepAnswer, StepInstance } from '../engine/types.js';
import type { HttpClient } from '../tools/http/send-http.js';
import { sendHttp } from '../tools/http/send-http.js';
import { StepFault } from '../tools/step-fault.js';
import { isPlatformFault } from './step-error.js';
import { recordStep, stepTimeout, type RecordingParts, type StepWork, type Work } from './record-step.js';
import type { StepCallInput } from './step-call.js';

/** A message of a run in one of the owner's sessions. Posting the same `dedupKey` again gives the first message's id. */
export interface RunMessage {
  readonly ownerId: string;
  readonly session: { readonly id: string } | 'orchestrator';
  readonly content: string;
  readonly author: string;
  readonly dedupKey: string;
  readonly origin: { readonly executionId: string } & StepInstance;
}
export interface MessagePoster {
  /** @throws AppError unavailable when the database is away */
  post(message: RunMessage): Promise<{ readonly id: string }>;
}
/** Posts to a channel of the workspace; Slack has no key for repeats, so that a crash in mid-call may post twice. */
export interface SlackNotifier {
  /** @returns the message's id in Slack. @throws StepFault notify_failed, with Slack's word in `details.reason` */
  notify(channel: string, content: string): Promise<string>;
}
export interface NotifyParts {
  readonly http: HttpClient;
  readonly messages: MessagePoster;
  /** Absent: no Slack is connected. */
  readonly slack?: SlackNotifier;
}

const WEBHOOK_TIMEOUT_MS = 30_000;

/** Delivers `content` to the target; delivered means accepted by the receiver. May repeat under the step's key. */
export function createNotifyActivity(parts: RecordingParts, notify: NotifyParts): (input: StepCallInput) => Promise<StepAnswer> {
  return (input) => recordStep(parts, input, notifyWork(notify, input));
}

function notifyWork(parts: NotifyParts, call: StepCallInput): StepWork<NotifyPlan> {
  return {
    type: 'notify',
    mayRepeat: () => true,
    timeoutFault: stepTimeout,
    async run(work) {
      const target = toText(work.input['target'] ?? '').trim();
      try {
        const id = await deliver(parts, call, work, target);
        return { output: { target: shownTarget(target), delivered: true, id } };
      } catch (error) {
        if (work.signal.aborted || isPlatformFault(error)) throw error;
        throw notifyFault(error, shownTarget(target));
      }
    },
  };
}

async function deliver(parts: NotifyParts, call: StepCallInput, work: Work<NotifyPlan>, target: string): Promise<string | null> {
  const content = work.input['content'] ?? '';
  if (target.startsWith('webhook:')) return await postWebhook(parts.http, call, work, target.slice('webhook:'.length), content);
  if (target === 'chat') return await postMessage(parts.messages, call, work, { id: call.sessionId }, content);
  if (target === 'orchestrator') return await postMessage(parts.messages, call, work, 'orchestrator', content);
  if (target.startsWith('slack:')) {
    const { slack } = parts;
    if (slack === undefined)
      throw new StepFault('notify_failed', 'Slack is not connected in this deployment: the target slack:<channel> cannot be delivered');
    return await slack.notify(target.slice('slack:'.length), work.redact(toText(content)));
  }
  throw new StepFault('notify_failed', `"${target}" is no target: expected orchestrator, chat, slack:<channel> or webhook:<url>`);
}

async function postWebhook(
  http: HttpClient,
  call: StepCallInput,
  work: Work<NotifyPlan>,
  url: string,
  content: Json,
): Promise<string | null> {
  const { executionId, ownerId, sessionId, workflowName, instance } = call;
  const body = { content, executionId, stepId: instance.stepId, workflowName, at: new Date(call.nowMs).toISOString() };
  const message = { url, method: 'POST', headers: {}, query: {}, body, timeoutMs: WEBHOOK_TIMEOUT_MS };
  const answer = (await sendHttp(http, message, {
    idempotencyKey: work.idempotencyKey,
    signal: work.signal,
    redact: work.redact,
    ownerId,
    executionId,
    sessionId,
  })) as { readonly body: Json };
  const id =
    typeof answer.body === 'object' && answer.body !== null && !Array.isArray(answer.body)
      ? (answer.body as { readonly id?: Json }).id
      : null;
  return typeof id === 'string' || typeof id === 'number' ? String(id).slice(0, 200) : null;
}

async function postMessage(
  messages: MessagePoster,
  call: StepCallInput,
  work: Work<NotifyPlan>,
  session: RunMessage['session'],
  content: Json,
): Promise<string> {
  const { id } = await messages.post({
    ownerId: call.ownerId,
    session,
    content: work.redact(toText(content)),
    author: call.workflowName,
    dedupKey: `notify:${work.idempotencyKey}`,
    origin: { executionId: call.executionId, ...call.instance },
  });
  return id;
}

const toText = (json: Json): string => (typeof json === 'string' ? json : JSON.stringify(json));

/** Credentials and tokens of a webhook's URL are not for the log: what identifies it is its origin and path. */
function shownTarget(target: string): string {
  if (!target.startsWith('webhook:')) return target;
  const url = target.slice('webhook:'.length);
  if (!URL.canParse(url)) return target;
  const { origin, pathname } = new URL(url);
  return `webhook:${origin}${pathname}`;
}

/** One code for all ways in which a delivery fails; the receiver's own answer is in the details. */
function notifyFault(error: unknown, target: string): StepFault {
  if (error instanceof StepFault && error.code === 'notify_failed') {
    const { retryable, retryAfterMs, details, cause } = error;
    return new StepFault(error.code, error.message, {
      retryable,
      details: { ...details, target, delivered: false },
      ...(cause === undefined ? {} : { cause }),
      ...(retryAfterMs === undefined ? {} : { retryAfterMs }),
    });
  }
  const cause = error instanceof StepFault ? error : undefined;
  const message = `Not delivered to ${target}: ${error instanceof Error ? error.message : String(error)}`;
  return new StepFault('notify_failed', message, {
    retryable: cause?.retryable ?? false,
    details: { ...cause?.details, target, delivered: false, reason: cause?.code ?? 'internal_error' },
    cause: error,
    ...(cause?.retryAfterMs === undefined ? {} : { retryAfterMs: cause.retryAfterMs }),
  });
}
