/** Text for Slack: what users and models wrote must neither address nor link anybody, and must fit. Pure. */

const ENTITIES: Readonly<Record<string, string>> = { '&': '&amp;', '<': '&lt;', '>': '&gt;' };

/** Escaped for mrkdwn and at most `limit` characters long, cut between characters with a mark. */
export function escaped(text: string, limit: number): string {
  let result = '';
  for (const character of text) {
    const piece = ENTITIES[character] ?? character;
    if (result.length + piece.length > limit) return withMark(result, limit);
    result += piece;
  }
  return result;
}

/** For places that take plain text: nothing to escape, the same cut. */
export function cut(text: string, limit: number): string {
  if (text.length <= limit) return text;
  let result = '';
  for (const character of text) {
    if (result.length + character.length > limit - 1) break;
    result += character;
  }
  return `${result}…`;
}

/** The same cut for what is escaped already. */
export const shortened = (mrkdwn: string, limit: number): string =>
  mrkdwn.length <= limit ? mrkdwn : withMark(mrkdwn.slice(0, limit), limit);

/** Makes room for the mark without leaving half an entity or half a character. */
function withMark(text: string, limit: number): string {
  let result = text;
  // What was cut off within an escape goes as a whole.
  result = result.replace(/&[a-z]{0,3}$/u, '');
  while (result.length > limit - 1) result = result.replace(/(?:&(?:amp|lt|gt);|[\s\S])$/u, '');
  return `${result}…`;
}

/** An instant in the reader's own zone; for readers without it in UTC. */
export function dateOf(iso: string): string {
  return `<!date^${Math.floor(Date.parse(iso) / 1000)}^{date_short_pretty} {time}|${iso.slice(0, 16).replace('T', ' ')} UTC>`;
}
