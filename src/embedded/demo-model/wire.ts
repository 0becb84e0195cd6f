/** A reply in the shapes of the messages protocol: as one JSON, or as server-sent events in the real order. Pure. */

export interface WireReply {
  readonly id: string;
  readonly model: string;
  /** Streamed in these pieces; one text block. */
  readonly chunks: readonly string[];
  readonly toolCalls?: readonly { readonly id: string; readonly name: string; readonly input: unknown }[];
  readonly stopReason: string;
  readonly inputTokens: number;
  readonly outputTokens: number;
}
export interface WireEvent {
  readonly event: string;
  readonly data: { readonly type: string; readonly [key: string]: unknown };
}

type ContentBlock =
  | { readonly type: 'text'; readonly text: string; readonly citations: null }
  | {
      readonly type: 'tool_use';
      readonly id: string;
      readonly name: string;
      readonly input: unknown;
      readonly caller: { readonly type: 'direct' };
    };

export function toMessage(reply: WireReply): { readonly [key: string]: unknown } {
  return envelope(reply, blocksOf(reply), reply.stopReason, usageOf(reply, reply.outputTokens));
}

export function* toEvents(reply: WireReply): Generator<WireEvent> {
  yield event('message_start', { message: envelope(reply, [], null, usageOf(reply, 1)) });
  for (const [index, block] of blocksOf(reply).entries()) {
    yield event('content_block_start', { index, content_block: block.type === 'text' ? { ...block, text: '' } : { ...block, input: {} } });
    if (block.type === 'text')
      for (const text of reply.chunks) yield event('content_block_delta', { index, delta: { type: 'text_delta', text } });
    else yield event('content_block_delta', { index, delta: { type: 'input_json_delta', partial_json: JSON.stringify(block.input) } });
    yield event('content_block_stop', { index });
  }
  yield event('message_delta', {
    delta: { stop_reason: reply.stopReason, stop_sequence: null, stop_details: null, container: null },
    usage: usageOf(reply, reply.outputTokens),
  });
  yield event('message_stop', {});
}

/** One event as it stands on the wire. */
export const toFrame = ({ event, data }: WireEvent): string => `event: ${event}\ndata: ${JSON.stringify(data)}\n\n`;

/** The body of an error answer. */
export const toError = (type: string, message: string): { readonly [key: string]: unknown } => ({
  type: 'error',
  error: { type, message },
  request_id: null,
});

const event = (type: string, data: { readonly [key: string]: unknown }): WireEvent => ({ event: type, data: { type, ...data } });

function blocksOf(reply: WireReply): readonly ContentBlock[] {
  const text: ContentBlock[] = reply.chunks.length === 0 ? [] : [{ type: 'text', text: reply.chunks.join(''), citations: null }];
  return [...text, ...(reply.toolCalls ?? []).map((call): ContentBlock => ({ type: 'tool_use', ...call, caller: { type: 'direct' } }))];
}

function envelope(
  reply: WireReply,
  content: readonly ContentBlock[],
  stopReason: string | null,
  usage: unknown,
): { readonly [key: string]: unknown } {
  return {
    id: reply.id,
    type: 'message',
    role: 'assistant',
    model: reply.model,
    content,
    stop_reason: stopReason,
    stop_sequence: null,
    stop_details: null,
    container: null,
    diagnostics: null,
    usage,
  };
}

function usageOf(reply: WireReply, outputTokens: number): { readonly [key: string]: unknown } {
  return {
    input_tokens: reply.inputTokens,
    output_tokens: outputTokens,
    cache_creation_input_tokens: 0,
    cache_read_input_tokens: 0,
    cache_creation: null,
    output_tokens_details: null,
    server_tool_use: null,
    service_tier: 'standard',
    speed: null,
    inference_geo: null,
  };
}
