import { request, type Dispatcher } from 'undici';
import type { Json } from '../../definition/value.js';
import { StepFault } from '../step-fault.js';
import type { ToolCall } from '../tool.js';
import { createCheckedAgent, resolveBySystem, type Resolver } from './checked-connections.js';
import { parseAllowList } from './address-rules.js';
import { withoutCredentials } from './headers.js';
import { connectionFault, statusFault } from './http-faults.js';
import { toHop, type Hop, type HttpMessage } from './http-message.js';
import { decoded, readBytes, toBody } from './response-body.js';

/** Sends requests by the address rules; one for a process, as it keeps connections. */
export interface HttpClient {
  readonly agent: Dispatcher;
  close(): Promise<void>;
}

/** @param options.allow entries of `SIGNALBOX_HTTP_ALLOW`; @throws Error naming an entry that cannot be read */
export function createHttpClient(options: { readonly allow: readonly string[]; readonly resolve?: Resolver }): HttpClient {
  const agent = createCheckedAgent(parseAllowList(options.allow), options.resolve ?? resolveBySystem);
  return { agent, close: () => agent.destroy() };
}

export interface HttpAnswer {
  readonly status: number;
  readonly headers: { readonly [name: string]: string };
  readonly body: Json;
  readonly bytes: number;
  readonly encoding?: 'base64';
}

const MAX_REDIRECTS = 5;

/**
 * One call, redirects followed by hand so that each is checked.
 * @returns `{ status, headers, body, bytes }`
 * @throws StepFault `http_<status>`, `http_unreachable`, `http_timeout`, `http_blocked`, `http_too_large`, or `tool_failed` for a request that cannot be written
 */
export async function sendHttp(client: HttpClient, message: HttpMessage, call: ToolCall): Promise<Json> {
  const limit = AbortSignal.timeout(message.timeoutMs);
  const signal = AbortSignal.any([call.signal, limit]);
  const hop = toHop(message, call.idempotencyKey);
  try {
    const answer = await follow(client, hop, message, signal);
    if (!isExpected(answer.status, message.expect)) throw statusFault(answer, call.redact, hop.url.origin);
    return { ...answer };
  } catch (error) {
    // Aborted from outside: the step was cancelled or ran out of its own time, and whoever aborted knows why.
    if (call.signal.aborted) throw error;
    throw connectionFault(error, { origin: hop.url.origin, timedOut: limit.aborted, timeoutMs: message.timeoutMs });
  }
}

async function follow(client: HttpClient, first: Hop, message: HttpMessage, signal: AbortSignal): Promise<HttpAnswer> {
  let hop = first;
  for (let redirects = 0; ; redirects++) {
    const response = await request(hop.url, { dispatcher: client.agent, method: hop.method, headers: hop.headers, body: hop.body, signal });
    const next = isListed(response.statusCode, message.expect)
      ? undefined
      : redirectOf(hop, response.statusCode, response.headers['location']);
    if (next === undefined || redirects === MAX_REDIRECTS) return await toAnswer(response);
    await response.body.dump({ limit: 64 * 1024, signal });
    hop = next;
  }
}

const REDIRECTS = new Set([301, 302, 303, 307, 308]);

/** The request that a redirect asks for; undefined when the response is none. */
export function redirectOf(hop: Hop, status: number, location: string | string[] | undefined): Hop | undefined {
  if (!REDIRECTS.has(status) || typeof location !== 'string') return undefined;
  if (!URL.canParse(location, hop.url.href)) return undefined;
  const url = new URL(location, hop.url);
  if (url.protocol !== 'http:' && url.protocol !== 'https:') {
    throw new StepFault('http_blocked', `A redirect leads to ${url.protocol}, only http and https are followed`, {
      details: { from: hop.url.origin },
    });
  }
  url.username = '';
  url.password = '';
  const asGet = (status === 303 && hop.method !== 'HEAD') || ((status === 301 || status === 302) && hop.method === 'POST');
  const kept = url.origin === hop.url.origin ? { ...hop.headers } : withoutCredentials(hop.headers);
  if (!asGet) return { ...hop, url, headers: kept };
  const { 'content-type': _type, 'content-encoding': _encoding, ...headers } = kept;
  return { url, method: 'GET', headers, body: null };
}

const isListed = (status: number, expect: HttpMessage['expect']): boolean =>
  Array.isArray(expect) ? expect.includes(status) : expect === status;

function isExpected(status: number, expect: HttpMessage['expect']): boolean {
  if (expect === undefined) return status >= 200 && status < 300;
  return expect === 'any' || isListed(status, expect);
}

async function toAnswer(response: Dispatcher.ResponseData): Promise<HttpAnswer> {
  const headers = Object.fromEntries(
    Object.entries(response.headers).map(([name, value]) => [name, Array.isArray(value) ? value.join(', ') : String(value)]),
  );
  const announced = headers['content-length'] === undefined ? undefined : Number(headers['content-length']);
  const raw = await readBytes(response.body, announced);
  const bytes = await decoded(raw, headers['content-encoding']);
  return { status: response.statusCode, headers, ...toBody(bytes, headers['content-type'] ?? ''), bytes: bytes.length };
}
