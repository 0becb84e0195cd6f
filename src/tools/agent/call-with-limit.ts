import type { Json } from '../../definition/value.js';
import { StepFault } from '../step-fault.js';
import type { Tool, ToolCall } from '../tool.js';

/** A tool that keeps its own limit, as http:request does, tells it in its own words. */
const LIMIT_SLACK_MS = 1_000;

/**
 * Calls a tool within its own time limit, also one that does not heed its signal.
 * @throws StepFault, `tool_failed` for whatever else it throws; the reason of `call.signal` when that aborts; AppErrors as they are
 */
export async function callWithLimit(tool: Tool, params: Json, call: ToolCall): Promise<Json> {
  const prepared = tool.prepare(params);
  const own = AbortSignal.timeout(prepared.limitMs + LIMIT_SLACK_MS);
  const signal = AbortSignal.any([call.signal, own]);
  try {
    return await Promise.race([prepared.run({ ...call, signal }), rejectedBy(signal)]);
  } catch (error) {
    if (call.signal.aborted || !own.aborted) throw error;
    throw new StepFault('tool_failed', `${tool.id} did not end within its ${prepared.limitMs} ms`, {
      retryable: true,
      details: { tool: tool.id },
    });
  }
}

function rejectedBy(signal: AbortSignal): Promise<never> {
  return new Promise((_, reject) => {
    if (signal.aborted) reject(signal.reason as Error);
    else signal.addEventListener('abort', () => reject(signal.reason as Error), { once: true });
  });
}
