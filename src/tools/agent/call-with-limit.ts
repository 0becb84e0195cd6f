import type { Json } from '../../definition/value.js';
import { StepFault } from '../step-fault.js';
import type { Tool, ToolCall } from '../tool.js';

/** A tool that keeps its own limit, as http:request does, tells it in its own words. */
const LIMIT_SLACK_MS = 1_000;
/** Within the 2 s that cancelling may take. */
const GRACE_MS = 1_500;

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

/** Some time after the abort: a tool that heeds its signal ends by itself before, and what it has started with it. */
function rejectedBy(signal: AbortSignal): Promise<never> {
  return new Promise((_, reject) => {
    const giveUp = (): void => void setTimeout(() => reject(signal.reason as Error), GRACE_MS).unref();
    if (signal.aborted) giveUp();
    else signal.addEventListener('abort', giveUp, { once: true });
  });
}
