/** On, off, paused, gone through again. */
import { AppError, notFound } from '../../errors.js';
import { setTriggerEnabled, setTriggerPaused } from '../../store/triggers.js';
import { audit } from '../actor.js';
import { authorize } from '../authorize.js';
import type { OperationDeps } from '../deps.js';
import type { Principal } from '../principal.js';
import { ownTrigger } from './read-triggers.js';
import { requireAnswer, requireSchedule } from './require-schedule.js';
import { readWireTrigger, scheduleOf, type WireTrigger } from './wire-trigger.js';

/** A disabled trigger starts nothing by itself; its schedule ticks on, and says so in deliveries. @throws AppError forbidden, not_found */
export async function setEnabled(
  deps: OperationDeps,
  principal: Principal,
  { id, enabled }: { readonly id: string; readonly enabled: boolean },
): Promise<{ readonly trigger: WireTrigger }> {
  authorize(principal, 'write');
  const before = await ownTrigger(deps, principal, id);
  const trigger = await setTriggerEnabled(deps.db, principal.userId, before.id, enabled);
  if (trigger === undefined) throw notFound('trigger', id);
  if (before.enabled !== enabled)
    await audit(deps, principal, { action: enabled ? 'trigger.enabled' : 'trigger.disabled', targetType: 'trigger', targetId: trigger.id });
  return { trigger: await readWireTrigger(deps, trigger) };
}

/**
 * Pauses or resumes the Temporal Schedule itself: while it is paused it does not tick. Apart from `enabled`.
 * @throws AppError forbidden, not_found, validation_failed (no schedule), unavailable (Temporal)
 */
export async function setPaused(
  deps: OperationDeps,
  principal: Principal,
  { id, paused }: { readonly id: string; readonly paused: boolean },
): Promise<{ readonly trigger: WireTrigger }> {
  authorize(principal, 'write');
  const trigger = await ownTrigger(deps, principal, id);
  requireSchedule(trigger);
  const note = `${paused ? 'Paused' : 'Resumed'} by ${principal.name} through Signalbox`;
  requireAnswer(await deps.temporal.schedules.setPaused(trigger.id, paused, note), trigger.id);
  await setTriggerPaused(deps.db, trigger.id, paused);
  await audit(deps, principal, { action: paused ? 'trigger.paused' : 'trigger.resumed', targetType: 'trigger', targetId: trigger.id });
  return { trigger: await readWireTrigger(deps, { ...trigger, paused }) };
}

const MOST_TICKS = 1_000;

/**
 * Has a schedule go through a stretch of the past, both ends included: each of its ticks that has not run yet runs now, one after the other
 * unless the trigger's overlap is `allow_all`.
 * @throws AppError forbidden, not_found, validation_failed, unavailable (Temporal)
 */
export async function backfill(
  deps: OperationDeps,
  principal: Principal,
  { id, start, end }: { readonly id: string; readonly start: string; readonly end: string },
): Promise<{ readonly accepted: true }> {
  authorize(principal, 'run');
  const trigger = await ownTrigger(deps, principal, id);
  requireSchedule(trigger);
  const fromMs = Date.parse(start);
  const toMs = Date.parse(end);
  if (toMs < fromMs) throw invalid('/end', 'The end lies before the start');
  if (toMs > Date.now()) throw invalid('/end', 'A backfill is of the past: the end lies in the future');
  const ticks = requireAnswer(await deps.temporal.schedules.times(trigger.id, fromMs - 1_000, toMs), trigger.id);
  if (ticks.length >= MOST_TICKS) throw invalid('/end', `A backfill has fewer than ${MOST_TICKS} ticks: take a shorter stretch`);
  const overlap = scheduleOf(trigger).overlap === 'allow_all' ? 'allow_all' : 'buffer_all';
  requireAnswer(await deps.temporal.schedules.backfill(trigger.id, { fromMs, toMs, overlap }), trigger.id);
  await audit(deps, principal, { action: 'trigger.backfilled', targetType: 'trigger', targetId: trigger.id, details: { start, end } });
  return { accepted: true };
}

function invalid(path: string, message: string): AppError<'validation_failed'> {
  return new AppError('validation_failed', `${path}: ${message}`, {
    problems: [{ code: 'invalid_field', severity: 'error', path, message }],
  });
}
