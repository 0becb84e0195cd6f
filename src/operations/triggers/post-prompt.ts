import { getOrchestratorSession } from '../../store/sessions.js';
import type { TriggerRecord } from '../../store/triggers.js';
import { notFound } from '../../errors.js';
import type { OperationDeps } from '../deps.js';
import { postToAgent } from '../send-message.js';
import { scheduleOf } from './wire-trigger.js';

/**
 * Says a schedule's prompt to its owner's agent, in a thread of its own, once for each `key`.
 * @throws AppError not_found, message_backlog_full
 */
export async function postPrompt(
  deps: OperationDeps,
  trigger: TriggerRecord,
  { key, at }: { readonly key: string; readonly at: Date },
): Promise<void> {
  const session = await getOrchestratorSession(deps.db, trigger.ownerId);
  if (session === undefined) throw notFound('session', trigger.ownerId);
  await postToAgent(deps, {
    ownerId: trigger.ownerId,
    sessionId: session.id,
    author: 'Schedule',
    content: promptText(scheduleOf(trigger), at),
    thread: `schedule-${key}`,
    dedupKey: `schedule:${key}`,
    by: { id: trigger.id, name: trigger.name },
  });
}

/** Headed by the date where the schedule is at home. Pure but for the runtime's zones. */
export function promptText(
  { prompt = '', timezone }: { readonly prompt?: string | undefined; readonly timezone: string },
  at: Date,
): string {
  const date = new Intl.DateTimeFormat('en-GB', {
    timeZone: timezone,
    weekday: 'long',
    year: 'numeric',
    month: 'long',
    day: 'numeric',
    hour: '2-digit',
    minute: '2-digit',
    hourCycle: 'h23',
  }).format(at);
  return `${date} (${timezone}). This comes from a schedule; there is no earlier context.\n\n${prompt}`;
}
