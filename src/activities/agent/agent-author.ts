import type { AgentPromptPlan } from '../../definition/plan.js';

/** Whose turns an agent step's are: the step's name in the chat. */
export const authorOf = ({ name, id }: AgentPromptPlan): string => name ?? id;
