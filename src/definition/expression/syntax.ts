/** From text to acorn's tree. Not for the workflow. */
import { type Expression, Parser, tokTypes } from 'acorn';
import { ParseFault } from './parse-fault.js';

export const MAX_SOURCE = 4_000;
export const MAX_NESTING = 64;

/** What this file uses of acorn's tokenizer beyond its published types. */
interface Tokenizer {
  readonly input: string;
  pos: number;
  readonly end: number;
  readonly type: unknown;
  nextToken(): void;
  parseExpression(): Expression;
  finishToken(type: unknown, value?: unknown): void;
  readToken_dot(): void;
  readNumber(startsWithDot: boolean): void;
  unexpected(): never;
}

const base = Parser.prototype as unknown as Tokenizer;

/** Reads one whole expression. `list.0` is a path: after a name or bracket a dot with a digit is a dot, and the digits are a name. */
class ExpressionParser extends Parser {
  static parseWhole(source: string): Expression {
    const parser = new ExpressionParser({ ecmaVersion: 2025, sourceType: 'module' }, source) as unknown as Tokenizer;
    parser.nextToken();
    const expression = parser.parseExpression();
    if (parser.type !== tokTypes.eof) parser.unexpected();
    return expression;
  }

  readToken_dot(this: Tokenizer): void {
    const endsOperand = this.type === tokTypes.name || this.type === tokTypes.bracketR || this.type === tokTypes.parenR;
    if (!endsOperand || this.end !== this.pos || !isDigit(this.input, this.pos + 1)) return base.readToken_dot.call(this);
    this.pos += 1;
    return this.finishToken(tokTypes.dot);
  }

  readNumber(this: Tokenizer, startsWithDot: boolean): void {
    if (this.type !== tokTypes.dot) return base.readNumber.call(this, startsWithDot);
    const start = this.pos;
    while (isDigit(this.input, this.pos)) this.pos += 1;
    if (/[\w$]/.test(this.input[this.pos] ?? '')) throw new ParseFault('A name may not begin with a digit', start);
    return this.finishToken(tokTypes.name, this.input.slice(start, this.pos));
  }

  raise(pos: number, message: string): never {
    throw new ParseFault(pos >= (this as unknown as Tokenizer).input.trimEnd().length ? 'The expression ends too early' : message, pos);
  }

  raiseRecoverable(pos: number, message: string): never {
    return this.raise(pos, message);
  }
}

const isDigit = (text: string, at: number): boolean => {
  const unit = text.charCodeAt(at);
  return unit >= 48 && unit <= 57;
};

/** @throws ParseFault */
export function parseSyntax(source: string): Expression {
  if (source.trim() === '') throw new ParseFault('The expression is empty', 0);
  if (source.length > MAX_SOURCE)
    throw new ParseFault(`The expression has ${source.length} characters; at most ${MAX_SOURCE} are allowed`, MAX_SOURCE);
  refuseDeepBrackets(source);
  try {
    return ExpressionParser.parseWhole(source);
  } catch (error) {
    if (error instanceof ParseFault) throw error;
    // acorn recurses once per prefix operator and link of a chain; what does not fit on the stack is no expression for us either.
    if (error instanceof RangeError || error instanceof SyntaxError) throw tooDeep(0);
    throw error;
  }
}

export const tooDeep = (at: number): ParseFault => new ParseFault(`The expression is nested deeper than ${MAX_NESTING} levels`, at);

/** Counts brackets before the parser recurses into them. */
function refuseDeepBrackets(source: string): void {
  let depth = 0;
  for (let at = 0; at < source.length; at += 1) {
    const char = source[at] as string;
    if (char === '"' || char === "'") at = endOfText(source, at, char);
    else if ('([{'.includes(char)) depth += 1;
    else if (')]}'.includes(char)) depth -= 1;
    if (depth > MAX_NESTING) throw tooDeep(at);
  }
}

/** Where a quoted text ends: at its closing quote, or at the end of the source. */
export function endOfText(source: string, start: number, quote: string): number {
  let at = start + 1;
  while (at < source.length && source[at] !== quote) at += source[at] === '\\' ? 2 : 1;
  return at;
}
