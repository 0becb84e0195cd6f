import { createSlackClient } from '../../../src/realtime/slack/slack-client.js';
import { createSlackNotifier } from '../../../src/realtime/slack/notifier.js';
import type { Queryable } from '../../../src/store/statement.js';
import { SlackServer } from '../../support/slack-server.js';

const person = {
  id: 'usr_1',
  name: 'Ana',
  email: 'ana@x.test',
  role: 'editor',
  groups: [],
  slack_user_id: 'U7',
  disabled: false,
  created_at: new Date(0),
};
const rowsOf = (found: readonly object[]): Queryable => ({ rows: <R extends object>() => Promise.resolve([...found] as R[]) });

describe('a notify step to Slack (L42)', () => {
  let slack: SlackServer;
  beforeAll(async () => {
    slack = await SlackServer.start();
  });
  beforeEach(() => slack.clear());
  afterAll(() => slack?.close());
  const notifier = (found: readonly object[] = [], timeoutMs = 10_000) =>
    createSlackNotifier(rowsOf(found), createSlackClient({ botToken: 'xoxb-1', apiUrl: slack.apiUrl, timeoutMs }));

  it('is delivered when Slack has accepted it, with its id; it addresses nobody', async () => {
    const id = await notifier().notify(' C1 ', 'done <!channel> & <@U1>');
    expect(slack.messages('C1')).toMatchObject([{ ts: id, text: 'done &lt;!channel&gt; &amp; &lt;@U1&gt;' }]);
    expect(slack.calls[0]?.args).toMatchObject({ unfurl_links: 'false', unfurl_media: 'false', parse: 'none', link_names: 'false' });
  });

  it('reaches a person of ours directly, by e-mail or id', async () => {
    for (const name of ['ana@x.test', 'usr_1']) await notifier([person]).notify(name, 'hi');
    expect(slack.messages('D7')).toHaveLength(2);
  });

  it('is cut to what Slack takes', async () => {
    await notifier().notify('C1', '<'.repeat(40_000));
    expect(slack.messages('C1')[0]?.text).toMatch(/^(?:&lt;)+…$/);
    expect(slack.messages('C1')[0]?.text.length).toBeLessThanOrEqual(40_000);
  });

  it.each<[string, Parameters<SlackServer['next']>[1], object]>([
    ['a channel that is not there', { error: 'channel_not_found' }, { retryable: false, details: { reason: 'channel_not_found' } }],
    ['a rate limit', { retryAfter: 2 }, { retryable: true, retryAfterMs: 2_000, details: { reason: 'ratelimited' } }],
    ['an outage', { status: 503 }, { retryable: true, details: { reason: 'http_503' } }],
    ['a cut connection', 'drop', { retryable: true, details: { reason: 'unreachable' } }],
    ['a stall', { stallMs: 2_000 }, { retryable: true, details: { reason: 'unreachable' } }],
    ['a token that was revoked', { error: 'token_revoked' }, { retryable: false, details: { reason: 'token_revoked' } }],
  ])('fails as notify_failed for %s', async (_what, script, expected) => {
    slack.next('chat.postMessage', script);
    const isStall = typeof script === 'object' && 'stallMs' in script;
    const failing = isStall ? notifier([], 300) : notifier();
    await expect(failing.notify('C1', 'hi')).rejects.toMatchObject({ code: 'notify_failed', ...expected });
    expect(slack.callsOf('chat.postMessage')).toHaveLength(1);
  });

  it('fails for a person who is not linked', async () => {
    await expect(notifier([{ ...person, slack_user_id: null }]).notify('ana@x.test', 'hi')).rejects.toMatchObject({
      code: 'notify_failed',
      details: { reason: 'user_not_linked' },
    });
    expect(slack.calls).toEqual([]);
  });
});
