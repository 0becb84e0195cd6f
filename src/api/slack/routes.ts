/** `POST /slack/interactions`: clicks on our buttons, forms that were filled in. */
import type { Request, Response } from 'express';
import { AppError } from '../../errors.js';
import { readRawBody } from '../body.js';
import type { Route } from '../route.js';
import { handleInteraction, type InteractionReply } from './interactions.js';
import { parseInteraction } from './payload.js';
import { isFromSlack } from './signature.js';

/** Slack takes an answer for lost after 3 s. What takes longer goes on behind it. */
const ANSWER_WITHIN_MS = 2_000;

export const slackRoutes: readonly Route[] = [
  {
    method: 'post',
    path: '/slack/interactions',
    tag: 'Slack',
    summary: 'Clicks and forms, from Slack',
    description:
      'Signed by Slack: `X-Slack-Request-Timestamp` and `X-Slack-Signature` (v0, HMAC-SHA256 over the raw body), no older than 5 minutes. ' +
      'The body is `application/x-www-form-urlencoded` with one field, `payload`. Answered in under 3 s, whatever Slack’s API does.',
    auth: 'public',
    problems: { 401: ['unauthenticated'], 413: ['payload_too_large'], 503: ['unavailable'] },
    responses: { 200: null },
    run: () => Promise.reject(new Error('This route answers by itself')),
    stream: ({ deps }, req, res) => answer(deps, req, res),
  },
];

type Deps = Parameters<NonNullable<Route['stream']>>[0]['deps'];

async function answer(deps: Deps, req: Request, res: Response): Promise<void> {
  const { signingSecret, client } = deps.slack ?? {};
  // Before a byte is read or a word believed.
  if (signingSecret === undefined || req.headers['x-slack-signature'] === undefined) throw unsigned();
  const body = await readRawBody(req, res);
  const signed = { timestamp: headerOf(req, 'x-slack-request-timestamp'), signature: headerOf(req, 'x-slack-signature'), body };
  if (!isFromSlack(signed, signingSecret, Date.now())) throw unsigned();
  const interaction = parseInteraction(body);
  const work = interaction === undefined ? Promise.resolve(null) : handleInteraction({ operations: deps.operations, client }, interaction);
  send(res, await inTime(deps, work));
}

/** An empty answer when there is none yet: what was clicked is on its way, and its message will tell. */
async function inTime(deps: Deps, work: Promise<InteractionReply>): Promise<InteractionReply> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<'late'>((resolve) => {
    timer = setTimeout(() => resolve('late'), ANSWER_WITHIN_MS);
  });
  const first = await Promise.race([work, late]).finally(() => clearTimeout(timer));
  if (first !== 'late') return first;
  deps.operations.background.run('take a click of Slack', async () => {
    await work;
  });
  return null;
}

function send(res: Response, reply: InteractionReply): void {
  if (reply === null) {
    res.writeHead(200).end();
    return;
  }
  const text = JSON.stringify(reply);
  res.writeHead(200, { 'Content-Type': 'application/json; charset=utf-8', 'Content-Length': Buffer.byteLength(text) }).end(text);
}

const headerOf = (req: Request, name: string): string | undefined => {
  const value = req.headers[name];
  return typeof value === 'string' ? value : undefined;
};

const unsigned = (): AppError => new AppError('unauthenticated', 'This does not carry a signature of Slack from the last five minutes', {});
