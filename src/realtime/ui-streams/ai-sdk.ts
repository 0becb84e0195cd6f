/** A run as a UI message stream of the AI SDK (version 5 on): one assistant message, its text and tool parts, the rest as data parts. Pure. */
import type { Json } from '../../definition/value.js';
import type { RunOutcome, Told } from './narration.js';
import type { UiFormat } from './ui-format.js';

type Chunk = { readonly type: string; readonly [field: string]: Json };

/** https://ai-sdk.dev/docs/ai-sdk-ui/stream-protocol */
export const aiSdkFormat = (executionId: string): UiFormat => ({
  headers: { 'x-vercel-ai-ui-message-stream': 'v1' },
  end: 'data: [DONE]\n\n',
  encode: (told) =>
    toChunks(executionId, told)
      .map((chunk) => `data: ${JSON.stringify(chunk)}\n\n`)
      .join(''),
});

/** Every call is of a dynamic tool: the reader's own tool types do not know it. */
export function toChunks(executionId: string, told: Told): Chunk[] {
  switch (told.tell) {
    case 'run-begins':
      return [{ type: 'start', messageId: executionId }, { type: 'start-step' }];
    case 'text-begins':
      return [{ type: 'text-start', id: told.id }];
    case 'text':
      return [{ type: 'text-delta', id: told.id, delta: told.text }];
    case 'text-ends':
      return [{ type: 'text-end', id: told.id }];
    case 'call':
      return [{ type: 'tool-input-available', toolCallId: told.callId, toolName: told.toolName, input: told.args, dynamic: true }];
    case 'call-result':
      return [{ type: 'tool-output-available', toolCallId: told.callId, output: told.result, dynamic: true }];
    case 'call-error':
      return [{ type: 'tool-output-error', toolCallId: told.callId, errorText: told.message, dynamic: true }];
    case 'state':
      return [{ type: `data-${told.name}`, id: told.id, data: told.value }];
    case 'run-ends':
      return [{ type: 'finish-step' }, ...endChunks(told.outcome)];
  }
}

function endChunks(outcome: RunOutcome): Chunk[] {
  switch (outcome.status) {
    case 'completed':
      return [{ type: 'data-output', data: outcome.output }, { type: 'finish' }];
    case 'failed':
      return [{ type: 'error', errorText: `${outcome.code}: ${outcome.message}` }, { type: 'finish' }];
    case 'cancelled':
      return [outcome.reason === null ? { type: 'abort' } : { type: 'abort', reason: outcome.reason }];
  }
}
