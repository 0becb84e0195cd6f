/** The door of the agent loop: for the step `agent_prompt` and for conversations. */
export {
  beginAgent,
  dropCall,
  type Going,
  goOnAgent,
  heldCalls,
  HOLD_MS,
  modelOf,
  type Taken,
  takeAgent,
  waitsForPerson,
} from './agent-loop.js';
export { agentLimitMs, agentTimeoutError, budgetError, failedAgent } from './agent-errors.js';
export { countedTokens, MAX_REPLY_TOKENS, NO_USAGE, plusUsage } from './budget.js';
export type * from './types.js';
