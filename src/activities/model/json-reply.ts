/** Reads JSON out of a model's text: a fenced block, bare JSON, or the first balanced object or list in it. Pure. */
import type { Json } from '../../definition/value.js';

export type JsonReply = { readonly found: true; readonly value: Json } | { readonly found: false };

/** The first reading that parses, in this order; of several fenced blocks the last, which models give after their drafts. */
export function readJsonReply(text: string): JsonReply {
  for (const candidate of candidates(text)) {
    try {
      return { found: true, value: JSON.parse(candidate) as Json };
    } catch {
      // The next reading may do.
    }
  }
  return { found: false };
}

function* candidates(text: string): Generator<string> {
  const fenced = [...text.matchAll(/^[ \t]*```[a-zA-Z0-9]*[ \t]*\r?\n([\s\S]*?)^[ \t]*```/gm)].map((match) => match[1] as string);
  yield* fenced.toReversed();
  yield text;
  for (let from = text.search(/[[{]/), tries = 0; from >= 0 && tries < MAX_STARTS; tries++) {
    const end = balancedEnd(text, from);
    if (end !== undefined) yield text.slice(from, end);
    const next = text.slice(from + 1).search(/[[{]/);
    from = next < 0 ? -1 : from + 1 + next;
  }
}

/** Brackets in prose, such as `[1]`, may come before the reply; a text full of them is not searched for ever. */
const MAX_STARTS = 50;

/** Where the bracket at `from` is closed, strings taken into account; undefined when it is not. */
function balancedEnd(text: string, from: number): number | undefined {
  let depth = 0;
  let inString = false;
  for (let at = from; at < text.length; at++) {
    const char = text[at];
    if (inString) {
      if (char === '\\') at++;
      else if (char === '"') inString = false;
    } else if (char === '"') inString = true;
    else if (char === '{' || char === '[') depth++;
    else if ((char === '}' || char === ']') && --depth === 0) return at + 1;
  }
  return undefined;
}
