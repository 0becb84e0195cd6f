/** Faults of a tool call as a model and `POST /api/tools/call` are told of them. Pure. */
import { nearest } from '../../definition/nearest.js';
import type { Json } from '../../definition/value.js';
import { AppError } from '../../errors.js';
import { type FaultDetails, StepFault } from '../step-fault.js';

export interface ToolError {
  readonly code: string;
  readonly message: string;
  /** What to do about it. */
  readonly hint: string;
  readonly details?: FaultDetails;
}

const HINTS: { readonly [code: string]: string } = {
  tool_unknown: 'List the tools and call one by its full id, provider:action.',
  tool_denied: 'Do it another way, or say in your answer what you could not do.',
  approval_required: 'A person has to approve this call.',
  summary_required: 'Send the call again with a one-line `summary` of what it does.',
  http_blocked: 'The address is not reachable from here. An operator may allow it.',
  bash_disabled: 'Commands cannot be run in this deployment.',
  secret_not_found: 'The owner has to store this secret first.',
};

export const toolError = (
  code: string,
  message: string,
  options: { readonly hint?: string; readonly details?: FaultDetails } = {},
): ToolError => ({
  code,
  message,
  hint: options.hint ?? HINTS[code] ?? 'Correct the call by what the message says, or go on without it.',
  ...(options.details === undefined ? {} : { details: options.details }),
});

/** What a tool threw, in its own words; anything that is no fault with a code is `tool_failed`. */
export function toToolError(toolId: string, thrown: unknown): ToolError {
  if (thrown instanceof StepFault) {
    const { details, retryable } = thrown;
    return toolError(thrown.code, thrown.message, {
      ...(details === undefined ? {} : { details }),
      ...(retryable ? { hint: 'It may work later: try once more, or go on without it.' } : {}),
    });
  }
  if (thrown instanceof AppError)
    return toolError(thrown.code, thrown.message, { details: thrown.data as { readonly [key: string]: Json } });
  return toolError('tool_failed', `${toolId} failed: ${thrown instanceof Error ? thrown.message : String(thrown)}`);
}

/** With the nearest of the ids that may be named. */
export function unknownTool(toolId: string, ids: readonly string[], providers: readonly string[]): ToolError {
  const [provider = ''] = toolId.split(':');
  const near = [nearest(toolId, ids), ...ids.filter((id) => id.startsWith(`${provider}:`))].filter((id) => id !== undefined);
  const names = [...new Set(near)].slice(0, 5);
  const hint = names.length > 0 ? `Did you mean ${names.join(', ')}?` : `Providers: ${providers.join(', ')}. List the tools.`;
  return toolError('tool_unknown', `There is no tool ${toolId.slice(0, 200)}`, { hint });
}
