import { collectReads } from '../definition/expression/reads.js';
import type { Expr, Plan, PlanStep, Template } from '../definition/plan.js';
import type { Ref, Value } from '../definition/value.js';
import { stepsById } from '../engine/plan-index.js';
import { ENGINE_VERSION } from '../engine/types.js';
import { AppError } from '../errors.js';
import type { Common } from './contract.js';
import type { GetValue } from './full-scope.js';
import type { PutValue } from './large-values.js';
import { createRedactor, type Redactor } from './redaction.js';
import { tryAgain } from './step-error.js';

/** Where an activity finds what its run is made of. Every read is of one owner's rows. */
export interface RunStore {
  /** The compiled plan; undefined when there is none under this hash in this format. */
  loadPlan(hash: string, format: number): Promise<Plan | undefined>;
  getValue(ownerId: string, ref: string): Promise<Value | undefined>;
  /** Stores a value of the owner by content, with the references that stand in it. */
  storeValue(ownerId: string, value: Value): Promise<Ref>;
  /** Those of the named secrets that exist. */
  getSecrets(ownerId: string, names: readonly string[]): Promise<ReadonlyMap<string, string>>;
}

/** What an activity needs to know of its run, loaded once for the call. */
export interface RunFacts {
  readonly plan: Plan;
  /** @throws AppError internal_error when the plan has no such step */
  step(id: string): PlanStep;
  /** All secrets that the definition names, whichever step names them: an answer may hold what an earlier step has sent. */
  readonly secrets: ReadonlyMap<string, string>;
  readonly redactor: Redactor;
  readonly getValue: GetValue;
  readonly putValue: PutValue;
  readonly storeValue: (value: Value) => Promise<Ref>;
}
export interface RunFactsSource {
  /** @throws ApplicationFailure, retryable, for an engine version or plan that this worker does not know (durability §4) */
  of(run: Pick<Common, 'ownerId' | 'planHash' | 'planFormat' | 'engineVersion'>): Promise<RunFacts>;
}

const CACHED_PLANS = 100;

/** Plans are kept: they never change. Secrets and values are read anew for each call. */
export function createRunFacts(store: RunStore): RunFactsSource {
  const plans = new Map<string, Plan>();

  async function planOf(hash: string, format: number): Promise<Plan> {
    const key = `${format} ${hash}`;
    const known = plans.get(key);
    if (known !== undefined) return known;
    const plan = await store.loadPlan(hash, format);
    if (plan === undefined) throw tryAgain('plan_unknown', `Plan ${hash} of format ${format} is not in the store`);
    if (plans.size >= CACHED_PLANS) plans.delete(plans.keys().next().value as string);
    plans.set(key, plan);
    return plan;
  }

  return {
    async of({ ownerId, planHash, planFormat, engineVersion }) {
      if (engineVersion > ENGINE_VERSION)
        throw tryAgain('engine_version_unknown', `This worker knows engine version ${ENGINE_VERSION}, not ${engineVersion}`);
      const plan = await planOf(planHash, planFormat);
      const names = secretNames(plan);
      const secrets = names.length === 0 ? new Map<string, string>() : await store.getSecrets(ownerId, names);
      return {
        plan,
        secrets,
        redactor: createRedactor(secrets),
        step: (id) => stepIn(plan, id),
        getValue: (ref) => store.getValue(ownerId, ref),
        putValue: (json) => store.storeValue(ownerId, { v: json }),
        storeValue: (value) => store.storeValue(ownerId, value),
      };
    },
  };
}

function stepIn(plan: Plan, id: string): PlanStep {
  const step = stepsById(plan).get(id);
  if (step === undefined) throw new AppError('internal_error', `Plan ${plan.hash} has no step ${id}`, {});
  return step;
}

const secretsOfPlans = new WeakMap<Plan, readonly string[]>();

/** Names of every `secrets.X` in the plan. Expressions are found by their shape, so that no field can be forgotten here. */
export function secretNames(plan: Plan): readonly string[] {
  let names = secretsOfPlans.get(plan);
  if (names === undefined) {
    const found = new Set<string>();
    visit([plan.steps, plan.output ?? null], found);
    names = [...found];
    secretsOfPlans.set(plan, names);
  }
  return names;
}

function visit(node: unknown, found: Set<string>): void {
  if (typeof node !== 'object' || node === null) return;
  const { k, root } = node as { k?: unknown; root?: unknown };
  if (k === 'path' && root === 'secrets') {
    for (const { name } of collectReads(node as Expr | Template)) found.add(name);
    return;
  }
  // Literals are users' data, whatever they look like.
  if (k === 'lit') return;
  for (const child of Object.values(node)) visit(child, found);
}
