import type { Json } from '../../definition/value.js';
import { StepFault } from '../step-fault.js';
import { toRequestHeaders } from './headers.js';

type Scalar = string | number | boolean;

/** A call as a caller writes it, defaults applied. */
export interface HttpMessage {
  readonly url: string;
  readonly method: string;
  readonly headers: { readonly [name: string]: Scalar };
  readonly query: { readonly [name: string]: Scalar | null | readonly Scalar[] };
  readonly body?: Json | undefined;
  readonly timeoutMs: number;
  readonly expect?: 'any' | number | readonly number[] | undefined;
}

/** One request on the wire. */
export interface Hop {
  readonly url: URL;
  readonly method: string;
  readonly headers: { readonly [name: string]: string };
  readonly body: string | null;
}

/** The first request of a call. Pure. @throws StepFault `http_blocked` for another scheme, `tool_failed` for what is no URL or header */
export function toHop(message: HttpMessage, idempotencyKey: string): Hop {
  const url = parseUrl(message.url);
  for (const [name, value] of Object.entries(message.query)) {
    for (const one of Array.isArray(value) ? (value as readonly Scalar[]) : [value as Scalar | null])
      if (one !== null) url.searchParams.append(name, String(one));
  }
  const given = toRequestHeaders(message.headers);
  const { text, contentType } = toText(message.body, given['content-type']);
  const headers = {
    'user-agent': 'signalbox',
    accept: '*/*',
    'idempotency-key': idempotencyKey,
    ...(contentType === undefined ? {} : { 'content-type': contentType }),
    ...basicCredentials(url),
    ...given,
  };
  url.username = '';
  url.password = '';
  url.hash = '';
  return { url, method: message.method.toUpperCase(), headers, body: text };
}

function parseUrl(text: string): URL {
  if (!URL.canParse(text))
    throw new StepFault('tool_failed', `"${text.slice(0, 200)}" is not an absolute URL`, { details: { url: text.slice(0, 200) } });
  const url = new URL(text);
  if (url.protocol === 'http:' || url.protocol === 'https:') return url;
  throw new StepFault('http_blocked', `Only http and https may be called, not ${url.protocol}`, { details: { protocol: url.protocol } });
}

function basicCredentials(url: URL): { readonly authorization?: string } {
  if (url.username === '' && url.password === '') return {};
  const pair = `${unescaped(url.username)}:${unescaped(url.password)}`;
  return { authorization: `Basic ${Buffer.from(pair).toString('base64')}` };
}

function unescaped(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    return text; // a lone % is kept by the URL parser as it is
  }
}

function toText(body: Json | undefined, contentType: string | undefined): { readonly text: string | null; readonly contentType?: string } {
  if (body === undefined || body === null) return { text: null };
  if (typeof body === 'string') return { text: body, contentType: contentType ?? 'text/plain; charset=utf-8' };
  if (contentType?.startsWith('application/x-www-form-urlencoded') === true && typeof body === 'object' && !Array.isArray(body)) {
    const fields = Object.entries(body as { [name: string]: Json }).map(([name, value]): [string, string] => [
      name,
      typeof value === 'string' ? value : JSON.stringify(value),
    ]);
    return { text: new URLSearchParams(fields).toString(), contentType };
  }
  return { text: JSON.stringify(body), contentType: contentType ?? 'application/json' };
}
