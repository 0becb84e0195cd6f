/**
 * How each ordered activity is called: task queue, time limits, retries, summary; and what its answer means to the engine.
 * Retries here are for faults of the platform only (durability §3); a step's own `retry` is the engine's.
 */
import { ActivityFailure, ApplicationFailure, RetryState, TimeoutFailure, TimeoutType } from '@temporalio/common';
import { ActivityCancellationType, proxyActivities, type ActivityOptions } from '@temporalio/workflow';
import type { AgentActivities, CoreActivities, ShellActivities, Told } from '../activities/contract.js';
import type { ActivityCommand, ActivityResult, StepAnswer, StepError } from '../engine/types.js';
import { TASK_QUEUES } from './messages.js';

/** Without a count. At most 2 s apart, so that a run goes on within 3 s of the return of what was away (design §13). */
export const PLATFORM_RETRY = { initialInterval: '200ms', backoffCoefficient: 2, maximumInterval: '2s' } as const;

/** Work of any length: a lost worker shows by the missing heartbeat, within 2 s. */
const WORKING: ActivityOptions = {
  startToCloseTimeout: '24h',
  heartbeatTimeout: '2s',
  retry: PLATFORM_RETRY,
  cancellationType: ActivityCancellationType.WAIT_CANCELLATION_COMPLETED,
};
/** Short reads and writes: no heartbeat, so the limit itself must show a lost worker (durability §3: under 5 s). */
const RECORDING: ActivityOptions = {
  startToCloseTimeout: '4.5s',
  retry: PLATFORM_RETRY,
  cancellationType: ActivityCancellationType.WAIT_CANCELLATION_COMPLETED,
};

const core = proxyActivities<CoreActivities>({ ...WORKING, taskQueue: TASK_QUEUES.core });
const agent = proxyActivities<AgentActivities>({ ...WORKING, taskQueue: TASK_QUEUES.agent });
const shell = proxyActivities<ShellActivities>({ ...WORKING, taskQueue: TASK_QUEUES.shell });

/** What schedule-to-close adds to a leaf's own time limit: it must only act when no worker takes the task. */
const QUEUE_GRACE_MS = 5_000;
const SUMMARY_LIMIT = 200;

/** Calls that may take long. The others end soon by themselves, or when they are halted: a hand-over may wait for them. */
const LONG: ReadonlySet<ActivityCommand['name']> = new Set(['bash', 'agent_turn', 'agent_tool', 'agent_prompt_v1']);

export const isLight = ({ name }: ActivityCommand): boolean => !LONG.has(name);

/** Orders the activity; `toResult` and `faultResult` read what comes of it. `runLeftMs`: see queueLimit. */
export function callActivity(command: ActivityCommand, told: Told, runLeftMs: number | null): Promise<unknown> {
  const { kind: _kind, id: _id, name: _name, ...rest } = command;
  const args = [{ ...told, ...rest }] as never;
  switch (command.name) {
    case 'tool':
      return command.queue === 'shell'
        ? shell.tool.executeWithOptions(working(command, TASK_QUEUES.shell, runLeftMs), args)
        : core.tool.executeWithOptions(working(command, TASK_QUEUES.core, runLeftMs), args);
    case 'notify':
      return core.notify.executeWithOptions(working(command, TASK_QUEUES.core, runLeftMs), args);
    case 'bash':
      return shell.bash.executeWithOptions(working(command, TASK_QUEUES.shell, runLeftMs), args);
    case 'agent_prompt_v1':
    case 'agent_turn':
      return agent.agentTurn.executeWithOptions(working(command, TASK_QUEUES.agent, runLeftMs), args);
    case 'agent_open':
      return core.agentOpen.executeWithOptions(recording(command), args);
    case 'agent_tool':
      return command.queue === 'shell'
        ? shell.agentTool.executeWithOptions(working(command, TASK_QUEUES.shell, runLeftMs), args)
        : core.agentTool.executeWithOptions(working(command, TASK_QUEUES.core, runLeftMs), args);
    case 'open_call_gate':
      return core.openCallGate.executeWithOptions(recording(command), args);
    case 'agent_close':
      return core.agentClose.executeWithOptions(recording(command), args);
    case 'open_gate':
      return core.openGate.executeWithOptions(recording(command), args);
    case 'expire_gate':
      return core.expireGate.executeWithOptions(recording(command), args);
    case 'prepare_child':
      return core.prepareChild.executeWithOptions(recording(command), args);
    case 'evaluate':
      return core.evaluate.executeWithOptions(recording(command), args);
    case 'store':
      return core.store.executeWithOptions(recording(command), args);
    case 'recover':
      return core.recover.executeWithOptions(recording(command), args);
    case 'segment':
      return core.segment.executeWithOptions(segmentOptions(command, runLeftMs), args);
  }
}

type Answer<N extends keyof CoreActivities> = Awaited<ReturnType<CoreActivities[N]>>;

/** The answer as the engine takes it. Pure. */
export function toResult(command: ActivityCommand, answer: unknown): ActivityResult {
  switch (command.name) {
    case 'tool':
    case 'notify':
    case 'bash':
    case 'agent_prompt_v1':
    case 'recover':
      return { of: 'step', answer: answer as StepAnswer };
    case 'agent_open':
      return { of: 'agent_open', ...(answer as Answer<'agentOpen'>) };
    case 'agent_turn':
      return { of: 'agent_turn', ...(answer as Extract<Awaited<ReturnType<AgentActivities['agentTurn']>>, { turn: unknown }>) };
    case 'agent_tool':
      return { of: 'agent_tool', ...(answer as Answer<'agentTool'>) };
    case 'agent_close':
      return { of: 'agent_close', ...(answer as Answer<'agentClose'>) };
    case 'open_call_gate':
    case 'open_gate':
    case 'expire_gate':
      return { of: 'gate', gate: answer as Answer<'openGate'> };
    case 'prepare_child':
      return { of: 'child', ...(answer as Answer<'prepareChild'>) };
    case 'evaluate':
      return { of: 'value', ...(answer as Answer<'evaluate'>) };
    case 'store':
      return { of: 'values', values: answer as Answer<'store'> };
    case 'segment':
      return { of: 'segment', ...(answer as Answer<'segment'>) };
  }
}

function working(
  command: ActivityCommand & { readonly timeoutMs?: number | null },
  taskQueue: string,
  runLeftMs: number | null,
): ActivityOptions {
  const limitMs = queueLimit(command.timeoutMs ?? null, runLeftMs);
  const limit = limitMs === null ? {} : { scheduleToCloseTimeout: limitMs };
  return { ...WORKING, ...limit, taskQueue, activityId: command.id, summary: summaryOf(command) };
}

/** Its steps keep their limits themselves; the first one's counts while no worker takes it up. */
function segmentOptions(command: Extract<ActivityCommand, { name: 'segment' }>, runLeftMs: number | null): ActivityOptions {
  const options = working({ ...command, timeoutMs: null }, TASK_QUEUES.core, runLeftMs);
  return command.timeoutMs === null ? options : { ...options, scheduleToStartTimeout: command.timeoutMs + QUEUE_GRACE_MS };
}

/**
 * How long a call may take with its time in the queue, in ms; null: for ever. `runLeftMs` is what is left of the run's `maxDuration`, null where
 * that does not count (a clean-up): its limit costs no timer, and the answer that never came is the input at which the engine sees that the
 * run's time is over. Pure.
 */
export function queueLimit(timeoutMs: number | null, runLeftMs: number | null): number | null {
  const shortest = Math.min(timeoutMs ?? Number.POSITIVE_INFINITY, Math.max(0, runLeftMs ?? Number.POSITIVE_INFINITY));
  return Number.isFinite(shortest) ? shortest + QUEUE_GRACE_MS : null;
}

function recording(command: ActivityCommand): ActivityOptions {
  return { ...RECORDING, taskQueue: TASK_QUEUES.core, activityId: command.id, summary: summaryOf(command) };
}

function summaryOf(command: ActivityCommand): string {
  const type = 'stepType' in command ? command.stepType : command.name;
  return [command.instance.stepId, command.instance.iterationPath, type]
    .filter((part) => part !== '')
    .join(' · ')
    .slice(0, SUMMARY_LIMIT);
}

/** A failed step comes as a failure that carries its answer; everything else is an answer that never came. */
export function faultResult(command: ActivityCommand, error: unknown): ActivityResult {
  const cause = error instanceof ActivityFailure ? error.cause : error;
  if (cause instanceof ApplicationFailure) {
    const answer = cause.details?.[0] as StepAnswer | undefined;
    if (answer?.ended === 'failed') return command.name === 'evaluate' ? { of: 'fault', error: answer.error } : { of: 'step', answer };
    if (command.name === 'evaluate') return { of: 'fault', error: unexpected(cause) };
    return { of: 'lost', timedOut: isOutOfTime(error) && BEFORE_WORK.has(cause.type ?? '') };
  }
  const timedOut = cause instanceof TimeoutFailure && OUT_OF_TIME.has(cause.timeoutType);
  return { of: 'lost', timedOut };
}

const OUT_OF_TIME: ReadonlySet<TimeoutType> = new Set([TimeoutType.SCHEDULE_TO_CLOSE, TimeoutType.SCHEDULE_TO_START]);

/** Faults of the platform that come before a step's work has begun, or of work that may be repeated. */
const BEFORE_WORK: ReadonlySet<string> = new Set(['unavailable', 'plan_unknown', 'engine_version_unknown']);

/** The platform's faults were retried until the schedule-to-close limit left no room for another attempt. */
const isOutOfTime = (error: unknown): boolean => error instanceof ActivityFailure && error.retryState === RetryState.TIMEOUT;

function unexpected(failure: ApplicationFailure): StepError {
  return { code: 'internal_error', message: failure.message, retryable: false };
}
