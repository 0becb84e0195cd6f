/** Sessions and messages as api.md shows them. Pure. */
import type { Json } from '../definition/value.js';
import type { MessageRecord } from '../store/messages.js';
import type { SessionRecord } from '../store/sessions.js';
import type { TurnHead } from '../store/turn-record.js';

export type WireSession = ReturnType<typeof toWireSession>;

export const toWireSession = ({ ownerId: _owner, ...session }: SessionRecord) => session;

export type WirePart = { readonly type: 'text' | 'tool-call' | 'error' | 'finish' } & { readonly [field: string]: Json };

export interface WireMessage extends Omit<MessageRecord, 'turn' | 'parts'> {
  readonly parts: readonly WirePart[];
  readonly turn: TurnHead | null;
}

/** Back-pointers are there when it is of a step, and null when it is not. Parts were checked where they were read. */
export const toWireMessage = (message: MessageRecord): WireMessage => ({
  ...message,
  parts: message.parts as readonly WirePart[],
  turn: message.turn as unknown as TurnHead | null,
});
