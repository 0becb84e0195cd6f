/** What Slack says was clicked or filled in: the parts that we read of an interaction. */
import { z } from 'zod';
import type { FormState } from '../../realtime/slack/answer-form.js';
import { APPROVE_ACTION, DENY_ACTION } from '../../realtime/slack/gate-message.js';
import { toStorableText } from '../../store/json-text.js';
import { ANSWER_CALLBACK, REASON_BLOCK } from '../../realtime/slack/gate-modal.js';

/** Of users, channels and messages: what stands in rows, and in the log of refusals. */
const SlackId = z.string().regex(/^[A-Za-z0-9._-]{1,100}$/);
const MOST_NAME = 200;
const SlackName = z.string().transform((name) => toStorableText(name.slice(0, MOST_NAME)));
const UserSchema = z.object({ id: SlackId, name: SlackName.optional(), username: SlackName.optional() });
const ApprovalId = z.string().regex(/^apr_[0-9a-z]{1,40}$/);

const ClickSchema = z.object({
  type: z.literal('block_actions'),
  user: UserSchema,
  trigger_id: z.string().optional(),
  response_url: z.string().optional(),
  channel: z.object({ id: SlackId }).optional(),
  container: z.object({ channel_id: SlackId.optional(), message_ts: SlackId.optional() }).optional(),
  message: z.object({ ts: SlackId }).optional(),
  actions: z.array(z.object({ action_id: z.string(), value: z.string().optional() })),
});
const SubmissionSchema = z.object({
  type: z.literal('view_submission'),
  user: UserSchema,
  view: z.object({
    callback_id: z.string(),
    private_metadata: z.string().default(''),
    state: z.object({ values: z.record(z.string(), z.record(z.string(), z.unknown())) }).optional(),
  }),
});
const ContextSchema = z.object({ approvalId: ApprovalId, channel: SlackId.optional() });

export interface Clicker {
  readonly slackUserId: string;
  readonly name: string;
}
export interface Click {
  readonly kind: 'click';
  readonly by: Clicker;
  readonly approvalId: string;
  readonly decision: 'approve' | 'deny';
  readonly triggerId: string | undefined;
  readonly responseUrl: string | undefined;
  readonly channel: string | undefined;
  /** Of the message with the button. */
  readonly ts: string | undefined;
}
export interface Submission {
  readonly kind: 'submission';
  readonly by: Clicker;
  readonly approvalId: string;
  readonly channel: string | undefined;
  readonly state: FormState;
  readonly reason: string | undefined;
}
export type Interaction = Click | Submission;

/** The interaction in a form-encoded body, when it is one of ours; others need no more than an answer. Pure. */
export function parseInteraction(body: Buffer): Interaction | undefined {
  const payload = parseJson(new URLSearchParams(body.toString('utf8')).get('payload'));
  const click = ClickSchema.safeParse(payload);
  if (click.success) return toClick(click.data);
  const submission = SubmissionSchema.safeParse(payload);
  return submission.success ? toSubmission(submission.data) : undefined;
}

function toClick({
  user,
  actions,
  channel,
  container,
  message,
  trigger_id,
  response_url,
}: z.output<typeof ClickSchema>): Click | undefined {
  const action = actions.find(({ action_id }) => action_id === APPROVE_ACTION || action_id === DENY_ACTION);
  const approvalId = ApprovalId.safeParse(action?.value);
  if (action === undefined || !approvalId.success) return undefined;
  return {
    kind: 'click',
    by: toClicker(user),
    approvalId: approvalId.data,
    decision: action.action_id === APPROVE_ACTION ? 'approve' : 'deny',
    triggerId: trigger_id,
    responseUrl: response_url,
    channel: container?.channel_id ?? channel?.id,
    ts: container?.message_ts ?? message?.ts,
  };
}

function toSubmission({ user, view }: z.output<typeof SubmissionSchema>): Submission | undefined {
  if (view.callback_id !== ANSWER_CALLBACK) return undefined;
  const context = ContextSchema.safeParse(parseJson(view.private_metadata));
  if (!context.success) return undefined;
  const state = view.state?.values ?? {};
  const reason = state[REASON_BLOCK]?.['value'] as { readonly value?: unknown } | undefined;
  return {
    kind: 'submission',
    by: toClicker(user),
    approvalId: context.data.approvalId,
    channel: context.data.channel,
    state,
    reason: typeof reason?.value === 'string' && reason.value.trim() !== '' ? reason.value : undefined,
  };
}

const toClicker = ({ id, name, username }: z.output<typeof UserSchema>): Clicker => ({ slackUserId: id, name: name ?? username ?? id });

function parseJson(text: string | null): unknown {
  try {
    return JSON.parse(text ?? '') as unknown;
  } catch {
    return undefined;
  }
}
