/** Which expression or template of a plan a site means. Pure. */
import type { Expr, Plan, PlanStep, Template } from '../definition/plan.js';
import { stepsById } from '../engine/plan-index.js';
import type { ExpressionSite } from '../engine/types.js';

export type SiteSource = { readonly kind: 'expression'; readonly source: Expr } | { readonly kind: 'template'; readonly source: Template } | { readonly kind: 'item'; readonly index: number };

/** @throws Error when the plan has nothing at the site: engine and plan do not belong together */
export function sourceAt(plan: Plan, site: ExpressionSite): SiteSource {
  if (site.field === 'item') return { kind: 'item', index: site.index ?? 0 };
  const source = site.stepId === '' ? templateOf(site.field === 'output' ? plan.output : undefined) : sourceIn(stepsById(plan).get(site.stepId), site);
  if (source === undefined) throw new Error(`Plan ${plan.hash} has no expression at ${site.stepId}.${site.field}`);
  return source;
}

function sourceIn(step: PlanStep | undefined, { field, index = 0 }: ExpressionSite): SiteSource | undefined {
  if (step === undefined) return undefined;
  if (field === 'when') return expressionOf(step.when);
  switch (step.type) {
    case 'conditional': return expressionOf(field === 'condition' ? step.condition : undefined);
    case 'switch': return expressionOf(field === 'case' ? step.cases[index]?.when : undefined);
    case 'loop': return field === 'over' ? templateOf(step.over) : expressionOf(field === 'while' || field === 'until' || field === 'collect' ? step[field] : undefined);
    case 'set': return templateOf(field === 'values' ? step.values[index]?.[1] : undefined);
    case 'wait': return templateOf(field === 'duration' ? step.duration : field === 'until_instant' ? step.until : undefined);
    case 'wait_for_event': return field === 'match' ? expressionOf(step.match) : templateOf(field === 'event' ? step.event : undefined);
    case 'stop': return templateOf(field === 'message' ? step.message : field === 'output' ? step.output : undefined);
    case 'agent_prompt': case 'tool': case 'bash': case 'notify': case 'approval': case 'parallel': case 'try': case 'subworkflow': return undefined;
  }
}

const expressionOf = (source: Expr | undefined): SiteSource | undefined => (source === undefined ? undefined : { kind: 'expression', source });
const templateOf = (source: Template | undefined): SiteSource | undefined => (source === undefined ? undefined : { kind: 'template', source });
