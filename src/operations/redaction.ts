/** Takes secret values out of what is recorded or returned: plain, base64 and URL-encoded (design §9). Pure. */
import type { Json } from '../definition/value.js';

export interface Redactor {
  text(text: string): string;
  json(json: Json): Json;
  /** Nothing to take out: values pass through untouched. */
  readonly isIdle: boolean;
  /** Every text that is taken out, the longest first: for texts that come in pieces (stream-redactor.ts). */
  readonly forms: readonly string[];
  /** Where those stand in a text, as `text` takes them out. */
  places(text: string): readonly { readonly from: number; readonly to: number }[];
}

/** Shorter ones would take half of every text with them. */
const MIN_LENGTH = 4;

/** @param secrets values by name; the name takes the value's place */
export function createRedactor(secrets: ReadonlyMap<string, string>): Redactor {
  const names = new Map<string, string>();
  for (const [name, value] of secrets) for (const form of formsOf(value)) if (!names.has(form)) names.set(form, name);
  if (names.size === 0) return { text: (text) => text, json: (json) => json, isIdle: true, forms: [], places: () => [] };
  // The longest first: a secret may begin with another one.
  const forms = [...names.keys()].toSorted((a, b) => b.length - a.length);
  const pattern = new RegExp(forms.map((form) => form.replace(/[\\^$.*+?()[\]{}|/-]/g, '\\$&')).join('|'), 'g');
  const text = (given: string): string => given.replace(pattern, (form) => `[secret ${names.get(form) ?? ''}]`);
  const places = (given: string) => [...given.matchAll(pattern)].map((match) => ({ from: match.index, to: match.index + match[0].length }));
  return { text, json: (json) => redacted(json, text), isIdle: false, forms, places };
}

function redacted(json: Json, text: (text: string) => string): Json {
  if (typeof json === 'string') return text(json);
  if (typeof json === 'number') return text(String(json)) === String(json) ? json : text(String(json));
  if (json === null || typeof json !== 'object') return json;
  if (Array.isArray(json)) return json.map((item: Json) => redacted(item, text));
  return Object.fromEntries(Object.entries(json).map(([key, value]) => [text(key), redacted(value, text)]));
}

/** Every way in which the value may stand in a text. */
function formsOf(value: string): readonly string[] {
  if (value.length < MIN_LENGTH) return [];
  const quoted = JSON.stringify(value).slice(1, -1);
  const url = safelyEncoded(value);
  const plain = [
    value,
    quoted,
    url,
    url.replaceAll('%20', '+'),
    url.replace(/%[0-9A-F]{2}/g, (code) => code.toLowerCase()),
    new URLSearchParams([['', value]]).toString().slice(1),
  ];
  return [...new Set([...plain, ...base64Forms(value)])];
}

function safelyEncoded(value: string): string {
  try {
    return encodeURIComponent(value);
  } catch {
    return value; // half of a surrogate pair has no URL form
  }
}

/**
 * Base64 of the value alone, and the characters that stand for it inside the base64 of a longer text (`user:secret`), which
 * depend on where it begins; the ones at its edges mix with its neighbours and are left.
 */
function base64Forms(value: string): readonly string[] {
  const bytes = Buffer.from(value);
  const inner = [0, 1, 2].map((offset) => {
    const text = Buffer.concat([Buffer.alloc(offset), bytes]).toString('base64');
    return text.slice(Math.ceil((offset * 8) / 6), Math.floor(((offset + bytes.length) * 8) / 6));
  });
  const whole = bytes.toString('base64');
  const forms = [whole, whole.replace(/=+$/, ''), ...inner.filter((form) => form.length >= 6)];
  return [...forms, ...forms.map((form) => form.replaceAll('+', '-').replaceAll('/', '_'))];
}
