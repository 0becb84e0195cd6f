/** A gate as its message in Slack shows it: with buttons while it is pending, with its outcome and names afterwards. Pure. */
import type { Json } from '../../definition/value.js';
import type { GateRecord, PersonRef } from '../../store/gate-record.js';
import type { PostCause } from '../../store/gate-posts.js';
import type { Block, SlackText } from './slack-client.js';
import { dateOf, escaped, shortened } from './mrkdwn.js';

/** `value` of both buttons is the approval's id. */
export const APPROVE_ACTION = 'signalbox_approve';
export const DENY_ACTION = 'signalbox_deny';

/** What an entry of approvers is called where it is known: ours to Slack's name. */
export type Mentions = ReadonlyMap<string, { readonly name: string; readonly slackUserId: string | null }>;

const SECTION_LIMIT = 3_000;
const CONTEXT_LIMIT = 2_000;
const FALLBACK_LIMIT = 300;
const MOST_NAMES = 10;
const NAME_LIMIT = 60;

export function gateMessage(gate: GateRecord, cause: PostCause, mentions: Mentions = new Map()): SlackText {
  const title = titleOf(gate, cause, mentions);
  const subject = gate.prompt ?? gate.toolCall?.summary ?? gate.toolCall?.toolId ?? gate.stepId ?? gate.id;
  const blocks = [
    section(`${title}${gate.workflowName === null ? '' : `\n${escaped(gate.workflowName, 300)}`}`),
    ...(gate.prompt === null || gate.prompt.trim() === '' ? [] : [section(escaped(gate.prompt, SECTION_LIMIT))]),
    ...toolCallBlocks(gate.toolCall),
    ...contextBlocks(gate, mentions),
    ...(gate.status === 'pending' ? [buttons(gate.id)] : []),
  ];
  return { text: `${plain(title)}: ${escaped(subject, FALLBACK_LIMIT)}`, blocks };
}

function titleOf(gate: GateRecord, cause: PostCause, mentions: Mentions): string {
  switch (gate.status) {
    case 'pending':
      if (cause === 'reminded') return '*Reminder: this still needs a decision*';
      if (cause === 'escalated') return `*Escalated to ${mentioned(gate.escalatedTo, mentions)}: this needs a decision*`;
      return '*Approval needed*';
    case 'approved':
      return `:white_check_mark: *Approved* by ${names(gate.decidedBy)}`;
    case 'denied':
      return `:x: *Denied* by ${names(gate.decidedBy)}`;
    case 'expired':
      return ':hourglass: *Expired*: nobody decided in time';
    case 'cancelled':
      return ':no_entry_sign: *Cancelled*: there is nothing to decide any more';
  }
}

/** Names of ours, in words. */
export function names(people: readonly PersonRef[]): string {
  if (people.length === 0) return 'nobody';
  const shown = people.slice(0, MOST_NAMES).map(({ name }) => escaped(name, NAME_LIMIT));
  if (people.length > MOST_NAMES) shown.push(`${people.length - MOST_NAMES} more`);
  return shown.join(', ');
}

function mentioned(entries: readonly string[], mentions: Mentions): string {
  return entries
    .slice(0, MOST_NAMES)
    .map((entry) => {
      const person = mentions.get(entry.toLowerCase());
      if (person?.slackUserId) return `<@${escaped(person.slackUserId, 50)}>`;
      return escaped(person?.name ?? entry.replace(/^group:/, ''), NAME_LIMIT);
    })
    .join(', ');
}

function toolCallBlocks(call: GateRecord['toolCall']): readonly Block[] {
  if (call === null) return [];
  const summary = call.summary === null ? '' : `\n${escaped(call.summary, 500)}`;
  return [section(`An agent asks to call *${escaped(call.toolId, 200)}*${summary}`), section(codeOf(call.args))];
}

/** A fence inside would end the block. */
const codeOf = (json: Json): string => `\`\`\`${escaped(JSON.stringify(json, null, 1).replaceAll('```', "'''"), SECTION_LIMIT - 6)}\`\`\``;

function contextBlocks(gate: GateRecord, mentions: Mentions): readonly Block[] {
  const approvals = gate.votes.filter(({ decision }) => decision === 'approve');
  const lines =
    gate.status === 'pending'
      ? [
          gate.quorum > 1 ? `${approvals.length} of ${gate.quorum} approvals` : '',
          approvals.length > 0 ? `approved by ${names(approvals.map(({ by }) => by))}` : '',
          gate.escalatedTo.length > 0 ? `asked as well: ${mentioned(gate.escalatedTo, mentions)}` : '',
          gate.deadline === null ? '' : `until ${dateOf(gate.deadline)}`,
          gate.form === null ? '' : 'asks for an answer',
        ]
      : [gate.decidedAt === null ? '' : dateOf(gate.decidedAt), gate.reason === null ? '' : `reason: ${escaped(gate.reason, 1_500)}`];
  const text = lines.filter((line) => line !== '').join(' · ');
  return text === '' ? [] : [{ type: 'context', elements: [{ type: 'mrkdwn', text: shortened(text, CONTEXT_LIMIT), verbatim: true }] }];
}

/** `verbatim`: what users wrote is not searched for links and names. */
const section = (text: string): Block => ({
  type: 'section',
  text: { type: 'mrkdwn', text: shortened(text, SECTION_LIMIT), verbatim: true },
});

const buttons = (approvalId: string): Block => ({
  type: 'actions',
  block_id: `gate:${approvalId}`,
  elements: [
    { type: 'button', action_id: APPROVE_ACTION, style: 'primary', text: { type: 'plain_text', text: 'Approve' }, value: approvalId },
    { type: 'button', action_id: DENY_ACTION, style: 'danger', text: { type: 'plain_text', text: 'Deny' }, value: approvalId },
  ],
});

const plain = (mrkdwn: string): string => mrkdwn.replaceAll('*', '').replace(/^:\w+: /, '');
