/** From text with `{{ … }}` tokens to a template. Not for the workflow: it imports the parser. */
import { type ParseOptions, parseExpression } from '../expression/parse.js';
import type { ExpressionFault } from '../expression/parse-fault.js';
import { endOfText } from '../expression/syntax.js';
import type { Expr, Template } from '../plan.js';

/** A piece of a text: plain, or the source of one token. `at` is the offset of its first character in the whole text. */
export type Piece =
  | { readonly kind: 'text'; readonly text: string; readonly at: number }
  | { readonly kind: 'token'; readonly source: string; readonly at: number; readonly isClosed: boolean };

/** Splits a text at its tokens. Knows texts and braces inside a token, so `{{ {a: "}}"} }}` is one. Pure. */
export function splitTokens(text: string): Piece[] {
  const pieces: Piece[] = [];
  let from = 0;
  for (let open = text.indexOf('{{'); open !== -1; open = text.indexOf('{{', from)) {
    if (open > from) pieces.push({ kind: 'text', text: text.slice(from, open), at: from });
    const close = closeOf(text, open + 2);
    pieces.push({ kind: 'token', source: text.slice(open + 2, close ?? text.length), at: open + 2, isClosed: close !== undefined });
    from = close === undefined ? text.length : close + 2;
  }
  if (from < text.length) pieces.push({ kind: 'text', text: text.slice(from), at: from });
  return pieces;
}

/** Where the token that begins at `from` is closed; if quotes do not match, the next `}}` it is, and the parser will say what is wrong. */
function closeOf(text: string, from: number): number | undefined {
  let depth = 0;
  for (let at = from; at < text.length; at += 1) {
    const char = text[at] as string;
    if (char === '"' || char === "'") at = endOfText(text, at, char);
    // No expression has "{{" in it: what follows is the next token, and this one is broken. Also keeps hostile texts linear.
    else if (char === '{' && text[at + 1] === '{') break;
    else if (char === '{') depth += 1;
    else if (char === '}' && depth > 0) depth -= 1;
    else if (char === '}' && text[at + 1] === '}') return at;
  }
  const next = text.indexOf('}}', from);
  return next === -1 ? undefined : next;
}

export interface TextParts {
  readonly parts: readonly (string | Expr)[];
  /** For each part, where it begins in the whole text. */
  readonly offsets: readonly number[];
  readonly faults: readonly ExpressionFault[];
}

/** The parts of a text, in order; every token that does not parse is a fault, its `at` counted in the whole text. */
export function parseTextParts(text: string, options: ParseOptions): TextParts {
  const faults: ExpressionFault[] = [];
  const parts: (string | Expr)[] = [];
  const offsets: number[] = [];
  const add = (part: string | Expr, at: number): void => {
    parts.push(part);
    offsets.push(at);
  };
  for (const piece of splitTokens(text)) {
    if (piece.kind === 'text') add(piece.text, piece.at);
    else if (!piece.isClosed) faults.push({ message: 'A token opened with {{ is never closed with }}', at: piece.at - 2 });
    else {
      const result = parseExpression(piece.source, options);
      if ('expr' in result) add(result.expr, piece.at);
      else faults.push({ ...result.fault, at: result.fault.at + piece.at });
    }
  }
  return { parts, offsets, faults };
}

/** A text as a template: without tokens a literal; one lone token (nothing around it, not even a space) keeps its type. */
export function textTemplate(parts: readonly (string | Expr)[]): Template {
  const [first, ...others] = parts;
  if (first === undefined) return { k: 'lit', v: '' };
  if (others.length > 0) return { k: 'text', parts };
  return typeof first === 'string' ? { k: 'lit', v: first } : { k: 'expr', e: first };
}

/** The source of a condition, which may stand in one `{{ }}`; `at` is where it begins in the text. */
export function unwrapCondition(text: string): { readonly source: string; readonly at: number } {
  const pieces = splitTokens(text).filter((piece) => piece.kind === 'token' || piece.text.trim() !== '');
  const [only] = pieces;
  return pieces.length === 1 && only?.kind === 'token' && only.isClosed ? { source: only.source, at: only.at } : { source: text, at: 0 };
}
