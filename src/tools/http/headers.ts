/** Request headers: what a caller may set, and what survives a redirect to another origin. Pure. */
import { StepFault } from '../step-fault.js';

export interface Headers {
  readonly [name: string]: string;
}

/** Framing and routing of the request are the connection's business. */
const CONNECTION_HEADERS = new Set([
  'host',
  'connection',
  'content-length',
  'transfer-encoding',
  'upgrade',
  'keep-alive',
  'te',
  'trailer',
  'expect',
  'proxy-connection',
]);

/** Names in lower case, values as text. @throws StepFault `tool_failed` for names and values that HTTP does not allow. */
export function toRequestHeaders(given: { readonly [name: string]: string | number | boolean }): { [name: string]: string } {
  const headers: { [name: string]: string } = {};
  for (const [name, value] of Object.entries(given)) {
    const key = name.toLowerCase();
    const text = String(value);
    if (!/^[!#$%&'*+.^_`|~0-9a-z-]+$/.test(key)) throw refused(name, 'is not a header name');
    if (CONNECTION_HEADERS.has(key)) throw refused(name, 'is set by the connection itself');
    // oxlint-disable-next-line no-control-regex -- exactly these may not be in a header
    if (/[\0\r\n]/.test(text)) throw refused(name, 'has a line break in its value');
    headers[key] = text;
  }
  return headers;
}

const refused = (name: string, why: string) => new StepFault('tool_failed', `Header ${name} ${why}`, { details: { header: name } });

const CREDENTIAL = /auth|cookie|token|secret|session|signature|password|credential|(^|-)key($|-)/;

/**
 * Credentials belong to the origin that they were written for. Beside the standard ones every header is dropped whose name
 * says that it holds one, as in `X-Api-Key`. The idempotency key is no credential.
 */
export function withoutCredentials(headers: Headers): { [name: string]: string } {
  return Object.fromEntries(Object.entries(headers).filter(([name]) => name === 'idempotency-key' || !CREDENTIAL.test(name)));
}

/** What `Retry-After` asks for, in ms from `nowMs`: seconds or an HTTP date. */
export function retryAfterMs(value: string | undefined, nowMs: number): number | undefined {
  if (value === undefined) return undefined;
  if (/^\d+$/.test(value.trim())) return Number(value.trim()) * 1_000;
  const at = Date.parse(value);
  return Number.isNaN(at) ? undefined : Math.max(0, at - nowMs);
}
