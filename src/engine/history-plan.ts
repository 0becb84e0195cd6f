/**
 * A plan as Temporal's history keeps it: prompts of agents without their texts. The engine needs to know what a prompt reads, so its
 * expressions stay; what it says is for the activity that fills it, which reads the whole plan by its hash. Pure.
 */
import type { Block, Plan, PlanStep, Template } from '../definition/runtime.js';

export const historyPlan = (plan: Plan): Plan => ({ ...plan, steps: told(plan.steps) });

const told = (steps: Block): Block => steps.map(toldStep);

function toldStep(step: PlanStep): PlanStep {
  switch (step.type) {
    case 'agent_prompt':
      return { ...step, prompt: withoutTexts(step.prompt) };
    case 'conditional':
      return { ...step, then: told(step.then), ...(step.else === undefined ? {} : { else: told(step.else) }) };
    case 'switch':
      return {
        ...step,
        cases: step.cases.map((one) => ({ ...one, steps: told(one.steps) })),
        ...(step.default === undefined ? {} : { default: told(step.default) }),
      };
    case 'loop':
      return { ...step, steps: told(step.steps) };
    case 'parallel':
      return { ...step, branches: step.branches.map((branch) => ({ ...branch, steps: told(branch.steps) })) };
    case 'try':
      return {
        ...step,
        steps: told(step.steps),
        catch: step.catch.map((one) => ({ ...one, steps: told(one.steps) })),
        ...(step.finally === undefined ? {} : { finally: told(step.finally) }),
      };
    case 'tool':
    case 'bash':
    case 'notify':
    case 'approval':
    case 'set':
    case 'wait':
    case 'wait_for_event':
    case 'subworkflow':
    case 'stop':
      return step;
  }
}

function withoutTexts(template: Template): Template {
  switch (template.k) {
    case 'lit':
      return { k: 'lit', v: '' };
    case 'expr':
      return template;
    case 'text':
      return { k: 'text', parts: template.parts.map((part) => (typeof part === 'string' ? '' : part)) };
    case 'list':
      return { k: 'list', items: template.items.map(withoutTexts) };
    case 'object':
      return { k: 'object', entries: template.entries.map(([key, entry]) => [key, withoutTexts(entry)] as const) };
  }
}
