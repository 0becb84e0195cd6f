/** Execution, Step and Event as api.md says. */
import { z } from 'zod';
import { component, DurationMs, Instant, JsonOut, NullableInstant } from '../shapes.js';

/** A scheduled run's id ends in its nominal time. */
export const executionParams = z.object({ id: z.string().regex(/^exe_[A-Za-z0-9_:.-]{1,150}$/) });

export const EXECUTION_STATUSES = [
  'pending',
  'running',
  'waiting_approval',
  'waiting_event',
  'paused',
  'cancelling',
  'completed',
  'failed',
  'cancelled',
] as const;
export const TRIGGER_TYPES = ['manual', 'webhook', 'schedule', 'github', 'agent', 'chat', 'subworkflow', 'rerun', 'test'] as const;
const STEP_STATUSES = ['pending', 'running', 'waiting_approval', 'waiting_event', 'completed', 'failed', 'cancelled', 'skipped'] as const;

export const ErrorShape = component(
  'Error',
  z.object({
    code: z.string().describe('Stable, snake_case; docs/errors.md lists them'),
    message: z.string(),
    stepId: z.string().nullish(),
    iterationPath: z.string().nullish(),
    attempt: z.number().int().nullish(),
    retryable: z.boolean().optional(),
    details: JsonOut.optional(),
  }),
);

const UsageShape = z.object({
  inputTokens: z.number().int().describe('Cache writes included'),
  outputTokens: z.number().int(),
  cacheReadTokens: z.number().int(),
  models: z.array(z.string()),
  estimated: z.boolean().optional().describe('Calls that were cut off are in it, reckoned from what had arrived'),
});

export const ExecutionShape = component(
  'Execution',
  z.object({
    id: z.string(),
    workflowId: z.string().nullable(),
    workflowName: z.string(),
    version: z.string(),
    hash: z.string(),
    status: z.enum(EXECUTION_STATUSES),
    trigger: z.object({
      type: z.enum(TRIGGER_TYPES),
      id: z.string().nullish(),
      name: z.string().nullish(),
      deliveryId: z.string().nullish(),
      scheduledAt: NullableInstant.optional(),
    }),
    variables: z.record(z.string(), JsonOut),
    output: JsonOut,
    error: ErrorShape.nullable(),
    reason: z.string().nullish().describe('Why it was cancelled'),
    progress: z.object({ done: z.number().int(), total: z.number().int(), current: z.array(z.string()) }),
    usage: UsageShape,
    sessionId: z.string(),
    parent: z.object({ executionId: z.string(), stepId: z.string(), iterationPath: z.string() }).nullable(),
    rerunOf: z.object({ executionId: z.string(), stepId: z.string().optional(), iterationPath: z.string().optional() }).nullable(),
    reruns: z.array(z.string()).optional().describe('Executions that rerun this one; where one execution is asked for'),
    createdAt: Instant,
    startedAt: NullableInstant,
    completedAt: NullableInstant,
    durationMs: DurationMs.nullable(),
  }),
);

/** Rows and dry runs tell it as text. */
const StepStatus = z
  .string()
  .refine((status) => (STEP_STATUSES as readonly string[]).includes(status), 'Expected a status of a step')
  .meta({ enum: [...STEP_STATUSES] });

export const StepShape = component(
  'Step',
  z.object({
    stepId: z.string(),
    name: z.string().nullish(),
    type: z.string(),
    iterationPath: z.string(),
    attempt: z.number().int(),
    status: StepStatus,
    input: JsonOut,
    output: JsonOut,
    error: ErrorShape.nullable(),
    warnings: z.array(z.object({ code: z.string(), message: z.string() })),
    startedAt: NullableInstant,
    completedAt: NullableInstant,
    durationMs: DurationMs.nullable(),
    model: z.string().nullish(),
    usage: UsageShape.nullish(),
    turnIds: z.array(z.string()).optional(),
    seeded: z.boolean().optional().describe('Taken from the execution that this one reruns'),
  }),
);

export const EventShape = component(
  'Event',
  z.object({
    seq: z.number().int(),
    executionId: z.string().nullable(),
    kind: z.string(),
    stepId: z.string().nullish(),
    iterationPath: z.string().nullish(),
    attempt: z.number().int().nullish(),
    at: Instant,
    data: JsonOut,
  }),
);
