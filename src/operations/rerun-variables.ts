import { replaceRefs } from '../definition/value-parts.js';
import type { Plan } from '../definition/plan.js';
import type { Json, JsonObject } from '../definition/value.js';
import type { ExecutionRecord } from '../store/execution-record.js';
import { isSameJson } from '../definition/index.js';
import type { OperationDeps } from './deps.js';
import { readRefs } from './read-refs.js';
import { checkedVariables } from './start-variables.js';

export interface RerunVariables {
  readonly variables: JsonObject;
  /** Whether they are other than those of the execution that is rerun. */
  readonly areOther: boolean;
}

/**
 * What the rerun starts with: the recorded start values, the new ones over them, checked against the plan. What another version no
 * longer declares is left behind; the trigger's own stay as they were, so that expressions read what they read.
 * @throws AppError validation_failed
 */
export async function rerunVariables(
  deps: OperationDeps,
  source: ExecutionRecord,
  plan: Plan,
  changed: JsonObject,
): Promise<RerunVariables> {
  const recorded = await wholeVariables(deps, source);
  const declared = Object.fromEntries(Object.entries(recorded).filter(([name]) => Object.hasOwn(plan.variables, name)));
  const { _trigger = null, _payload = {} } = recorded;
  const variables = checkedVariables(plan, { ...declared, ...changed }, { _trigger, _payload });
  return { variables, areOther: !isSameJson(variables, recorded) };
}

async function wholeVariables(deps: OperationDeps, { ownerId, variables }: ExecutionRecord): Promise<{ readonly [name: string]: Json }> {
  const stored = await readRefs(deps.db, ownerId, Object.values(variables));
  return Object.fromEntries(Object.entries(variables).map(([name, value]) => [name, replaceRefs(value, stored)]));
}
