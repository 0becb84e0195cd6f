/** From the bytes of a webhook call to its payload. Pure. */
import type { Json, JsonObject } from '../../definition/value.js';
import { setOwn } from '../../definition/value-parts.js';

/** A call as it came; header names in lower case, the first value of each. */
export interface WebhookCall {
  readonly method: string;
  readonly headers: { readonly [name: string]: string | undefined };
  /** Pairs of the query, in order. */
  readonly query: readonly (readonly [string, string])[];
  readonly raw: Uint8Array;
}

/**
 * What the call holds: the body, with the query under `query` unless it has that key. A body that is no object stands under `body`, as
 * does text that is no JSON; a form becomes an object. A GET has its query as payload and no body.
 */
export async function payloadOf(call: WebhookCall): Promise<JsonObject> {
  const query = objectOf(call.query);
  if (call.method === 'GET') return query;
  const body = await bodyOf(call);
  const payload: { [key: string]: Json } = {};
  if (body !== undefined && isObject(body)) for (const [key, value] of Object.entries(body)) setOwn(payload, key, value);
  else if (body !== undefined) payload['body'] = body;
  if (call.query.length > 0 && !Object.hasOwn(payload, 'query')) payload['query'] = query;
  return payload;
}

/** The body as JSON: undefined when there is none. */
async function bodyOf({ raw, headers }: WebhookCall): Promise<Json | undefined> {
  if (raw.length === 0) return undefined;
  const type = headers['content-type'] ?? '';
  if (/^application\/x-www-form-urlencoded\b/i.test(type)) return objectOf([...new URLSearchParams(textOf(raw))]);
  if (/^multipart\/form-data\b/i.test(type)) return (await multipartOf(raw, type)) ?? textOf(raw);
  return parseJson(textOf(raw));
}

const textOf = (raw: Uint8Array): string => new TextDecoder().decode(raw);

function parseJson(text: string): Json {
  try {
    return JSON.parse(text) as Json;
  } catch {
    return text;
  }
}

/** Undefined when it is none in truth. Of a file its name, type and size. */
async function multipartOf(raw: Uint8Array, type: string): Promise<JsonObject | undefined> {
  try {
    const form = await new Response(Uint8Array.from(raw), { headers: { 'content-type': type } }).formData();
    return objectOf(
      [...form].map(([name, value]) => [
        name,
        typeof value === 'string' ? value : { filename: value.name, contentType: value.type, bytes: value.size },
      ]),
    );
  } catch {
    return undefined;
  }
}

/** Fields of one name become a list. */
function objectOf(pairs: readonly (readonly [string, Json])[]): JsonObject {
  const object: { [key: string]: Json } = {};
  for (const [name, value] of pairs) {
    const before = Object.hasOwn(object, name) ? object[name] : undefined;
    const isRepeated = pairs.filter(([other]) => other === name).length > 1;
    setOwn(object, name, isRepeated ? [...((before ?? []) as Json[]), value] : value);
  }
  return object;
}

const isObject = (value: Json): value is JsonObject => typeof value === 'object' && value !== null && !Array.isArray(value);

/** The sender's own id of the delivery, by which repeats are told. */
export function deliveryIdOf(headers: WebhookCall['headers']): string | undefined {
  return [headers['x-github-delivery'], headers['x-webhook-id'], headers['x-request-id']]
    .find((id) => id !== undefined && id.trim() !== '')
    ?.trim();
}
