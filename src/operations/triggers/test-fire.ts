import { randomUUID } from 'node:crypto';
import type { Json, JsonObject } from '../../definition/value.js';
import { setOwn } from '../../definition/value-parts.js';
import type { Plan, VariablePlan } from '../../definition/plan.js';
import { AppError } from '../../errors.js';
import type { DeliveryOutcome } from '../../store/deliveries.js';
import type { TriggerRecord } from '../../store/triggers.js';
import { actorOf } from '../actor.js';
import { authorize } from '../authorize.js';
import type { OperationDeps } from '../deps.js';
import { planOf } from '../plan-of.js';
import type { Principal } from '../principal.js';
import { dispatch, targetOf, type Dispatched } from './dispatch.js';
import { postPrompt } from './post-prompt.js';
import { ownTrigger } from './read-triggers.js';
import { githubFacts } from './receive-github.js';
import type { GithubConfig } from './github-match.js';
import { recordDelivery, type Arrival } from './record-delivery.js';
import { factsOf, isForAgent, requireStarting } from './run-trigger.js';
import { parsePath } from './variable-mapping.js';
import { scheduleOf } from './wire-trigger.js';

export interface TestFired {
  readonly outcome: DeliveryOutcome;
  readonly executionId: string | null;
  readonly reason: string | null;
}

/**
 * Sends a payload (given, or made up to fit the mapping) on the way of a real one, from the mapping on: no signature, no claim of a tick. What
 * it starts is a test: lists leave it out, and its failure is told to nobody. A disabled trigger can be tested, a disabled workflow not.
 * @throws AppError forbidden, not_found, bad_request (a manual trigger), workflow_disabled
 */
export async function testFire(
  deps: OperationDeps,
  principal: Principal,
  params: { readonly id: string; readonly payload?: JsonObject },
): Promise<TestFired> {
  authorize(principal, 'run');
  const trigger = await ownTrigger(deps, principal, params.id);
  if (trigger.type === 'manual') throw new AppError('bad_request', 'A manual trigger has nothing to test: run it', {});
  requireStarting(trigger);
  const receivedAt = new Date();
  const deliveryId = `test-${randomUUID()}`;
  const target = isForAgent(trigger) ? 'agent' : await targetOf(deps, trigger);
  const workflow = target !== 'agent' && 'workflow' in target ? target.workflow : undefined;
  const payload = params.payload ?? syntheticPayload(trigger, workflow === undefined ? {} : (await planOf(deps.db, workflow)).variables);
  const arrival: Arrival = { trigger, receivedAt, eventType: 'test', deliveryId, payload, isTest: true };
  const dispatched = await fire();
  await recordDelivery(deps, arrival, dispatched);
  if (dispatched.outcome === 'workflow_disabled')
    throw new AppError('workflow_disabled', `The workflow ${trigger.workflowId ?? ''} is disabled`, {
      workflowId: trigger.workflowId ?? '',
    });
  const { outcome, executionId, reason } = dispatched;
  return { outcome, executionId, reason };

  async function fire(): Promise<Dispatched> {
    if (target === 'agent') return fireAtAgent(deps, trigger, receivedAt, deliveryId);
    if (!('workflow' in target)) return { ...target, executionId: null };
    const isGithub = trigger.type === 'github';
    return dispatch(deps, {
      trigger,
      workflow: target.workflow,
      at: receivedAt,
      payload,
      variables: trigger.type === 'schedule' ? (scheduleOf(trigger).variables ?? {}) : {},
      facts: isGithub ? githubFacts({ name: eventNameOf(trigger), payload }, deliveryId) : factsOf(trigger, receivedAt),
      deliveryId,
      isTest: true,
      startedBy: actorOf(principal),
    });
  }
}

async function fireAtAgent(deps: OperationDeps, trigger: TriggerRecord, at: Date, key: string): Promise<Dispatched> {
  await postPrompt(deps, trigger, { key, at });
  return { outcome: 'matched', reason: null, executionId: null };
}

const eventNameOf = (trigger: TriggerRecord): string => (trigger.config as unknown as GithubConfig).events[0]?.split('.')[0] ?? '';

/** A payload in which every path of the mapping leads to a value that its variable takes. Pure. */
export function syntheticPayload(
  { type, config, variableMapping }: Pick<TriggerRecord, 'type' | 'config' | 'variableMapping'>,
  variables: Plan['variables'],
): JsonObject {
  const payload: { [key: string]: Json } = {};
  if (type === 'github') {
    const { repos, events } = config as unknown as GithubConfig;
    const action = events[0]?.split('.')[1];
    Object.assign(payload, {
      repository: { full_name: repos[0] ?? '' },
      sender: { login: 'test' },
      ...(action === undefined ? {} : { action }),
    });
  }
  if (type === 'webhook') payload['test'] = true;
  for (const [name, path] of Object.entries(variableMapping))
    put(payload, parsePath(path) ?? [], sampleOf(Object.hasOwn(variables, name) ? variables[name] : undefined));
  return payload;
}

function put(container: { [key: string]: Json } | Json[], [key, ...rest]: readonly (string | number)[], value: Json): void {
  if (key === undefined) return;
  const at = container as { [key: string]: Json };
  const name = String(key);
  const before = Object.hasOwn(at, name) ? at[name] : undefined;
  if (rest.length === 0) {
    if (before === undefined) setOwn(at, name, value);
    return;
  }
  const next =
    typeof before === 'object' && before !== null
      ? before
      : typeof rest[0] === 'number'
        ? Array.from({ length: Math.min(rest[0], MOST_ITEMS) }, () => null)
        : {};
  setOwn(at, name, next);
  put(next as { [key: string]: Json }, rest, value);
}

/** A made-up list is no longer than this. */
const MOST_ITEMS = 100;

function sampleOf(variable: VariablePlan | undefined): Json {
  if (variable?.default !== undefined && variable.default !== null) return variable.default;
  if (variable?.enum?.[0] !== undefined) return variable.enum[0];
  switch (variable?.type) {
    case 'number':
      return 1;
    case 'boolean':
      return true;
    case 'array':
      return [];
    case 'object':
      return {};
    case 'string':
    case undefined:
      return 'test';
  }
}
