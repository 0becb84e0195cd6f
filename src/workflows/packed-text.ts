/**
 * Long texts that repeat themselves, as the JSON of a wide state does: thousands of fibers with the same fields. What stood before is told
 * by where. Pure, and the same everywhere: a hand-over's input is made in the workflow, where the loops must ask for nothing global (each
 * look-up goes through the sandbox).
 */

/** Text as it is, then how far back and how long what follows is a copy; and so on, a text last. JSON. */
export type PackedText = readonly (string | number)[];

/** A copy costs about as much as this many characters. */
const SHORTEST = 24;
/** So many characters tell whether a place may be the beginning of a copy. */
const LOOKED_AT = 8;
const PLACES = 1 << 16;

export function packText(text: string): PackedText {
  const packed: (string | number)[] = [];
  /** Where the last text of a kind began, from 1. */
  const places = new Int32Array(PLACES);
  const last = text.length - LOOKED_AT;
  let plainFrom = 0;
  for (let at = 0; at <= last; ) {
    const kind = kindAt(text, at);
    const before = (places[kind] ?? 0) - 1;
    places[kind] = at + 1;
    const length = before < 0 ? 0 : equalFrom(text, before, at);
    if (length < SHORTEST) {
      at += 1;
      continue;
    }
    packed.push(text.slice(plainFrom, at), at - before, length);
    for (let inside = at + 1; inside < at + length && inside <= last; inside += 1) places[kindAt(text, inside)] = inside + 1;
    at += length;
    plainFrom = at;
  }
  packed.push(text.slice(plainFrom));
  return packed;
}

function kindAt(text: string, at: number): number {
  let hash = 0;
  for (let index = at; index < at + LOOKED_AT; index += 1) hash = (hash * 31 + text.charCodeAt(index)) | 0;
  return (hash ^ (hash >>> 15)) & (PLACES - 1);
}

function equalFrom(text: string, before: number, at: number): number {
  let length = 0;
  while (at + length < text.length && text.charCodeAt(before + length) === text.charCodeAt(at + length)) length += 1;
  return length;
}

/** @throws Error for what is no packed text */
export function unpackText(packed: PackedText): string {
  const codes = new Uint16Array(lengthOf(packed));
  let end = 0;
  for (let index = 0; index < packed.length; index += 1) {
    const part = packed[index];
    if (typeof part === 'string') {
      for (let from = 0; from < part.length; from += 1, end += 1) codes[end] = part.charCodeAt(from);
      continue;
    }
    const length = packed[(index += 1)];
    if (part === undefined || typeof length !== 'number' || part < 1 || part > end) throw new Error('This is no packed text');
    // It may reach into itself: one after the other.
    for (let copied = 0; copied < length; copied += 1, end += 1) codes[end] = codes[end - part] ?? 0;
  }
  return textOf(codes);
}

function lengthOf(packed: PackedText): number {
  let length = 0;
  for (let index = 0; index < packed.length; index += 1) {
    const part = packed[index];
    const counted = typeof part === 'string' ? part.length : packed[(index += 1)];
    if (typeof counted === 'number') length += counted;
  }
  return length;
}

/** More arguments would overflow a stack. */
const ARGUMENTS = 8_192;

function textOf(codes: Uint16Array): string {
  const parts: string[] = [];
  for (let from = 0; from < codes.length; from += ARGUMENTS) parts.push(String.fromCharCode(...codes.subarray(from, from + ARGUMENTS)));
  return parts.join('');
}
