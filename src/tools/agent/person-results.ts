/** What the model reads when a call was not made. Pure. */
import type { ToolResult } from './agent-tools.js';
import { toolError } from './tool-error.js';

/** A person denied a held call, or nobody decided in time. */
export function deniedResult(
  toolId: string,
  how: 'denied' | 'expired' | 'cancelled',
  by: readonly string[],
  reason: string | null,
): ToolResult {
  const who = by.length === 0 ? 'A person' : by.join(', ');
  const messages = {
    denied: `${who} denied this call of ${toolId}${reason === null ? '' : `: ${reason}`}`,
    expired: `Nobody approved this call of ${toolId} in time`,
    cancelled: `The approval of this call of ${toolId} was withdrawn`,
  } as const;
  return {
    ok: false,
    error: toolError('tool_denied', messages[how], {
      hint: 'Do not ask for the same call again. Go on without it, or say what you could not do.',
    }),
  };
}

/** A crash cut the call off, and the tool may not be called again. */
export const outcomeUnknown = (toolId: string): ToolResult => ({
  ok: false,
  error: toolError('outcome_unknown', `The call of ${toolId} was cut off after it had started; whether it took effect is not known`, {
    hint: 'Look whether it took effect before you do it again.',
  }),
});
