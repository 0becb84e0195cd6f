/** NUL and half surrogate pairs as JSON.stringify writes them, behind an even number of backslashes. */
const UNSTORABLE = /(?<!\\)((?:\\\\)*)\\u(?:0000|d[89a-f][0-9a-f]{2})/g;
const MAYBE_UNSTORABLE = /\\u(?:0000|d[89a-f])/;

/**
 * JSON text that PostgreSQL stores and reads back unchanged: what text columns and JSON functions refuse (NUL, half of a
 * surrogate pair) becomes U+FFFD; nothing else changes, the order of keys included. Pure.
 */
export function toJsonText(value: unknown): string {
  const text = JSON.stringify(value) ?? 'null';
  return MAYBE_UNSTORABLE.test(text) ? text.replace(UNSTORABLE, '$1\ufffd') : text;
}

/** The same for a nullable column: undefined and null become SQL's null. */
export const toNullableJsonText = (value: unknown): string | null => (value === undefined || value === null ? null : toJsonText(value));

const UNSTORABLE_UNIT = /\0|[\ud800-\udbff](?![\udc00-\udfff])|(?<![\ud800-\udbff])[\udc00-\udfff]/g;

/** Text that PostgreSQL stores, by the same rule. Pure. */
export const toStorableText = (text: string): string => text.replace(UNSTORABLE_UNIT, '\ufffd');
