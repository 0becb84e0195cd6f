/** The step types by name. A new one does not compile until it is here. */
import type { PlanStep, StepType } from '../definition/runtime.js';
import type { At } from './run.js';
import type { StepHandler } from './step-handler.js';
import { agentPromptStep } from './steps/agent-prompt-step.js';
import { approvalStep } from './steps/approval-step.js';
import { bashStep } from './steps/bash-step.js';
import { conditionalStep } from './steps/conditional-step.js';
import { loopStep } from './steps/loop-step.js';
import { notifyStep } from './steps/notify-step.js';
import { parallelStep } from './steps/parallel-step.js';
import { setStep } from './steps/set-step.js';
import { stopStep } from './steps/stop-step.js';
import { subworkflowStep } from './steps/subworkflow-step.js';
import { switchStep } from './steps/switch-step.js';
import { toolStep } from './steps/tool-step.js';
import { tryStep } from './steps/try-step.js';
import { waitForEventStep } from './steps/wait-for-event-step.js';
import { waitStep } from './steps/wait-step.js';

const HANDLERS: { readonly [T in StepType]: StepHandler<Extract<PlanStep, { type: T }>> } = {
  agent_prompt: agentPromptStep,
  tool: toolStep,
  bash: bashStep,
  notify: notifyStep,
  approval: approvalStep,
  conditional: conditionalStep,
  switch: switchStep,
  loop: loopStep,
  parallel: parallelStep,
  try: tryStep,
  set: setStep,
  wait: waitStep,
  wait_for_event: waitForEventStep,
  subworkflow: subworkflowStep,
  stop: stopStep,
};

/** The handler of a step in its widest type: the table guarantees that it gets steps of its own type only. */
export const handlerOf = ({ step }: At): StepHandler<PlanStep> => HANDLERS[step.type];
