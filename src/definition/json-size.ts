import type { Json, Value } from './value.js';

/** A value whose JSON is larger than this many UTF-8 bytes is stored and passed by reference. */
export const LARGE_VALUE_BYTES = 32_768;

/** How many bytes a text has in UTF-8. Pure; without Buffer, as it also runs in the workflow. */
export function utf8Bytes(text: string): number {
  let bytes = text.length;
  for (let index = 0; index < text.length; index += 1) {
    const unit = text.charCodeAt(index);
    if (unit > 0x7f) bytes += 1;
    // Each half of a surrogate pair counts 2 of its 4 bytes; a lone half becomes the 3 bytes of U+FFFD.
    if (unit > 0x7ff && !isHalfOfPair(text, index, unit)) bytes += 1;
  }
  return bytes;
}

function isHalfOfPair(text: string, index: number, unit: number): boolean {
  if (unit < 0xd800 || unit > 0xdfff) return false;
  const other = text.charCodeAt(unit < 0xdc00 ? index + 1 : index - 1);
  return unit < 0xdc00 ? other >= 0xdc00 && other <= 0xdfff : other >= 0xd800 && other <= 0xdbff;
}

/** The size of a value's JSON in UTF-8 bytes. Pure. */
export const jsonBytes = (json: Json): number => utf8Bytes(JSON.stringify(json));

/** The size of a value as it travels: its JSON and what tells of the stored values that it stands upon. Pure. */
export const valueBytes = ({ v, refs }: Value): number => jsonBytes(v) + (refs === undefined ? 0 : jsonBytes(refs as unknown as Json));

/** Whether a value has to be passed by reference as a whole. Pure; does not count what is plainly small or large. */
export function isLarge({ v, refs }: Value): boolean {
  if (refs === undefined && (v === null || typeof v === 'boolean' || typeof v === 'number')) return false;
  const text = JSON.stringify(v) + (refs === undefined ? '' : JSON.stringify(refs));
  if (text.length > LARGE_VALUE_BYTES) return true;
  return text.length * 3 > LARGE_VALUE_BYTES && utf8Bytes(text) > LARGE_VALUE_BYTES;
}
