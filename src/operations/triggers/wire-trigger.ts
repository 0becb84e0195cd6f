/** Triggers and deliveries as api.md shows them. */
import { parseDuration } from '../../definition/duration.js';
import type { TriggerRecord } from '../../store/triggers.js';
import type { OperationDeps } from '../deps.js';
import type { ScheduleState } from '../schedule-gateway.js';
import { isCron, parseCron } from './cron.js';
import { describeCron } from './describe-schedule.js';
import type { ScheduleConfig, WebhookConfig } from './trigger-input.js';

const SHOWN = 5;

export type WireTrigger = ReturnType<typeof toWireTrigger>;

/** `state`: what Temporal says of a schedule; undefined when it was not asked, or is away. `webhookUrl` is relative to the deployment. Pure. */
export function toWireTrigger(row: TriggerRecord, state?: ScheduleState) {
  const { id, name, type, workflowId, enabled, config, variableMapping, lastFiredAt, createdAt, updatedAt } = row;
  return {
    id,
    name,
    type,
    workflowId,
    enabled,
    config,
    variableMapping,
    ...(type === 'webhook' ? webhookPart(row) : {}),
    ...(type === 'schedule' ? { schedule: schedulePart(row, state) } : {}),
    lastFiredAt,
    createdAt,
    updatedAt,
  };
}

const webhookPart = ({ config, secret, secretPrevious }: TriggerRecord) => ({
  webhookUrl: `/webhooks/${(config as unknown as WebhookConfig).path}`,
  hasSecret: secret !== null,
  hasPreviousSecret: secretPrevious !== null,
});

function schedulePart(row: TriggerRecord, state: ScheduleState | undefined) {
  const { cron, timezone, overlap, catchupWindow, jitter } = scheduleOf(row);
  const parsed = parseCron(cron);
  return {
    cron,
    timezone,
    description: isCron(parsed) ? describeCron(parsed) : cron,
    next: (state?.next ?? []).slice(0, SHOWN),
    overlap,
    catchupWindowMs: parseDuration(catchupWindow) ?? 0,
    jitterMs: parseDuration(jitter) ?? 0,
    paused: state?.paused ?? row.paused,
  };
}

/** The config of a trigger whose type is `schedule`. */
export const scheduleOf = (row: TriggerRecord): ScheduleConfig => row.config as unknown as ScheduleConfig;

/** A reader does not wait longer for what Temporal says: the row alone answers then. */
const PATIENCE_MS = 1_500;

/** The same with what Temporal says now. */
export async function readWireTrigger(deps: OperationDeps, row: TriggerRecord): Promise<WireTrigger> {
  if (row.type !== 'schedule') return toWireTrigger(row);
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<undefined>((resolve) => {
    timer = setTimeout(() => resolve(undefined), PATIENCE_MS);
  });
  const answer = await Promise.race([deps.temporal.schedules.describe(row.id), late]).finally(() => clearTimeout(timer));
  return toWireTrigger(row, answer?.kind === 'done' ? answer.value : undefined);
}
