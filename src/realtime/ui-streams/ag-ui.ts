/** A run as events of AG-UI: a run of the session's thread, its text messages and tool calls, the rest as custom events. Pure. */
import type { Json } from '../../definition/value.js';
import type { RunOutcome, Told } from './narration.js';
import type { UiFormat } from './ui-format.js';

type AgUiEvent = { readonly type: string; readonly [field: string]: Json };
interface Run {
  readonly executionId: string;
  readonly sessionId: string;
}

/** https://docs.ag-ui.com/concepts/events */
export const agUiFormat = (run: Run): UiFormat => ({
  headers: {},
  end: '',
  encode: (told) =>
    toAgUiEvents(run, told)
      .map((event) => `data: ${JSON.stringify(event)}\n\n`)
      .join(''),
});

export function toAgUiEvents(run: Run, told: Told): AgUiEvent[] {
  const ids = { threadId: run.sessionId, runId: run.executionId };
  switch (told.tell) {
    case 'run-begins':
      return [{ type: 'RUN_STARTED', ...ids }];
    case 'text-begins':
      return [{ type: 'TEXT_MESSAGE_START', messageId: told.id, role: 'assistant' }];
    case 'text':
      return [{ type: 'TEXT_MESSAGE_CONTENT', messageId: told.id, delta: told.text }];
    case 'text-ends':
      return [{ type: 'TEXT_MESSAGE_END', messageId: told.id }];
    case 'call':
      return [
        { type: 'TOOL_CALL_START', toolCallId: told.callId, toolCallName: told.toolName },
        { type: 'TOOL_CALL_ARGS', toolCallId: told.callId, delta: JSON.stringify(told.args) },
        { type: 'TOOL_CALL_END', toolCallId: told.callId },
      ];
    case 'call-result':
      return [resultOf(told.callId, typeof told.result === 'string' ? told.result : JSON.stringify(told.result))];
    case 'call-error':
      return [resultOf(told.callId, JSON.stringify({ error: told.message }))];
    case 'state':
      return [{ type: 'CUSTOM', name: told.name, value: { id: told.id, ...(told.value as { readonly [field: string]: Json }) } }];
    case 'run-ends':
      return [endOf(ids, told.outcome)];
  }
}

const resultOf = (callId: string, content: string): AgUiEvent => ({
  type: 'TOOL_CALL_RESULT',
  messageId: `${callId}:result`,
  toolCallId: callId,
  content,
  role: 'tool',
});

function endOf(ids: { readonly threadId: string; readonly runId: string }, outcome: RunOutcome): AgUiEvent {
  switch (outcome.status) {
    case 'completed':
      return { type: 'RUN_FINISHED', ...ids, ...resultOfRun(outcome.output), outcome: { type: 'success' } };
    case 'failed':
      return { type: 'RUN_ERROR', message: outcome.message, code: outcome.code };
    case 'cancelled':
      return { type: 'RUN_FINISHED', ...ids, ...resultOfRun(outcome.reason), outcome: { type: 'cancelled' } };
  }
}

/** The schema of AG-UI takes any result but null. */
const resultOfRun = (result: Json): { readonly result?: Json } => (result === null ? {} : { result });
