/** The door of the agent loop: for the step `agent_prompt` and for conversations. */
export { beginAgent, dropCall, goOnAgent, heldCalls, leavesItToPeople, takeAgent, waitsForPerson } from './agent-loop.js';
export { agentLimitMs, budgetError, failedAgent } from './agent-errors.js';
export type * from './types.js';
