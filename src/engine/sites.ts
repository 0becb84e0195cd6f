/** From an expression's site back to the expression: what `evaluate` was asked for. Pure. */
import type { Expr, Plan, PlanStep, SetPlan, Template } from '../definition/runtime.js';
import { stepOf } from './plan-index.js';
import type { ExpressionSite } from './types.js';

export type SiteSource =
  | { readonly kind: 'expression'; readonly source: Expr }
  | { readonly kind: 'template'; readonly source: Template }
  /** The chunk from this index on of the list in `scope.loop.list`: answer with chunkOf. */
  | { readonly kind: 'items'; readonly from: number }
  /** The lists in `scope.loop.results`, as one list. */
  | { readonly kind: 'results' };

/** @throws Error when the plan has nothing at the site: they do not belong together */
export function sourceAt(plan: Plan, site: ExpressionSite): SiteSource {
  if (site.field === 'items') return { kind: 'items', from: site.index ?? 0 };
  if (site.field === 'results') return { kind: 'results' };
  const found = site.stepId === '' ? template(plan.output ?? ALL_OUTPUTS) : sourceOf(stepOf(plan, site.stepId), site);
  if (found === undefined) throw new Error(`The plan ${plan.hash} has no expression at ${site.stepId}.${site.field}`);
  return found;
}

/** What a run, or a `stop` that completes it, gives without an output of its own. */
export const ALL_OUTPUTS: Template = { k: 'expr', e: { k: 'path', root: 'outputs', segments: [] } };

const expression = (source: Expr | undefined): SiteSource | undefined =>
  source === undefined ? undefined : { kind: 'expression', source };
const template = (source: Template | undefined): SiteSource | undefined =>
  source === undefined ? undefined : { kind: 'template', source };

/** The n-th value of a set, as its output has it. */
function memberOfOutput({ id, outputVariable, values }: SetPlan, index: number): Expr | undefined {
  const name = values[index]?.[0];
  return name === undefined ? undefined : { k: 'path', root: 'outputs', segments: [outputVariable ?? id, name] };
}

function sourceOf(step: PlanStep, { field, index }: ExpressionSite): SiteSource | undefined {
  if (field === 'when') return expression(step.when);
  switch (step.type) {
    case 'conditional':
      return expression(field === 'condition' ? step.condition : undefined);
    case 'switch':
      return expression(field === 'case' ? step.cases[index ?? 0]?.when : undefined);
    case 'loop':
      return field === 'over'
        ? template(step.over)
        : expression(field === 'while' || field === 'until' || field === 'collect' ? step[field] : undefined);
    case 'set':
      if (field === 'output') return expression(memberOfOutput(step, index ?? 0));
      if (field !== 'values') return undefined;
      return template(index === undefined ? { k: 'object', entries: step.values } : step.values[index]?.[1]);
    case 'wait':
      return template(field === 'duration' ? step.duration : field === 'until_instant' ? step.until : undefined);
    case 'wait_for_event':
      return field === 'match' ? expression(step.match) : template(field === 'event' ? step.event : undefined);
    case 'stop':
      return template(field === 'message' ? step.message : field === 'output' ? (step.output ?? ALL_OUTPUTS) : undefined);
    case 'agent_prompt':
      return template(field === 'thread' ? step.thread : undefined);
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
