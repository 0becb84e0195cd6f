/** Errors that the loop itself finds. */
import type { AgentPromptPlan } from '../../definition/runtime.js';
import { stepError } from '../faults.js';
import type { StepError } from '../types.js';
import type { AgentState } from './types.js';

export const failedAgent = (state: AgentState, error: StepError): AgentState => ({
  ...state,
  phase: 'over',
  end: { ended: 'failed', error },
});

export const maxTurnsError = (maxTurns: number): StepError =>
  stepError('agent_prompt_max_turns', `The model had not ended its work after ${maxTurns} turns`, { details: { maxTurns } });

export const misfitError = (problem: string, replies: number): StepError =>
  stepError('agent_prompt_structured_output_invalid', `None of ${replies} replies fits the output schema: ${problem}`, {
    details: { error: problem, attempts: replies },
  });

export const budgetError = (details: {
  readonly maxTokens: number;
  readonly usedTokens: number;
  readonly neededTokens: number;
}): StepError =>
  stepError('budget_exceeded', `The next model call may pass the budget of ${details.maxTokens} tokens: ${details.usedTokens} are used`, {
    details,
  });

/** How long an agent step may take, all of it; waiting for a person does not count. */
export const agentLimitMs = ({ timeoutMs, awaitTimeoutMs }: Pick<AgentPromptPlan, 'timeoutMs' | 'awaitTimeoutMs'>): number =>
  Math.min(timeoutMs ?? awaitTimeoutMs, awaitTimeoutMs);

/** Not to be tried again: the time is that of the whole step. */
export const agentTimeoutError = (timeoutMs: number): StepError =>
  stepError('agent_prompt_timeout', `The agent had no answer within ${timeoutMs} ms`, { details: { timeoutMs } });
