/** What events, rows and messages say of a turn. Pure. */
import type { LogFrame } from './event-hub.js';
import type { TurnState } from './live-turns.js';

/** As much of a Message (api.md) as tells a turn. */
export interface TurnMessage {
  readonly parts: readonly { readonly type: string; readonly text?: unknown }[];
  readonly turn?: unknown;
  /** The place in the session's log of the event that told of it first. */
  readonly seq?: number;
}

/** The turn of a message; undefined when it is of no turn. */
export function turnOfMessage({ parts, turn }: TurnMessage): TurnState | undefined {
  if (typeof turn !== 'object' || turn === null) return undefined;
  const { id, status, attempt } = turn as { readonly id?: unknown; readonly status?: unknown; readonly attempt?: unknown };
  if (typeof id !== 'string') return undefined;
  return { turnId: id, attempt: typeof attempt === 'number' ? attempt : 1, isOpen: status === 'streaming', texts: textsOf(parts) };
}

/** Text parts by their index. */
export function textsOf(parts: TurnMessage['parts']): Map<number, string> {
  const texts = new Map<number, string>();
  parts.forEach((part, index) => {
    if (part.type === 'text' && typeof part.text === 'string') texts.set(index, part.text);
  });
  return texts;
}

/** The turn that an event of a session's stream is about. */
export function turnOfEvent(frame: LogFrame): TurnState | undefined {
  const message = messageOfEvent(frame);
  return message === undefined ? undefined : turnOfMessage(message);
}

/** The message that an event is about, as it was then. */
function messageOfEvent(frame: LogFrame): TurnMessage | undefined {
  if (!frame.kind.startsWith('message.') && !frame.kind.startsWith('turn.')) return undefined;
  const { data } = JSON.parse(frame.json) as { readonly data: { readonly message?: TurnMessage } | null };
  return Array.isArray(data?.message?.parts) ? data.message : undefined;
}

/** The message with what has streamed beyond it. Parts that streaming has begun since are added. */
export function withTexts<M extends TurnMessage>(message: M, texts: ReadonlyMap<number, string> | undefined): M {
  if (texts === undefined) return message;
  const parts = message.parts.map((part, index) => {
    const text = texts.get(index);
    return part.type === 'text' && text !== undefined && text.length > textOf(part).length ? { ...part, text } : part;
  });
  const next = texts.get(parts.length);
  if (next !== undefined) parts.push({ type: 'text', text: next });
  const content = parts.map(textOf).join('');
  return { ...message, parts, ...('content' in message ? { content } : {}) };
}

const textOf = (part: TurnMessage['parts'][number]): string => (part.type === 'text' && typeof part.text === 'string' ? part.text : '');
