import type { AgentPromptPlan } from '../../definition/runtime.js';
import { order, stepCall } from '../calls.js';
import type { StepHandler } from '../step-handler.js';
import { inputSources } from '../step-input.js';
import { ANSWERED_ONCE } from './leaf-activity.js';

/** One model turn with a text reply. The loop of turns and tool calls will be frames of this step. */
export const agentPromptStep: StepHandler<AgentPromptPlan> = {
  begin: (at) => {
    const { step } = at;
    at.frame.started = true;
    const timeoutMs = Math.min(step.timeoutMs ?? step.awaitTimeoutMs, step.awaitTimeoutMs);
    return order(at, { name: 'agent_turn', turn: 1, ...stepCall(at, inputSources(step), timeoutMs) }, 'turn1');
  },
  ...ANSWERED_ONCE,
};
