import { randomUUID } from 'node:crypto';
import type { JsonObject } from '../../definition/value.js';
import { AppError } from '../../errors.js';
import type { DeliveryOutcome } from '../../store/deliveries.js';
import type { TriggerRecord } from '../../store/triggers.js';
import { actorOf, auditedActor } from '../actor.js';
import { authorize } from '../authorize.js';
import type { OperationDeps } from '../deps.js';
import { planOf } from '../plan-of.js';
import type { Principal } from '../principal.js';
import { dispatch, targetOf, type Dispatched, type Target } from './dispatch.js';
import { postPrompt } from './post-prompt.js';
import { ownTrigger } from './read-triggers.js';
import { githubFacts } from './receive-github.js';
import type { GithubConfig } from './github-match.js';
import { recordDelivery, type Arrival } from './record-delivery.js';
import { factsOf, isForAgent, requireStarting } from './run-trigger.js';
import { syntheticPayload } from './synthetic-payload.js';
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
  const dispatched = await fire(deps, target, { trigger, receivedAt, deliveryId, payload, principal });
  await recordDelivery(deps, arrival, dispatched);
  if (dispatched.outcome === 'workflow_disabled')
    throw new AppError('workflow_disabled', `The workflow ${trigger.workflowId ?? ''} is disabled`, {
      workflowId: trigger.workflowId ?? '',
    });
  const { outcome, executionId, reason } = dispatched;
  return { outcome, executionId, reason };
}

interface Test {
  readonly trigger: TriggerRecord;
  readonly receivedAt: Date;
  readonly deliveryId: string;
  readonly payload: JsonObject;
  readonly principal: Principal;
}

async function fire(deps: OperationDeps, target: Target | 'agent', test: Test): Promise<Dispatched> {
  const { trigger, receivedAt, deliveryId, payload, principal } = test;
  if (target === 'agent') return fireAtAgent(deps, test);
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
    audited: auditedActor(principal),
  });
}

async function fireAtAgent(deps: OperationDeps, { trigger, receivedAt, deliveryId }: Test): Promise<Dispatched> {
  await postPrompt(deps, trigger, { key: deliveryId, at: receivedAt });
  return { outcome: 'matched', reason: null, executionId: null };
}

const eventNameOf = (trigger: TriggerRecord): string => (trigger.config as unknown as GithubConfig).events[0]?.split('.')[0] ?? '';
