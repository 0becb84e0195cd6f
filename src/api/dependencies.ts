/** What the HTTP API is given; connected in server.ts. */
import type { Logger } from 'pino';
import type { OperationDeps } from '../operations/deps.js';
import type { EventHub } from '../realtime/event-hub.js';
import type { Feeds } from '../realtime/feeds.js';
import type { RightsWatch } from '../realtime/rights-watch.js';
import type { SlackClient } from '../realtime/slack/slack-client.js';
import type { DirectTools } from '../tools/index.js';
import type { Gatekeepers } from './authenticate.js';
import type { ReadReadiness } from './health/readiness.js';
import type { ApiMetrics } from './metrics.js';
import type { RateLimiter } from './rate-limiter.js';

export interface ApiDependencies {
  readonly operations: OperationDeps;
  readonly gatekeepers: Gatekeepers;
  readonly events: EventHub;
  /** What is told of streams at this moment: texts that are not yet in rows. */
  readonly feeds: Feeds;
  /** Ends what is open when its key or login does. */
  readonly rights: RightsWatch;
  /** Without a signing secret nothing that claims to come from Slack is believed. */
  readonly slack?: { readonly signingSecret?: string; readonly client?: SlackClient };
  /** Calls a minute of one trigger; without a secret nothing that claims to come from GitHub is believed. */
  readonly webhooks: { readonly limiter: RateLimiter; readonly githubSecret: string | undefined };
  readonly tools: DirectTools;
  readonly metrics: ApiMetrics;
  readonly readiness: ReadReadiness;
  readonly log: Logger;
  /** The built-in demo model answers in chats: their headers say so. */
  readonly isDemoModel?: boolean;
  /** The service's version, for documents. */
  readonly version: string;
  /** Answers are checked against their schemas: in tests. */
  readonly checkReplies: boolean;
}
