import { z } from 'zod';
import type { Json } from '../../definition/value.js';
import { defineTool, type Tool } from '../tool.js';
import { sendHttp, type HttpClient } from './send-http.js';

const DEFAULT_TIMEOUT_MS = 30_000;
const MAX_TIMEOUT_MS = 600_000;

const Scalar = z.union([z.string(), z.number(), z.boolean()]);
const JsonSchema: z.ZodType<Json> = z.json();
export const HttpRequestParameters = z.strictObject({
  url: z.string().min(1).describe('http or https; credentials in it become an Authorization header'),
  method: z
    .string()
    .regex(/^[A-Za-z]{1,20}$/)
    .default('GET'),
  headers: z.record(z.string(), Scalar).default({}),
  query: z
    .record(z.string(), z.union([Scalar, z.null(), z.array(Scalar)]))
    .default({})
    .describe('Added to the query of the URL; a list repeats its name, null leaves it out'),
  body: JsonSchema.optional().describe('Text as it is; anything else as JSON, or as a form when the content type says so'),
  timeoutMs: z
    .number()
    .int()
    .min(1)
    .max(MAX_TIMEOUT_MS)
    .default(DEFAULT_TIMEOUT_MS)
    .describe('For the whole call, redirects and body included'),
  expect: z
    .union([z.literal('any'), z.int(), z.array(z.int())])
    .optional()
    .describe('Statuses that are no failure; "any" for all; default 2xx'),
});
export type HttpRequestParameters = z.infer<typeof HttpRequestParameters>;

/**
 * `http:request`. Every call carries the idempotency key, so it may repeat; its time limit is its own `timeoutMs`. Declared
 * light: a call with a limit above 30 s is not, see `limitMs`.
 */
export function createHttpRequestTool(client: HttpClient): Tool {
  return defineTool<HttpRequestParameters>({
    id: 'http:request',
    description: 'Calls an HTTP endpoint; gives { status, headers, body, bytes }, body parsed when it is JSON',
    risk: 'low',
    parameters: HttpRequestParameters,
    repeats: 'keyed',
    light: true,
    limitMs: ({ timeoutMs }) => timeoutMs,
    run: (parameters, call) => sendHttp(client, parameters, call),
  });
}
