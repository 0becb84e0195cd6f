/** From an expression's site back to the expression: what `evaluate` was asked for. Pure. */
import type { Expr, Plan, PlanStep, Template } from '../definition/runtime.js';
import { stepOf } from './plan-index.js';
import type { ExpressionSite } from './types.js';

/**
 * The expression or template at a site; undefined for `item`, which is read by index from the list in `scope.loop.list` (-1: its length).
 * @throws Error when the plan has nothing there: site and plan do not belong together
 */
export function sourceAt(plan: Plan, site: ExpressionSite): Expr | Template | undefined {
  if (site.field === 'item') return undefined;
  const source = site.stepId === '' ? plan.output : sourceOf(stepOf(plan, site.stepId), site);
  if (source === undefined) throw new Error(`The plan ${plan.hash} has no expression at ${site.stepId}.${site.field}`);
  return source;
}

function sourceOf(step: PlanStep, { field, index = 0 }: ExpressionSite): Expr | Template | undefined {
  if (field === 'when') return step.when;
  switch (step.type) {
    case 'conditional':
      return field === 'condition' ? step.condition : undefined;
    case 'switch':
      return field === 'case' ? step.cases[index]?.when : undefined;
    case 'loop':
      return field === 'over' || field === 'while' || field === 'until' || field === 'collect' ? step[field] : undefined;
    case 'set':
      return field === 'values' ? step.values[index]?.[1] : undefined;
    case 'wait':
      return field === 'duration' ? step.duration : field === 'until_instant' ? step.until : undefined;
    case 'wait_for_event':
      return field === 'event' || field === 'match' ? step[field] : undefined;
    case 'stop':
      return field === 'message' || field === 'output' ? step[field] : undefined;
    case 'agent_prompt':
    case 'tool':
    case 'bash':
    case 'notify':
    case 'approval':
    case 'parallel':
    case 'try':
    case 'subworkflow':
      return undefined;
  }
}
