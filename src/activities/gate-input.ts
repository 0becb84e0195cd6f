/** What an approval step says, filled and checked, as its gate takes it. */
import type { ApprovalPlan } from '../definition/plan.js';
import type { Json, Value } from '../definition/value.js';
import { renderStepInput } from '../engine/step-input.js';
import type { NewGate } from '../store/gates.js';
import { StepFault } from '../tools/step-fault.js';
import { FullScope } from './full-scope.js';
import { toRecordedInput } from './large-values.js';
import type { RunFacts } from './run-facts.js';
import type { StepCallInput } from './step-call.js';

/** An approval step's fields, filled. */
export interface Prepared {
  readonly step: ApprovalPlan;
  readonly recorded: Value;
  readonly prompt: string | null;
  readonly approvers: readonly string[] | null;
  readonly targets: readonly string[];
}

/** Counted, as the deadline is, from when the gate began; what would come at the deadline or after it is left out. */
export function noticeOf({ step, targets }: Prepared, deadlineAt: number): NonNullable<NewGate['notice']> {
  const at = (afterMs: number): number => deadlineAt - step.deadlineMs + afterMs;
  const { escalate } = step;
  return {
    targets,
    remindAt: step.remindMs.map(at).filter((instant) => instant < deadlineAt),
    ...(escalate === undefined || at(escalate.afterMs) >= deadlineAt ? {} : { escalate: { at: at(escalate.afterMs), to: escalate.to } }),
  };
}

/** @throws StepFault expression_error for names and targets that are none */
export async function prepareGate(facts: RunFacts, input: StepCallInput): Promise<Prepared> {
  const step = facts.step(input.instance.stepId) as ApprovalPlan;
  const full = new FullScope(input.scope, input.nowMs, facts.getValue, facts.secrets);
  const rendered = await full.run((reader) => renderStepInput(step, reader));
  const plain = facts.redactor.json(await full.plain(rendered)) as { readonly [name: string]: Json };
  const recorded = await toRecordedInput(
    facts.redactor.isIdle ? rendered : { ...rendered, v: facts.redactor.json(rendered.v) },
    facts.putValue,
  );
  return {
    step,
    recorded,
    prompt: plain['prompt'] === undefined ? null : toText(plain['prompt']),
    approvers: toApprovers(plain['approvers']),
    targets: toTargets(plain['notify']),
  };
}

const toText = (json: Json): string => (typeof json === 'string' ? json : JSON.stringify(json));

/** A list of names, one name, or nothing (the owner's team). What is anything else names nobody, which would be a gate for ever. */
function toApprovers(json: Json | undefined): readonly string[] | null {
  if (json === undefined) return null;
  const list = typeof json === 'string' ? [json] : json;
  if (!Array.isArray(list) || list.length === 0 || !list.every((one) => typeof one === 'string' && one.trim() !== '')) {
    throw new StepFault('expression_error', `approvers must be names, not ${JSON.stringify(json).slice(0, 200)}`, {
      details: { field: 'approvers' },
    });
  }
  return (list as readonly string[]).map((one) => one.trim());
}

const TARGET = /^(?:orchestrator|chat|slack:\S.*|webhook:https?:\/\/.+)$/;
const MOST_TARGETS = 50;

/** A list of targets, one, or nothing. What cannot be told must be seen: nobody would know of the gate. */
function toTargets(json: Json | undefined): readonly string[] {
  if (json === undefined || json === null || json === '') return [];
  const list: readonly Json[] = Array.isArray(json) ? (json as readonly Json[]) : [json];
  const texts = list.map((one) => (typeof one === 'string' ? one.trim() : JSON.stringify(one)));
  const wrong = texts.find((text) => !TARGET.test(text));
  if (wrong === undefined && texts.length <= MOST_TARGETS) return [...new Set(texts)];
  throw new StepFault(
    'expression_error',
    wrong === undefined
      ? `notify may have ${MOST_TARGETS} targets, not ${texts.length}`
      : `notify: expected orchestrator, chat, slack:<channel> or webhook:<url>, not ${wrong.slice(0, 200)}`,
    { details: { field: 'notify' } },
  );
}
