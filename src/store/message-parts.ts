/** Parts of messages (design §5): `text`, `tool-call`, `error`, `finish`. Checked where they are stored and where they are read. Pure. */
import type { Json } from '../definition/value.js';

export type MessagePart = { readonly type: string } & { readonly [field: string]: Json };

const STATUSES: ReadonlySet<unknown> = new Set(['pending', 'running', 'completed', 'error']);

/** The parts of a stored list; what has no shape of a part is left out, and what is no list has none. */
export function readParts(json: unknown): readonly MessagePart[] {
  return Array.isArray(json) ? json.filter(isPart) : [];
}

function isPart(part: unknown): part is MessagePart {
  if (typeof part !== 'object' || part === null) return false;
  const fields = part as { readonly [field: string]: unknown };
  switch (fields['type']) {
    case 'text':
      return isText(fields['text']);
    case 'tool-call':
      return isText(fields['callId']) && isText(fields['toolName']) && STATUSES.has(fields['status']);
    case 'error':
      return isText(fields['code']) && isText(fields['message']);
    case 'finish':
      return isText(fields['reason']);
    default:
      return false;
  }
}

const isText = (value: unknown): value is string => typeof value === 'string';
