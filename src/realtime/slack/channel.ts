import type { Queryable } from '../../store/statement.js';
import { findUser } from '../../store/users.js';
import { SlackFault } from './slack-client.js';

/**
 * The channel that `slack:<channel>` means: one of Slack's (an id or a name), or a person of ours, by id or e-mail, who gets a direct message.
 * @throws SlackFault user_not_linked
 */
export async function channelOf(db: Queryable, channel: string): Promise<string> {
  const name = channel.trim();
  if (!name.startsWith('usr_') && !/^[^@\s]+@[^@\s]+$/.test(name)) return name;
  const user = await findUser(db, name);
  if (user?.slackUserId == null) throw new SlackFault('user_not_linked', 'repaired', undefined);
  return user.slackUserId;
}
