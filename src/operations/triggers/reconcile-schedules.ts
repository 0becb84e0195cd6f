/** Makes the rows of schedules and Temporal's Schedules agree, and tells of the ticks that Temporal did not start. Part of the reconciler. */
import { parseDuration } from '../../definition/duration.js';
import type { Json } from '../../definition/value.js';
import { addDelivery, deleteOldDeliveries, knownDeliveryIds } from '../../store/deliveries.js';
import { deleteExpiredKeys } from '../../store/idempotency.js';
import type { Queryable } from '../../store/statement.js';
import { getTrigger, scheduleTriggers, setScheduleLook, withTriggerLock, type TriggerRecord } from '../../store/triggers.js';
import type { OperationDeps } from '../deps.js';
import type { ScheduleState } from '../schedule-gateway.js';
import { isCron, parseCron } from './cron.js';
import { agreementOf, putSchedule, scheduleRequestOf } from './keep-schedule.js';
import { nominalTimeOf } from './nominal-time.js';
import { scheduleOf } from './wire-trigger.js';

const BATCH = 200;
const AT_ONCE = 10;
/** A schedule that skipped more between two looks tells of this many, and of the number. */
const MOST_TOLD = 200;
const KEPT_DAYS = 30;
/** What Temporal tells of times at once (schedule-gateway.ts). */
const MOST_TIMES = 1_000;
/** A look is noted again after so long though nothing has happened, so that what happens next is looked for among few ticks. */
const LOOK_STANDS_MS = 600_000;

/** @returns whether Temporal answered; nothing is done for a schedule that it was not asked about. */
export async function keepSchedules(deps: OperationDeps): Promise<boolean> {
  // Listed before the rows are read: a row comes before its Schedule, so one that is listed and has no row is a stray.
  const listed = await deps.temporal.schedules.list();
  if (listed.kind !== 'done') return false;
  await removeStrays(deps, listed.value);
  for (let after = ''; ; ) {
    const rows = await scheduleTriggers(deps.db, after, BATCH);
    for (let from = 0; from < rows.length; from += AT_ONCE) {
      const answers = await Promise.all(rows.slice(from, from + AT_ONCE).map((row) => lookAt(deps, row)));
      if (answers.includes('away')) return false;
    }
    after = rows.at(-1)?.id ?? '';
    if (rows.length < BATCH) return true;
  }
}

/** Only Schedules that start our workflow under our ids are ours to remove. */
async function removeStrays(deps: OperationDeps, ids: readonly string[]): Promise<void> {
  for (const id of ids.filter((each) => /^trg_[0-9a-z]{26}$/.test(each))) {
    if ((await getTrigger(deps.db, null, id))?.type === 'schedule') continue;
    const { kind } = await deps.temporal.schedules.remove(id);
    deps.log.info({ triggerId: id, outcome: kind }, 'Removed a schedule of no trigger');
  }
}

async function lookAt(deps: OperationDeps, row: TriggerRecord): Promise<'seen' | 'away'> {
  const lookedAt = new Date();
  const answer = await deps.temporal.schedules.describe(row.id);
  if (answer.kind === 'unavailable') return 'away';
  if (answer.kind === 'done') await noteLook(deps, row, answer.value, lookedAt);
  const request = await scheduleRequestOf(deps, row);
  if (answer.kind === 'done' && agreementOf(request, answer.value) === row.scheduleHash) return 'seen';
  // The row may have gone since it was read: then this would be a stray until the next look.
  if ((await getTrigger(deps.db, null, row.id)) === undefined) return 'seen';
  const put = await putSchedule(deps, row.id, request);
  if (put.kind !== 'done') return 'away';
  deps.log.info({ triggerId: row.id, outcome: put.value.outcome }, 'Made a schedule agree with its trigger');
  return 'seen';
}

/** The counters of one Schedule at a look. `createdAt` tells one that was made anew. */
interface Look {
  readonly createdAt: string;
  readonly skippedOverlap: number;
  readonly missedCatchup: number;
  readonly at: string;
}

async function noteLook(deps: OperationDeps, row: TriggerRecord, state: ScheduleState, lookedAt: Date): Promise<void> {
  const before = lookBefore(row, state);
  const hasTicks = state.skippedOverlap > before.skippedOverlap || state.missedCatchup > before.missedCatchup;
  const isOld = lookedAt.getTime() - Date.parse(before.at) > LOOK_STANDS_MS;
  if (!hasTicks && !isOld && row.paused === state.paused && row.scheduleLook !== null) return;
  const toTick = tickReader(row);
  // A tick may be older than the start that jitter gave it.
  const fromMs = Date.parse(before.at) - toTick.jitterMs;
  const answer = hasTicks ? await deps.temporal.schedules.times(row.id, fromMs, lookedAt.getTime()) : undefined;
  const times = answer?.kind === 'done' ? answer.value.map(toTick.of) : [];
  const areAllKnown = answer?.kind === 'done' && times.length < MOST_TIMES;
  const begun = new Set(state.started.map(toTick.of));
  await withTriggerLock(deps.db, row.id, async (tx, current) => {
    const last = lookBefore(current, state);
    const unstarted = await unstartedTicks(tx, current, times, begun);
    const missed = unstarted.filter((tick) => Date.parse(tick) < lookedAt.getTime() - windowMsOf(current));
    const counted = Math.max(0, state.missedCatchup - last.missedCatchup);
    // After an outage Temporal may count a tick that it missed twice (measured, server 1.32): where all times are known, they are the number.
    const missedCount = areAllKnown ? Math.min(counted, missed.length) : counted;
    const missedTicks = missed.slice(0, missedCount);
    await tell(tx, current, { count: missedCount, ticks: missedTicks, outcome: 'error', reason: 'missed' }, lookedAt);
    const skippedCount = Math.max(0, state.skippedOverlap - last.skippedOverlap);
    await tell(
      tx,
      current,
      {
        count: skippedCount,
        ticks: unstarted.filter((tick) => !missedTicks.includes(tick)).slice(0, skippedCount),
        outcome: 'skipped_overlap',
        reason: 'the run before was still active',
      },
      lookedAt,
    );
    const look: Look = {
      createdAt: state.createdAt,
      skippedOverlap: Math.max(last.skippedOverlap, state.skippedOverlap),
      missedCatchup: Math.max(last.missedCatchup, state.missedCatchup),
      at: lookedAt.toISOString(),
    };
    await setScheduleLook(tx, row.id, look as unknown as Json, state.paused);
  });
}

const windowMsOf = (row: TriggerRecord): number => parseDuration(scheduleOf(row).catchupWindow) ?? 0;

/** What was seen of the same Schedule before; one made anew counts from nothing. */
function lookBefore({ scheduleLook }: TriggerRecord, { createdAt }: ScheduleState): Look {
  const look = scheduleLook as unknown as Look | null;
  return look?.createdAt === createdAt ? look : { createdAt, skippedOverlap: 0, missedCatchup: 0, at: createdAt };
}

/** From a start to its tick's nominal time, in whole seconds as ticks are named. */
function tickReader(row: TriggerRecord): { readonly jitterMs: number; readonly of: (start: string) => string } {
  const { cron: text, timezone, jitter } = scheduleOf(row);
  const jitterMs = parseDuration(jitter) ?? 0;
  const cron = parseCron(text);
  const nominal = (startMs: number): number =>
    (jitterMs > 0 && isCron(cron) ? nominalTimeOf(cron, timezone, startMs, jitterMs) : undefined) ?? startMs;
  return {
    jitterMs,
    of: (start) => new Date(Math.floor(nominal(Date.parse(start)) / 1_000) * 1_000).toISOString().replace('.000Z', 'Z'),
  };
}

/** Ticks, oldest first, of which neither a run nor a delivery is known. */
async function unstartedTicks(
  tx: Queryable,
  { id }: TriggerRecord,
  ticks: readonly string[],
  begun: ReadonlySet<string>,
): Promise<string[]> {
  const known = await knownDeliveryIds(tx, id, ticks);
  return ticks.filter((tick) => !known.has(tick) && !begun.has(tick));
}

interface Unstarted {
  readonly count: number;
  /** Their times, as far as they can be told. */
  readonly ticks: readonly string[];
  readonly outcome: 'error' | 'skipped_overlap';
  readonly reason: string;
}

async function tell(tx: Queryable, trigger: TriggerRecord, { count, ticks, outcome, reason }: Unstarted, receivedAt: Date): Promise<void> {
  const told = Math.min(count, MOST_TOLD);
  for (let index = 0; index < told; index += 1) {
    const nominal = ticks[index];
    const rest = index === told - 1 && count > told ? ` (and ${count - told} more)` : '';
    await addDelivery(tx, {
      ownerId: trigger.ownerId,
      triggerId: trigger.id,
      outcome,
      reason: reason + rest,
      eventType: 'tick',
      deliveryId: nominal ?? null,
      latencyMs: 0,
      receivedAt,
      ...(nominal === undefined ? {} : { dedupKey: `unstarted ${nominal}` }),
    });
  }
}

/** Deletes deliveries that are older than thirty days, and idempotency keys whose time is over. */
export async function dropOldDeliveries(deps: OperationDeps): Promise<void> {
  const batch = 1_000;
  while ((await deleteOldDeliveries(deps.db, KEPT_DAYS, batch)) === batch);
  while ((await deleteExpiredKeys(deps.db, batch)) === batch);
}
