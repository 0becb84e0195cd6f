/** What somebody who clicked is told, privately. Pure. */
import { AppError, hasCode } from '../../errors.js';
import type { WireApproval } from '../../operations/wire.js';
import { names } from '../../realtime/slack/gate-message.js';
import { dateOf } from '../../realtime/slack/mrkdwn.js';

export const STRANGER =
  'You cannot decide this: your Slack user is not linked to anybody in Signalbox. Ask an administrator to set it on your user.';
export const FORM_NOT_OPENED = 'The form could not be opened: Slack did not take it in time. Click again.';

/** Why a decision did not count. */
export function refusalText(error: unknown): string {
  if (hasCode(error, 'approval_settled')) return settledText(error.data);
  if (!(error instanceof AppError)) return 'Your decision could not be recorded because of a fault. Try again.';
  switch (error.code) {
    case 'already_voted':
      return 'You have voted on this already; it waits for others.';
    case 'approver_not_allowed':
    case 'not_found':
      return 'You are not among those who may decide this.';
    case 'forbidden':
      return 'Your role does not allow decisions.';
    case 'validation_failed':
      return 'The answer does not fit the form.';
    case 'unavailable':
      return 'Your decision could not be recorded just now. Try again in a moment.';
    default:
      return 'Your decision could not be recorded because of a fault. Try again.';
  }
}

function settledText({ approvalStatus, decidedBy, decidedAt }: AppError<'approval_settled'>['data']): string {
  const when = decidedAt === null ? '' : ` ${dateOf(decidedAt)}`;
  switch (approvalStatus) {
    case 'expired':
      return `This expired${when === '' ? '' : `:${when}`}. Nobody can decide it any more.`;
    case 'cancelled':
      return `This was cancelled${when === '' ? '' : `:${when}`}. There is nothing to decide any more.`;
    default:
      return `This was already ${approvalStatus} by ${names(decidedBy)}${when === '' ? '' : `,${when}`}.`;
  }
}

/** A vote that counted and settled nothing yet; undefined: the message itself says the rest. */
export function countedText({ status, quorum, votes }: Pick<WireApproval, 'status' | 'quorum' | 'votes'>): string | undefined {
  if (status !== 'pending') return undefined;
  return `Your approval counts: ${votes.filter(({ decision }) => decision === 'approve').length} of ${quorum}.`;
}
