import type { ToolPlan } from '../definition/plan.js';
import type { StepAnswer } from '../engine/types.js';
import { StepFault } from '../tools/step-fault.js';
import { callWithLimit } from '../tools/agent/call-with-limit.js';
import type { ToolRegistry } from '../tools/registry.js';
import { recordStep, stepTimeout, type RecordingParts, type StepWork } from './record-step.js';
import type { StepCallInput } from './step-call.js';
import { isPlatformFault } from './step-error.js';

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
    mayRepeat: ({ tool, onCrash }) => (onCrash === undefined ? repeats(tools, tool) : onCrash === 'repeat'),
    timeoutFault: stepTimeout,
    async run({ step, input, signal, redact, idempotencyKey }) {
      const tool = await tools.find(step.tool);
      if (tool === undefined)
        throw new StepFault('tool_unknown', `There is no tool ${step.tool}`, { details: { tool: step.tool, known: tools.ids() } });
      try {
        const call = { idempotencyKey, signal, ownerId, executionId, sessionId, redact };
        return { output: await callWithLimit(tool, input['arguments'] ?? {}, call) };
      } catch (error) {
        if (error instanceof StepFault || signal.aborted || isPlatformFault(error)) throw error;
        throw new StepFault('tool_failed', `${step.tool} failed: ${error instanceof Error ? error.message : String(error)}`, {
          details: { tool: step.tool },
          cause: error,
        });
      }
    },
  };
}

/** A tool that is not known here now may be anything: of a server that was not heard yet, or gone. */
const repeats = (tools: ToolRegistry, id: string): boolean => (tools.get(id)?.repeats ?? 'no') !== 'no';
