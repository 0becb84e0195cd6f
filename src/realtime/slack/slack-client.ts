/** Slack's Web API as we use it: five calls, no hidden retries, and faults that say whether another try makes sense. */
import { LogLevel, WebClient, type Logger, WebAPIHTTPError, WebAPIPlatformError, WebAPIRateLimitedError } from '@slack/web-api';

/** A block of Block Kit, as JSON. */
export type Block = { readonly type: string } & { readonly [field: string]: unknown };
export interface Place {
  readonly channel: string;
  readonly ts: string;
}
export interface SlackText {
  /** mrkdwn, escaped; what notifications and readers without blocks show. */
  readonly text: string;
  readonly blocks?: readonly Block[];
}
export interface SlackClient {
  /** @returns where it is, by the channel id that Slack gives: a person's id becomes that of the direct message. @throws SlackFault */
  post(channel: string, message: SlackText): Promise<Place>;
  /** Rewrites a message of ours. @throws SlackFault */
  update(place: Place, message: SlackText): Promise<void>;
  /** A line that only this person sees. @throws SlackFault */
  whisper(to: { readonly channel: string; readonly user: string }, text: string): Promise<void>;
  /** @throws SlackFault, among others when the trigger is older than 3 s */
  openModal(triggerId: string, view: object): Promise<void>;
  /** Answers an interaction by its response URL, seen by who clicked alone; an address that is not Slack's is never called. @throws SlackFault */
  respond(responseUrl: string, text: string): Promise<void>;
}

/** `code` is Slack's own word (`channel_not_found`), or `ratelimited`, `unreachable`, `http_<status>`, `foreign_address`. */
export class SlackFault extends Error {
  override readonly name = 'SlackFault';
  constructor(
    readonly code: string,
    /** `later`: may work by itself. `repaired`: when somebody changes something in Slack or the settings. `never`: not like this. */
    readonly hope: 'later' | 'repaired' | 'never',
    readonly retryAfterMs: number | undefined,
    options: { readonly cause?: unknown } = {},
  ) {
    super(`Slack: ${code}`, options);
  }
}

export interface SlackOptions {
  readonly botToken: string;
  /** Base URL of the API; Slack's own when absent. */
  readonly apiUrl?: string;
  /** Longer than any answer that may still come; a message whose answer is given up may be there all the same. */
  readonly timeoutMs?: number;
}

const TIMEOUT_MS = 30_000;
const RESPONSE_HOSTS = new Set(['hooks.slack.com', 'hooks.slack-gov.com']);
const WORKS_LATER = new Set([
  'internal_error',
  'fatal_error',
  'service_unavailable',
  'request_timeout',
  'team_added_to_org',
  'ratelimited',
]);
const WORKS_REPAIRED = new Set([
  'not_authed',
  'invalid_auth',
  'account_inactive',
  'token_revoked',
  'token_expired',
  'no_permission',
  'missing_scope',
  'ekm_access_denied',
  'channel_not_found',
  'not_in_channel',
  'is_archived',
  'restricted_action',
  'user_not_linked',
]);

/** The client that the settings ask for; undefined: no bot token is set. */
export function connectSlack(
  { botToken, apiUrl }: { readonly botToken: string | undefined; readonly apiUrl: string | undefined },
  timeoutMs?: number,
): SlackClient | undefined {
  if (botToken === undefined) return undefined;
  return createSlackClient({ botToken, ...(apiUrl === undefined ? {} : { apiUrl }), ...(timeoutMs === undefined ? {} : { timeoutMs }) });
}

/** A client for one workspace; opens nothing until it is asked. */
export function createSlackClient({ botToken, apiUrl, timeoutMs = TIMEOUT_MS }: SlackOptions): SlackClient {
  // Its defaults retry for half an hour inside a call, and follow absolute URLs with the token.
  const client = new WebClient(botToken, {
    ...(apiUrl === undefined ? {} : { slackApiUrl: apiUrl }),
    retryConfig: { retries: 0 },
    rejectRateLimitedCalls: true,
    allowAbsoluteUrls: false,
    timeout: timeoutMs,
    logger: SILENT,
  });
  const call = async (method: string, args: { readonly [name: string]: unknown }): Promise<{ readonly [field: string]: unknown }> => {
    try {
      return { ...(await client.apiCall(method, { ...args })) };
    } catch (error) {
      throw toFault(error);
    }
  };
  const quiet = { unfurl_links: false, unfurl_media: false };
  // `@here` and `#channel` without brackets stay text; rewriting would look for them unless told not to.
  const literal = { parse: 'none', link_names: false };
  return {
    async post(channel, message) {
      const answer = await call('chat.postMessage', { channel, ...message, ...literal, ...quiet });
      if (typeof answer['channel'] !== 'string' || typeof answer['ts'] !== 'string') throw new SlackFault('no_place', 'never', undefined);
      return { channel: answer['channel'], ts: answer['ts'] };
    },
    async update(place, message) {
      await call('chat.update', { ...place, ...message, ...literal });
    },
    async whisper(to, text) {
      await call('chat.postEphemeral', { ...to, text, ...literal });
    },
    async openModal(triggerId, view) {
      await call('views.open', { trigger_id: triggerId, view });
    },
    respond: (responseUrl, text) => respond(responseUrl, text, apiUrl, timeoutMs),
  };
}

/** Whether a response URL is Slack's, or of the server that stands in for it. It comes with a signed request all the same. Pure. */
export function isResponseAddress(url: string, apiUrl: string | undefined): boolean {
  if (!URL.canParse(url)) return false;
  const { protocol, hostname, origin, port } = new URL(url);
  if (apiUrl !== undefined && origin === new URL(apiUrl).origin) return true;
  return protocol === 'https:' && port === '' && RESPONSE_HOSTS.has(hostname);
}

async function respond(url: string, text: string, apiUrl: string | undefined, timeoutMs: number): Promise<void> {
  if (!isResponseAddress(url, apiUrl)) throw new SlackFault('foreign_address', 'never', undefined);
  const body = JSON.stringify({ response_type: 'ephemeral', replace_original: false, text });
  const answer = await fetch(url, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body,
    redirect: 'error',
    signal: AbortSignal.timeout(timeoutMs),
  }).catch((error: unknown) => {
    throw new SlackFault('unreachable', 'later', undefined, { cause: error });
  });
  await answer.body?.cancel();
  if (!answer.ok) throw new SlackFault(`http_${answer.status}`, answer.status >= 500 ? 'later' : 'never', undefined);
}

function toFault(error: unknown): SlackFault {
  if (error instanceof WebAPIRateLimitedError) return new SlackFault('ratelimited', 'later', error.retryAfter * 1000, { cause: error });
  if (error instanceof WebAPIPlatformError) {
    const code = error.data.error;
    return new SlackFault(code, WORKS_LATER.has(code) ? 'later' : WORKS_REPAIRED.has(code) ? 'repaired' : 'never', undefined, {
      cause: error,
    });
  }
  if (error instanceof WebAPIHTTPError)
    return new SlackFault(`http_${error.statusCode}`, error.statusCode >= 500 ? 'later' : 'never', undefined, { cause: error });
  return new SlackFault('unreachable', 'later', undefined, { cause: error });
}

/** What goes wrong is told by the fault; the library would log whole answers. */
const SILENT: Logger = {
  debug: () => undefined,
  info: () => undefined,
  warn: () => undefined,
  error: () => undefined,
  setLevel: () => undefined,
  getLevel: () => LogLevel.ERROR,
  setName: () => undefined,
};
