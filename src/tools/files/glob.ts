/** `*`, `?`, `**` and `{a,b}` over paths with `/`, matched in linear time. Pure. */
import { RE2JS } from 're2js';
import { StepFault } from '../step-fault.js';

const MAX_GLOB = 300;

/** A pattern without `/` is matched against the last part of a path. @throws StepFault `tool_failed` */
export function parseGlob(glob: string): (relative: string) => boolean {
  if (glob.length > MAX_GLOB) throw new StepFault('tool_failed', `A glob has at most ${MAX_GLOB} characters`);
  const anywhere = !glob.includes('/');
  const compiled = RE2JS.compile(toPattern(glob));
  return (relative) => compiled.matches(anywhere ? relative.slice(relative.lastIndexOf('/') + 1) : relative);
}

const TOKENS = /\*\*\/|\*\*|\*|\?|\{[^{}/]*\}|[^*?{]+|\{/g;

function toPattern(glob: string): string {
  return (glob.match(TOKENS) ?? []).map(partOf).join('');
}

function partOf(token: string): string {
  if (token === '**/') return '(?:[^/]+/)*';
  if (token === '**') return '.*';
  if (token === '*') return '[^/]*';
  if (token === '?') return '[^/]';
  if (token.startsWith('{') && token.endsWith('}')) return `(?:${token.slice(1, -1).split(',').map(escaped).join('|')})`;
  return escaped(token);
}

const escaped = (text: string): string => text.replaceAll(/[\\^$.*+?()[\]{}|]/g, '\\$&');
