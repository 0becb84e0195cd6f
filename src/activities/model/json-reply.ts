/** Reads JSON out of a model's text: fenced blocks, bare JSON, balanced objects and lists in it. Pure. */
import type { Json } from '../../definition/value.js';

/** Every reading that parses, the likeliest first; of several fenced blocks the last, which models give after their drafts. */
export function* jsonReadings(text: string): Generator<Json> {
  for (const candidate of fencedOrBare(text)) {
    const json = parsed(candidate);
    if (json !== undefined) yield json;
  }
  yield* balanced(text);
}

function parsed(text: string): Json | undefined {
  try {
    return JSON.parse(text) as Json;
  } catch {
    return undefined;
  }
}

function* fencedOrBare(text: string): Generator<string> {
  const fenced = [...text.matchAll(/^[ \t]*```[a-zA-Z0-9]*[ \t]*\r?\n([\s\S]*?)^[ \t]*```/gm)].map((match) => match[1] as string);
  yield* fenced.toReversed();
  yield text;
}

/** One behind the other: what lies inside a reading is not a reading of its own. */
function* balanced(text: string): Generator<Json> {
  for (let from = text.search(/[[{]/), tries = 0; from >= 0 && tries < MAX_STARTS; tries++) {
    const end = balancedEnd(text, from);
    const json = end === undefined ? undefined : parsed(text.slice(from, end));
    if (json !== undefined) yield json;
    const behind = json === undefined || end === undefined ? from + 1 : end;
    const next = text.slice(behind).search(/[[{]/);
    from = next < 0 ? -1 : behind + next;
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
