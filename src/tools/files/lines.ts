/** A stretch of lines that fits into an answer. Pure. */
const MAX_CHARACTERS = 24_000;

export interface LinePage {
  readonly content: string;
  readonly fromLine: number;
  /** The last line shown; below `fromLine` when there is none. */
  readonly toLine: number;
  readonly totalLines: number;
  /** Whether there are lines behind. */
  readonly more: boolean;
}

/** Lines from `offset` (1 is the first), `limit` at most, cut where the answer would become too large; a line alone above that is cut itself. */
export function pageOfLines(text: string, offset: number, limit: number): LinePage {
  const lines = text === '' ? [] : text.replace(/\n$/, '').split('\n');
  const shown: string[] = [];
  let characters = 0;
  for (const line of lines.slice(offset - 1, offset - 1 + limit)) {
    if (characters + line.length > MAX_CHARACTERS) {
      if (shown.length === 0) shown.push(`${line.slice(0, MAX_CHARACTERS)}… [line cut: ${line.length - MAX_CHARACTERS} more characters]`);
      break;
    }
    shown.push(line);
    characters += line.length + 1;
  }
  const toLine = offset - 1 + shown.length;
  return { content: shown.join('\n'), fromLine: offset, toLine, totalLines: lines.length, more: toLine < lines.length };
}
