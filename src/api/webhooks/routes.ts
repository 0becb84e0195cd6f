/** `/webhooks/…`: calls from outside, signed instead of keyed. They are read byte by byte, as their signatures are over the bytes. */
import type { Request, Response } from 'express';
import { z } from 'zod';
import type { JsonObject } from '../../definition/value.js';
import { AppError, notFound } from '../../errors.js';
import { receiveGithub } from '../../operations/triggers/receive-github.js';
import { receiveWebhook, type WebhookRequest } from '../../operations/triggers/receive-webhook.js';
import { discardBody, readRawBody } from '../body.js';
import type { ApiDependencies } from '../dependencies.js';
import { jsonFaults } from '../json-limits.js';
import { checkReply } from '../reply-check.js';
import type { AnyReply, Method, Route } from '../route.js';
import { OutcomeShape } from '../triggers/shape.js';
import { validationFailed } from '../validation.js';

const tag = 'Webhooks';
const WebhookAnswer = z.object({ executionId: z.string(), deliveryId: z.string(), deduplicated: z.boolean() });
const GithubAnswer = z.object({
  deliveryId: z.string().nullable(),
  outcomes: z.array(
    z.object({ triggerId: z.string(), outcome: OutcomeShape, reason: z.string().nullable(), executionId: z.string().nullable() }),
  ),
});
const METHODS = ['post', 'get', 'put', 'patch', 'delete'] as const satisfies readonly Method[];

export const webhookRoutes: readonly Route[] = [
  rawRoute({
    method: 'post',
    path: '/webhooks/github',
    tag,
    summary: 'A delivery of GitHub’s webhook',
    description:
      'Signed: `X-Hub-Signature-256` under GITHUB_WEBHOOK_SECRET. Every enabled github trigger of the repository is evaluated. 202 when one started something.',
    problems: {
      400: ['bad_request'],
      401: ['unauthenticated'],
      413: ['payload_too_large'],
      422: ['validation_failed'],
      503: ['unavailable'],
    },
    responses: { 200: GithubAnswer, 202: GithubAnswer },
    answer: async (deps, request) => {
      const body = await receiveGithub(deps.operations, deps.webhooks.githubSecret, request);
      return { status: body.outcomes.some(({ outcome }) => outcome === 'matched') ? 202 : 200, body };
    },
  }),
  ...METHODS.map((method) =>
    rawRoute({
      method,
      path: '/webhooks/:path',
      params: z.object({ path: z.string() }),
      tag,
      summary: 'A call of a webhook trigger, by the method that it is set to',
      description:
        'Signed where the trigger has a secret: HMAC-SHA256 of the raw body in `X-Webhook-Signature` or `X-Hub-Signature-256`. Repeats are told by `X-GitHub-Delivery`, `X-Webhook-Id` or `X-Request-Id`, else by the body, within 24 h.',
      problems: {
        401: ['unauthenticated'],
        404: ['not_found'],
        405: ['method_not_allowed'],
        413: ['payload_too_large'],
        415: ['unsupported_media_type'],
        422: ['validation_failed', 'definition_invalid'],
        429: ['concurrency_limit', 'rate_limited'],
        503: ['unavailable'],
      },
      responses: { 200: WebhookAnswer, 202: WebhookAnswer },
      answer: async (deps, request) => {
        // Its own route takes POST alone.
        if (request.path === 'github')
          throw new AppError('method_not_allowed', `/webhooks/github takes POST, not ${request.method}`, { allow: ['POST'] });
        if (!/^[A-Za-z0-9-]{1,128}$/.test(request.path)) throw notFound('webhook', request.path.slice(0, 200));
        const body = await receiveWebhook(deps.operations, request);
        return { status: body.deduplicated ? 200 : 202, body };
      },
    }),
  ),
];

interface RawRoute extends Omit<Route, 'run' | 'stream' | 'auth' | 'body' | 'query'> {
  readonly answer: (deps: ApiDependencies, request: WebhookRequest) => Promise<AnyReply>;
}

/** A route that reads its request itself. */
function rawRoute({ answer, ...described }: RawRoute): Route {
  const route: Route = {
    ...described,
    auth: 'public',
    run: () => Promise.reject(new Error('This route answers by itself')),
    stream: async ({ deps }, req, res) => {
      const reply = await answer(deps, requestOf(deps, req, res));
      if (deps.checkReplies) checkReply(route, reply);
      const text = JSON.stringify(reply.body);
      res
        .writeHead(reply.status, { 'Content-Type': 'application/json; charset=utf-8', 'Content-Length': Buffer.byteLength(text) })
        .end(text);
      discardBody(req);
    },
  };
  return route;
}

function requestOf({ webhooks }: ApiDependencies, req: Request, res: Response): WebhookRequest {
  const headers = Object.fromEntries(Object.entries(req.headers).map(([name, value]) => [name, Array.isArray(value) ? value[0] : value]));
  const at = req.originalUrl.indexOf('?');
  return {
    path: decodeURIComponent(req.path.slice(req.path.lastIndexOf('/') + 1)),
    method: req.method,
    headers,
    query: at < 0 ? [] : [...new URLSearchParams(req.originalUrl.slice(at + 1))],
    readBody: () => readWhole(req, res),
    checkPayload,
    takeCall: (bucket) => webhooks.limiter.take(bucket),
    giveCallBack: (bucket) => webhooks.limiter.giveBack(bucket),
  };
}

/** Bytes as they are signed; what is packed would be neither read nor told apart. */
function readWhole(req: Request, res: Response): Promise<Uint8Array> {
  const encoding = (req.headers['content-encoding'] ?? 'identity').toLowerCase();
  if (encoding !== 'identity')
    return Promise.reject(new AppError('unsupported_media_type', `Send the body as it is, not in Content-Encoding ${encoding}`, {}));
  return readRawBody(req, res);
}

function checkPayload(payload: JsonObject): void {
  const faults = jsonFaults(payload, '');
  if (faults.length > 0) throw validationFailed(faults);
}
