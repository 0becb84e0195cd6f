/** What follows a click in Slack. Our rows are asked before it is answered; Slack itself only behind the answer. */
import { hasCode } from '../../errors.js';
import { decideApproval, openDecision } from '../../operations/decide-approval.js';
import { refuseSlackStranger } from '../../operations/decision-audit.js';
import type { OperationDeps } from '../../operations/deps.js';
import type { Principal } from '../../operations/principal.js';
import { slackVoter } from '../../operations/slack-voter.js';
import { answerOf, errorsByField } from '../../realtime/slack/answer-form.js';
import { answerModal, wordModal } from '../../realtime/slack/gate-modal.js';
import { SlackFault, type SlackClient } from '../../realtime/slack/slack-client.js';
import { adoptPost, refreshPost } from '../../store/gate-posts.js';
import { getGate } from '../../store/gates.js';
import type { Click, Interaction, Submission } from './payload.js';
import { countedText, FORM_NOT_OPENED, refusalText, STRANGER } from './words.js';

export interface InteractionParts {
  readonly operations: OperationDeps;
  /** Undefined: no bot token is set; decisions count all the same. */
  readonly client: SlackClient | undefined;
}

/** The body of the answer: null is an empty one; a modal can be told more. @throws AppError unavailable */
export type InteractionReply = object | null;

export function handleInteraction(parts: InteractionParts, interaction: Interaction): Promise<InteractionReply> {
  return interaction.kind === 'click' ? onClick(parts, interaction) : onSubmission(parts, interaction);
}

async function onClick(parts: InteractionParts, click: Click): Promise<null> {
  const { operations } = parts;
  const { approvalId: id, decision } = click;
  const voter = await slackVoter(operations, click.by.slackUserId);
  if (voter === undefined) {
    // Nothing is known of a gate that is not there, and nothing told.
    if ((await refuseSlackStranger(operations, click.by, { id, decision })) !== undefined) whisper(parts, click, STRANGER);
    return null;
  }
  // A message whose row was lost with a process comes back here.
  const place = click.channel === undefined || click.ts === undefined ? undefined : { channel: click.channel, ts: click.ts };
  if (place !== undefined) await adoptPost(operations.db, id, place);
  try {
    const word = await decideOrAsk(parts, voter, click);
    if (word !== undefined) whisper(parts, click, word);
  } catch (error) {
    if (hasCode(error, 'unavailable')) throw error;
    whisper(parts, click, refusalText(error));
    // They clicked on what is no longer so.
    if (place !== undefined && hasCode(error, 'approval_settled')) await refreshPost(operations.db, place);
  }
  return null;
}

/** @returns a word for who clicked, if there is one */
async function decideOrAsk(parts: InteractionParts, voter: Principal, click: Click): Promise<string | undefined> {
  const { approvalId: id, decision } = click;
  const asked = { id, decision, via: 'slack' } as const;
  const gate = decision === 'approve' ? await getGate(parts.operations.db, id) : undefined;
  if (gate === undefined || gate.form === null) return countedText((await decideApproval(parts.operations, voter, asked)).approval);
  const open = await openDecision(parts.operations, voter, asked);
  const { client } = parts;
  const { triggerId } = click;
  if (client === undefined || triggerId === undefined) return FORM_NOT_OPENED;
  parts.operations.background.run('open a form in Slack', async () => {
    const context = { approvalId: id, ...(click.channel === undefined ? {} : { channel: click.channel }) };
    await client.openModal(triggerId, answerModal(open, context)).catch((error: unknown) => {
      if (!(error instanceof SlackFault)) throw error;
      parts.operations.log.warn({ approvalId: id, failure: error.code }, 'Slack did not open a form');
      whisper(parts, click, FORM_NOT_OPENED);
    });
  });
  return undefined;
}

async function onSubmission(parts: InteractionParts, submission: Submission): Promise<InteractionReply> {
  const { operations } = parts;
  const { approvalId: id, reason } = submission;
  const voter = await slackVoter(operations, submission.by.slackUserId);
  if (voter === undefined) {
    await refuseSlackStranger(operations, submission.by, { id, decision: 'approve' });
    return instead(STRANGER);
  }
  const gate = await getGate(operations.db, id);
  if (gate === undefined) return instead(refusalText(undefined));
  const filled = answerOf(gate.form, submission.state);
  if ('errors' in filled) return { response_action: 'errors', errors: filled.errors };
  try {
    const { answer } = filled;
    await decideApproval(operations, voter, { id, decision: 'approve', answer, via: 'slack', ...(reason === undefined ? {} : { reason }) });
    return null;
  } catch (error) {
    if (hasCode(error, 'unavailable')) throw error;
    if (hasCode(error, 'validation_failed')) return { response_action: 'errors', errors: errorsByField(gate.form, error.data.problems) };
    return instead(refusalText(error));
  }
}

const instead = (text: string): object => ({ response_action: 'update', view: wordModal(text) });

/** A private line behind the answer; when Slack does not take it one way, the other. Lost with the process: it is a courtesy. */
function whisper({ operations, client }: InteractionParts, click: Click, text: string): void {
  if (client === undefined) return;
  operations.background.run('tell somebody in Slack', async () => {
    const { channel, responseUrl, by } = click;
    const ways = [
      ...(channel === undefined ? [] : [() => client.whisper({ channel, user: by.slackUserId }, text)]),
      ...(responseUrl === undefined ? [] : [() => client.respond(responseUrl, text)]),
    ];
    for (const way of ways) {
      try {
        return await way();
      } catch (error) {
        if (!(error instanceof SlackFault)) throw error;
        operations.log.warn({ approvalId: click.approvalId, failure: error.code }, 'Slack did not take a private word');
      }
    }
  });
}
