/** The README as its reader uses it: what stands in its fenced blocks. */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';

export const ROOT = join(__dirname, '..', '..');

/** The section under a heading of the second level, without the heading. @throws when there is none */
export function sectionOf(markdown: string, heading: string): string {
  const from = markdown.indexOf(`\n## ${heading}\n`);
  if (from < 0) throw new Error(`the README has no section "${heading}"`);
  const to = markdown.indexOf('\n## ', from + 1);
  return markdown.slice(from, to < 0 ? undefined : to);
}

/** The contents of the fenced blocks of a language, in order. */
export function blocksOf(markdown: string, language: string): readonly string[] {
  return [...markdown.matchAll(new RegExp(`^\`\`\`${language}\n([\\s\\S]*?)^\`\`\`$`, 'gm'))].map((match) => match[1] ?? '');
}

export const readDocument = (path: string): string => readFileSync(join(ROOT, path), 'utf8');
