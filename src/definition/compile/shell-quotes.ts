import { splitTokens } from '../template/parse-template.js';

/** The tokens of a shell text that stand inside quotes, as columns from 1. Each token is one quoted word already: quotes around it would take its own away. */
export function quotedTokens(command: string): number[] {
  const columns: number[] = [];
  let quote = '';
  for (const piece of splitTokens(command)) {
    if (piece.kind === 'text') quote = quoteAfter(piece.text, quote);
    else if (quote !== '') columns.push(piece.at - 1);
  }
  return columns;
}

function quoteAfter(text: string, before: string): string {
  let quote = before;
  for (let at = 0; at < text.length; at += 1) {
    const char = text[at] as string;
    if (char === '\\' && quote !== "'") at += 1;
    else if (quote !== '') quote = char === quote ? '' : quote;
    else if (char === '"' || char === "'") quote = char;
    else if (char === '#' && (at === 0 || /[\s;&|(]/.test(text[at - 1] as string))) at = endOfLine(text, at);
  }
  return quote;
}

const endOfLine = (text: string, from: number): number => {
  const end = text.indexOf('\n', from);
  return end === -1 ? text.length : end;
};
