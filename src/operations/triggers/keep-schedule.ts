/** From a schedule's row to its Temporal Schedule. The row says what it should be; whoever changes one calls this, and the reconciler again. */
import { createHash } from 'node:crypto';
import { parseDuration } from '../../definition/duration.js';
import { setScheduleHash, type TriggerRecord } from '../../store/triggers.js';
import { getWorkflow } from '../../store/workflows.js';
import type { OperationDeps } from '../deps.js';
import type { ScheduleAnswer, ScheduleRequest, ScheduleState } from '../schedule-gateway.js';
import { isCron, parseCron } from './cron.js';
import { repeatedTicks } from './repeated-hours.js';
import { scheduleOf } from './wire-trigger.js';

/** What the Schedule of a trigger starts: `exe_` and the trigger's own suffix; Temporal appends the nominal time. Pure. */
export const scheduledIdOf = (triggerId: string): string => `exe_${triggerId.slice('trg_'.length)}`;

/** The Schedule that a row asks for now. */
export async function scheduleRequestOf(deps: OperationDeps, row: TriggerRecord): Promise<ScheduleRequest> {
  const config = scheduleOf(row);
  const cron = parseCron(config.cron);
  const workflow = row.workflowId === null ? undefined : await getWorkflow(deps.db, row.ownerId, row.workflowId);
  return {
    id: row.id,
    executionId: scheduledIdOf(row.id),
    cron: isCron(cron) ? cron.text : config.cron,
    timezone: config.timezone,
    alsoAtMs: isCron(cron) ? repeatedTicks(cron, config.timezone, Date.now()) : [],
    overlap: config.overlap,
    catchupWindowMs: parseDuration(config.catchupWindow) ?? 0,
    jitterMs: parseDuration(config.jitter) ?? 0,
    summary: workflow?.name ?? row.name,
    attributes: { workflow: workflow?.name ?? row.name, owner: row.ownerId, status: 'running', trigger: 'schedule' },
    paused: row.paused,
  };
}

/** Equal for requests that make the same Schedule. Pure. */
function hashOf(request: ScheduleRequest): string {
  const { paused: _, ...made } = request;
  return createHash('sha256').update(JSON.stringify(made)).digest('hex');
}

/** What is noted of a Schedule that is as it should be: what it was made from, and what Temporal keeps of that. Pure. */
export const agreementOf = (request: ScheduleRequest, { made }: ScheduleState): string => `${hashOf(request)} ${made}`;

/**
 * Makes the Temporal Schedule what the row says. Where Temporal is away the reconciler does it later: the row differs until then.
 * @returns how it stands then; undefined while Temporal is away
 */
export async function keepSchedule(deps: OperationDeps, row: TriggerRecord): Promise<ScheduleState | undefined> {
  const answer = await putSchedule(deps, row.id, await scheduleRequestOf(deps, row));
  if (answer.kind === 'done') return answer.value.state;
  deps.log.warn(
    { triggerId: row.id, error: answer.kind === 'unavailable' ? answer.error.message : answer.kind },
    'Temporal did not take a schedule; it will be repeated',
  );
  return undefined;
}

/** Makes or changes it, and notes how it stands then, so that a hand that changes it in Temporal is noticed. */
export async function putSchedule(
  deps: OperationDeps,
  triggerId: string,
  request: ScheduleRequest,
): Promise<ScheduleAnswer<{ readonly outcome: 'created' | 'updated'; readonly state: ScheduleState }>> {
  const put = await deps.temporal.schedules.put(request);
  if (put.kind !== 'done') return put;
  const state = await deps.temporal.schedules.describe(triggerId);
  if (state.kind !== 'done') return state;
  await setScheduleHash(deps.db, triggerId, agreementOf(request, state.value));
  return { kind: 'done', value: { outcome: put.value, state: state.value } };
}

/** A workflow may have had hundreds. */
const AT_ONCE = 10;

/** Removes the Temporal Schedules of triggers that are gone. Strays are the reconciler's. */
export async function removeSchedules(deps: OperationDeps, rows: readonly TriggerRecord[]): Promise<void> {
  const schedules = rows.filter(({ type }) => type === 'schedule');
  for (let from = 0; from < schedules.length; from += AT_ONCE) {
    const answers = await Promise.all(schedules.slice(from, from + AT_ONCE).map((row) => removeSchedule(deps, row)));
    // Each further call would only wait for its own deadline.
    if (answers.includes('away')) return;
  }
}

async function removeSchedule(deps: OperationDeps, { id: triggerId }: TriggerRecord): Promise<'gone' | 'away'> {
  const answer = await deps.temporal.schedules.remove(triggerId);
  if (answer.kind !== 'unavailable') return 'gone';
  deps.log.warn({ triggerId, error: answer.error.message }, 'Temporal did not remove a schedule; it will be repeated');
  return 'away';
}
