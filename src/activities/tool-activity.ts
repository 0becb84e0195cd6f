import type { ToolPlan } from '../definition/plan.js';
import type { StepAnswer } from '../engine/types.js';
import { StepFault } from '../tools/step-fault.js';
import type { ToolRegistry } from '../tools/registry.js';
import { recordStep, stepTimeout, type RecordingParts, type StepWork } from './record-step.js';
import type { StepCallInput } from './step-call.js';

/** Calls the step's tool; by the tool's own limit, when the step has none that is shorter. */
export function createToolActivity(parts: RecordingParts, tools: ToolRegistry): (input: StepCallInput) => Promise<StepAnswer> {
  return (input) => recordStep(parts, input, toolWork(tools, input));
}

/** The work of any tool step of a run. */
export function toolWork(
  tools: ToolRegistry,
  { ownerId, executionId, sessionId }: Pick<StepCallInput, 'ownerId' | 'executionId' | 'sessionId'>,
): StepWork<ToolPlan> {
  return {
    type: 'tool',
    mayRepeat: ({ tool, onCrash }) => (onCrash === undefined ? tools.get(tool)?.repeats !== 'no' : onCrash === 'repeat'),
    timeoutFault: stepTimeout,
    async run({ step, input, signal, redact, idempotencyKey }) {
      const tool = tools.get(step.tool);
      if (tool === undefined)
        throw new StepFault('tool_unknown', `There is no tool ${step.tool}`, { details: { tool: step.tool, known: tools.ids() } });
      const prepared = tool.prepare(input['arguments'] ?? {});
      const own = AbortSignal.timeout(prepared.limitMs + LIMIT_SLACK_MS);
      const bounded = AbortSignal.any([signal, own]);
      try {
        return { output: await prepared.run({ idempotencyKey, signal: bounded, ownerId, executionId, sessionId, redact }) };
      } catch (error) {
        if (own.aborted && !signal.aborted)
          throw new StepFault('tool_failed', `${step.tool} did not end within its ${prepared.limitMs} ms`, {
            retryable: true,
            details: { tool: step.tool },
          });
        if (error instanceof StepFault || signal.aborted) throw error;
        throw new StepFault('tool_failed', `${step.tool} failed: ${error instanceof Error ? error.message : String(error)}`, {
          details: { tool: step.tool },
          cause: error,
        });
      }
    },
  };
}

/** A tool that keeps its own limit, as http:request does, tells it in its own words. */
const LIMIT_SLACK_MS = 1_000;
