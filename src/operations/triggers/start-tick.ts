/** A run that a Temporal Schedule has started: the tick is claimed, once for ever, and then it is a run like any other (durability §12). */
import type { Json } from '../../definition/value.js';
import { AppError } from '../../errors.js';
import { parseDuration } from '../../definition/duration.js';
import { claimRun } from '../../store/executions.js';
import { takeKeyFor, type IdempotencyKey } from '../../store/idempotency.js';
import { getTrigger, openRunsOf, type TriggerRecord } from '../../store/triggers.js';
import { getUser } from '../../store/users.js';
import { closeReplaced } from '../close-lost.js';
import type { OperationDeps } from '../deps.js';
import { dispatch, targetOf, type Dispatched } from './dispatch.js';
import { standingFault } from './owner-standing.js';
import { postPrompt } from './post-prompt.js';
import { recordDelivery, type Evaluation } from './record-delivery.js';
import { isForAgent } from './run-trigger.js';
import { scheduleOf } from './wire-trigger.js';

export interface TickParams {
  readonly triggerId: string;
  /** `exe_<trigger>-<nominal time>`: the execution's id. */
  readonly workflowId: string;
  /** Of the Temporal run and all its hand-overs: an earlier attempt of the same run is known by it. */
  readonly firstExecutionRunId: string;
}
/** `start`: there is an execution of this id, and it is this run's. Otherwise the run ends with the outcome as its result. */
export type Tick = { readonly kind: 'start'; readonly executionId: string } | { readonly kind: 'nothing'; readonly outcome: Json };

/** Later than this, beside the trigger's own jitter, a tick is told to be late. */
const LATE_MS = 5_000;

/**
 * Claims the tick for this run and starts its execution with the definition as it is now. May repeat: the same run goes on with what it has
 * written. What it refuses is a delivery.
 * @throws AppError unavailable
 */
export async function startTick(deps: OperationDeps, params: TickParams): Promise<Tick> {
  const { triggerId, workflowId, firstExecutionRunId } = params;
  const trigger = await getTrigger(deps.db, null, triggerId);
  const nominal = nominalOf(workflowId);
  if (nominal === undefined) return nothing({ status: 'error', reason: `${workflowId} has no nominal time` });
  const own = await claimRun(deps.db, workflowId, firstExecutionRunId);
  if (trigger === undefined)
    return own === 'mine' ? { kind: 'start', executionId: workflowId } : nothing({ status: 'error', reason: 'the trigger is deleted' });
  const tick: DueTick = { ...params, trigger, nominal, receivedAt: new Date() };
  if (own === 'not_found') await closeThoseReplaced(deps, tick);
  const evaluation = own === 'not_found' ? await evaluate(deps, tick) : toEvaluation(own, workflowId);
  const told = evaluation.outcome === 'matched' ? { ...evaluation, reason: lateness(tick) } : evaluation;
  await recordDelivery(
    deps,
    {
      trigger,
      receivedAt: tick.receivedAt,
      eventType: 'tick',
      deliveryId: nominal,
      payload: {},
      dedupKey: `tick ${workflowId} ${firstExecutionRunId}`,
    },
    told,
  );
  if (told.outcome === 'matched' && told.executionId !== null) return { kind: 'start', executionId: told.executionId };
  return nothing({ status: told.outcome, reason: told.reason, executionId: told.executionId });
}

interface DueTick extends TickParams {
  readonly trigger: TriggerRecord;
  /** ISO instant in whole seconds, as in the run's id. */
  readonly nominal: string;
  readonly receivedAt: Date;
}

const nothing = (outcome: Json): Tick => ({ kind: 'nothing', outcome });

/** The time for which Temporal started a run of this id. Pure. */
export function nominalOf(workflowId: string): string | undefined {
  return /-(\d{4}-\d{2}-\d{2}T\d{2}:\d{2}:\d{2}Z)$/.exec(workflowId)?.[1];
}

/** A row of this id is this run's own earlier attempt, or another run's tick. */
const toEvaluation = (claim: 'mine' | 'other', executionId: string): Evaluation =>
  claim === 'mine'
    ? { outcome: 'matched', reason: null, executionId }
    : { outcome: 'duplicate', reason: 'this tick has run before', executionId };

/** Temporal has terminated the run before for this one: its row is closed at once, so that it neither counts nor shows as active. */
async function closeThoseReplaced(deps: OperationDeps, { trigger, workflowId }: DueTick): Promise<void> {
  if (scheduleOf(trigger).overlap !== 'terminate_other') return;
  for (const id of await openRunsOf(deps.db, trigger, workflowId))
    await closeReplaced(deps, { id, trigger: { type: 'schedule', id: trigger.id } });
}

async function evaluate(deps: OperationDeps, tick: DueTick): Promise<Evaluation> {
  const { trigger, nominal, receivedAt, workflowId, firstExecutionRunId } = tick;
  const fault = trigger.enabled ? standingFault(await getUser(deps.db, trigger.ownerId)) : 'the trigger is disabled';
  if (fault !== undefined) return { outcome: 'no_match', reason: fault, executionId: null };
  if (isForAgent(trigger)) return sayPrompt(deps, tick);
  const target = await targetOf(deps, trigger);
  if (!('workflow' in target)) return { ...target, executionId: null };
  const { cron, timezone, variables } = scheduleOf(trigger);
  const scheduledAt = new Date(nominal).toISOString();
  const dispatched = await dispatch(deps, {
    trigger,
    workflow: target.workflow,
    at: receivedAt,
    payload: {},
    variables: variables ?? {},
    facts: { cron, timezone, scheduledAt },
    scheduledAt,
    startedBy: { id: trigger.id, name: trigger.name },
    idempotency: keyOf(tick),
    startedAs: workflowId,
  });
  return claimed(deps, dispatched, firstExecutionRunId);
}

/** The row that was there or has just been written is this run's, or it is not. */
async function claimed(deps: OperationDeps, dispatched: Dispatched, firstExecutionRunId: string): Promise<Evaluation> {
  const { executionId, execution } = dispatched;
  if (executionId === null || execution === undefined) return dispatched;
  const claim = await claimRun(deps.db, executionId, firstExecutionRunId);
  return claim === 'not_found' ? dispatched : toEvaluation(claim, executionId);
}

/** For ever: what a tick has started may be long gone. */
const keyOf = ({ trigger, nominal }: DueTick): IdempotencyKey => ({
  door: `trigger:${trigger.id}`,
  key: `tick:${nominal}`,
  bodyHash: '',
  forever: true,
});

/** No execution stands for it: the key itself keeps the run that has claimed it. */
async function sayPrompt(deps: OperationDeps, tick: DueTick): Promise<Evaluation> {
  const { trigger, nominal, firstExecutionRunId } = tick;
  const claim = await takeKeyFor(deps.db, trigger.ownerId, keyOf(tick), firstExecutionRunId);
  if (claim.kind === 'reused' || (claim.kind === 'repeat' && claim.resultId !== firstExecutionRunId))
    return { outcome: 'duplicate', reason: 'this tick has run before', executionId: null };
  try {
    await postPrompt(deps, trigger, { key: `${trigger.id}-${nominal}`, at: new Date(nominal) });
  } catch (error) {
    if (!(error instanceof AppError) || error.code === 'unavailable') throw error;
    return { outcome: 'error', reason: error.message, executionId: null };
  }
  return { outcome: 'matched', reason: null, executionId: null };
}

function lateness({ trigger, nominal, receivedAt }: DueTick): string | null {
  const lateMs = receivedAt.getTime() - Date.parse(nominal);
  const jitterMs = parseDuration(scheduleOf(trigger).jitter) ?? 0;
  return lateMs > LATE_MS + jitterMs ? `late: started ${Math.round(lateMs / 1_000)} s after its time` : null;
}
