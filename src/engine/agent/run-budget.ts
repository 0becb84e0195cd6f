/** What a run's agents may still use: of the run's budget, and of the step's own. Reservations add up over branches. */
import type { AgentPromptPlan } from '../../definition/runtime.js';
import { type At, type Run, wake } from '../run.js';
import type { TokenUsage } from '../types.js';
import { countedTokens } from './budget.js';
import type { AgentBudget } from './types.js';

type AgentAt = At<AgentPromptPlan>;

/** What is left for the step's next call. */
export function budgetAt(at: AgentAt): AgentBudget {
  const { used, reserved } = tokensOf(at.run);
  const ofRun = at.run.plan.constraints.maxTokens;
  const runLeft = ofRun === undefined ? null : ofRun - used - reserved;
  const stepLeft = at.step.maxTokens === undefined ? null : at.step.maxTokens - (at.frame.budget?.tokens ?? 0);
  if (runLeft === null || (stepLeft !== null && stepLeft <= runLeft)) return { left: stepLeft, mayGrow: false };
  return { left: runLeft, mayGrow: reserved > 0 };
}

/** The budget that a refused call would have passed. */
export function tightestBudget(at: AgentAt): { readonly maxTokens: number; readonly usedTokens: number } {
  const { used } = tokensOf(at.run);
  const { maxTokens: ofStep } = at.step;
  const ofRun = at.run.plan.constraints.maxTokens;
  const tokens = at.frame.budget?.tokens ?? 0;
  if (ofRun === undefined || (ofStep !== undefined && ofStep - tokens <= ofRun - used))
    return { maxTokens: ofStep ?? 0, usedTokens: tokens };
  return { maxTokens: ofRun, usedTokens: used };
}

const tokensOf = ({ state }: Run) => (state.tokens ??= { used: 0, reserved: 0 });

export function reserveTokens(run: Run, reserved: number): void {
  tokensOf(run).reserved += reserved;
}

/** A call's reservation becomes what it has used; whoever waits for tokens looks again. @returns what counts of the usage */
export function releaseTokens(run: Run, reserved: number, usage?: TokenUsage): number {
  const tokens = tokensOf(run);
  const counted = usage === undefined ? 0 : countedTokens(usage);
  tokens.reserved -= reserved;
  tokens.used += counted;
  for (const fiber of Object.values(run.state.fibers)) {
    const top = fiber.frames.at(-1);
    if (top?.k === 'step' && top.phase === 'run' && top.data?.type === 'agent' && top.data.waitsForBudget) wake(run, fiber);
  }
  return counted;
}
