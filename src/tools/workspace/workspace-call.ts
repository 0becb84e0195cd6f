import { StepFault } from '../step-fault.js';
import type { ToolCall } from '../tool.js';

/**
 * Whose workspace a call works in: the run's, or the conversation's.
 * @param place what this process has of workspaces; undefined where there are none
 * @throws StepFault `tool_failed` for a call that belongs to no run, or that came to a process without workspaces
 */
export function workspaceIdOf<P>(
  toolId: string,
  place: P | undefined,
  call: ToolCall,
): { readonly workspaceId: string; readonly place: P } {
  const workspaceId = call.executionId ?? call.sessionId;
  if (workspaceId === null)
    throw new StepFault('tool_failed', `${toolId} works in the workspace of a run: call it from a step or an agent, not directly`);
  if (place === undefined) throw new StepFault('tool_failed', `${toolId} can only be called where the run’s workspace is`);
  return { workspaceId, place };
}
