/** Trigger and Delivery as api.md says. */
import { z } from 'zod';
import { DELIVERY_OUTCOMES } from '../../store/deliveries.js';
import { TRIGGER_TYPES } from '../../store/triggers.js';
import { OVERLAPS } from '../../operations/schedule-gateway.js';
import { component, DurationMs, Instant, JsonOut, NullableInstant } from '../shapes.js';

export const OutcomeShape = z.enum(DELIVERY_OUTCOMES);

export const TriggerShape = component(
  'Trigger',
  z.object({
    id: z.string(),
    name: z.string(),
    type: z.enum(TRIGGER_TYPES),
    workflowId: z.string().nullable().describe('Null: a schedule that speaks to the orchestrator'),
    enabled: z.boolean(),
    config: JsonOut.describe('As it was written, with defaults, without secrets'),
    variableMapping: z.record(z.string(), z.string()),
    webhookUrl: z.string().optional(),
    hasSecret: z.boolean().optional().describe('Of a webhook: calls must be signed'),
    hasPreviousSecret: z.boolean().optional(),
    schedule: z
      .object({
        cron: z.string(),
        timezone: z.string(),
        description: z.string().describe('The cron expression in words'),
        next: z.array(Instant).describe('The next five starts, as Temporal reckons them; empty while it is away'),
        overlap: z.enum(OVERLAPS),
        catchupWindowMs: DurationMs,
        jitterMs: DurationMs,
        paused: z.boolean(),
      })
      .optional(),
    lastFiredAt: NullableInstant,
    createdAt: Instant,
    updatedAt: Instant,
  }),
);

export const DeliveryShape = component(
  'Delivery',
  z.object({
    id: z.string(),
    triggerId: z.string(),
    outcome: OutcomeShape,
    reason: z.string().nullable(),
    eventType: z.string().nullable(),
    deliveryId: z.string().nullable().describe('The sender’s id, or the nominal time of a tick'),
    executionId: z.string().nullable(),
    payloadPreview: z.string().nullable().describe('8,192 characters of what matched, 512 otherwise; secrets are taken out'),
    latencyMs: DurationMs,
    test: z.boolean(),
    receivedAt: Instant,
  }),
);
