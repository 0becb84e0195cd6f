/** What goes to a model and comes back, in the words of its wire protocol: only what agents use of it. */
import type { Json, JsonObject } from '../../definition/value.js';

export type ModelBlock =
  | { readonly type: 'text'; readonly text: string }
  | { readonly type: 'tool_use'; readonly id: string; readonly name: string; readonly input: Json }
  | { readonly type: 'tool_result'; readonly tool_use_id: string; readonly content: string; readonly is_error?: true };

export interface ModelMessage {
  readonly role: 'user' | 'assistant';
  readonly content: readonly ModelBlock[];
}

export interface ModelRequest {
  readonly system: string;
  readonly tools: readonly { readonly name: string; readonly description: string; readonly input_schema: JsonObject }[];
  readonly messages: readonly ModelMessage[];
}

export const textMessage = (role: ModelMessage['role'], text: string): ModelMessage => ({ role, content: [{ type: 'text', text }] });

/** All that a model has to read, for estimates. Pure. */
export function charactersOf({ system, tools, messages }: ModelRequest): number {
  const blocks = messages.reduce((sum, { content }) => sum + content.reduce((length, block) => length + charactersOfBlock(block), 0), 0);
  return system.length + (tools.length === 0 ? 0 : JSON.stringify(tools).length) + blocks;
}

export function charactersOfBlock(block: ModelBlock): number {
  switch (block.type) {
    case 'text':
      return block.text.length;
    case 'tool_use':
      return block.name.length + JSON.stringify(block.input ?? null).length;
    case 'tool_result':
      return block.content.length;
  }
}

/** Neighbours of one role as one message; what is empty is left out, as the protocol refuses it. Pure. */
export function joinedMessages(messages: readonly ModelMessage[]): ModelMessage[] {
  const joined: { role: ModelMessage['role']; content: ModelBlock[] }[] = [];
  for (const { role, content } of messages) {
    const blocks = content.filter((block) => block.type !== 'text' || block.text.trim() !== '');
    const last = joined.at(-1);
    if (blocks.length === 0) continue;
    if (last?.role === role) last.content.push(...blocks);
    else joined.push({ role, content: [...blocks] });
  }
  return joined;
}
