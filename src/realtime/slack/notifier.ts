import type { SlackNotifier } from '../../activities/notify-activity.js';
import type { Queryable } from '../../store/statement.js';
import { StepFault } from '../../tools/step-fault.js';
import { channelOf } from './channel.js';
import { escaped } from './mrkdwn.js';
import { SlackFault, type SlackClient } from './slack-client.js';

/** Slack cuts what is longer. */
const TEXT_LIMIT = 40_000;

/** What `notify` steps post: the content as text, which addresses and links nobody. */
export function createSlackNotifier(db: Queryable, client: SlackClient): SlackNotifier {
  return {
    async notify(channel, content) {
      try {
        const { ts } = await client.post(await channelOf(db, channel), { text: escaped(content, TEXT_LIMIT) });
        return ts;
      } catch (error) {
        if (!(error instanceof SlackFault)) throw error;
        throw new StepFault('notify_failed', `Slack did not take the message: ${error.code}`, {
          retryable: error.hope === 'later',
          details: { reason: error.code },
          cause: error,
          ...(error.retryAfterMs === undefined ? {} : { retryAfterMs: error.retryAfterMs }),
        });
      }
    },
  };
}
