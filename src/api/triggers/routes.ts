/** `/api/triggers`: what starts executions from outside, and what came of each arrival. */
import { z } from 'zod';
import { deleteTrigger } from '../../operations/triggers/delete-trigger.js';
import { getTrigger, listDeliveries, listTriggers, upcoming } from '../../operations/triggers/read-triggers.js';
import { runTrigger } from '../../operations/triggers/run-trigger.js';
import { syncTrigger, updateTrigger } from '../../operations/triggers/save-trigger.js';
import { backfill, setEnabled, setPaused } from '../../operations/triggers/switch-trigger.js';
import { testFire } from '../../operations/triggers/test-fire.js';
import { TriggerInputSchema } from '../../operations/triggers/trigger-input.js';
import type { WireTrigger } from '../../operations/triggers/wire-trigger.js';
import { runWorkflow } from '../../operations/start-execution.js';
import type { JsonObject } from '../../definition/value.js';
import { TRIGGER_TYPES } from '../../store/triggers.js';
import { ExecutionShape } from '../executions/shape.js';
import { idempotencyOf, IdempotencyKeySchema } from '../idempotency-key.js';
import { noContent, reply, route, type Route } from '../route.js';
import { BooleanQuery, Instant, InstantInput, JsonObjectInput, listOf, pageQuery, text } from '../shapes.js';
import { DeliveryShape, OutcomeShape, TriggerShape } from './shape.js';

const tag = 'Triggers';
/** An id, or a name in any case. */
const params = z.object({ id: z.string().min(1).max(200) });

/** The operation tells every fault of it at once; this is its schema for the document. */
const TriggerBody = JsonObjectInput.meta(
  z.toJSONSchema(TriggerInputSchema, { io: 'input', unrepresentable: 'any', reused: 'inline' }) as { type: 'object' },
);
const ChangeBody = JsonObjectInput.describe('Any fields of a trigger; fields of config one by one, null takes one away');

const RunBody = z
  .looseObject({ variables: JsonObjectInput.exactOptional(), idempotencyKey: IdempotencyKeySchema.exactOptional() })
  .describe('Of a manual trigger the whole body is the payload')
  .default({});
const ManualBody = z.looseObject({
  workflowId: text(1, 200).describe('An id or a slug'),
  variables: JsonObjectInput.exactOptional(),
  idempotencyKey: IdempotencyKeySchema.exactOptional(),
});

const TriggerAnswer = z.object({ trigger: TriggerShape });
const SavedAnswer = z.object({ trigger: TriggerShape, created: z.boolean() });
const StartAnswer = z.object({
  execution: ExecutionShape.nullable().describe('Null: the prompt was said to the orchestrator'),
  duplicate: z.boolean(),
});

/** A webhook's address as the caller reaches this deployment. */
const shown = (trigger: WireTrigger, origin: string): WireTrigger =>
  'webhookUrl' in trigger ? { ...trigger, webhookUrl: `${origin}${trigger.webhookUrl}` } : trigger;

const startProblems = { 409: ['workflow_disabled', 'idempotency_key_reused'], 429: ['concurrency_limit'] } as const;

export const triggerRoutes: readonly Route[] = [
  route({
    method: 'get',
    path: '/api/triggers',
    tag,
    summary: 'List triggers, newest first',
    auth: 'read',
    query: z.object({
      ...pageQuery,
      workflowId: text(1, 200).exactOptional(),
      type: z.enum(TRIGGER_TYPES).exactOptional(),
      enabled: BooleanQuery.exactOptional(),
    }),
    responses: { 200: listOf(TriggerShape) },
    handle: async ({ deps, principal, query, origin }) => {
      const page = await listTriggers(deps.operations, principal, query);
      return reply(200, { ...page, items: page.items.map((trigger) => shown(trigger, origin)) });
    },
  }),
  route({
    method: 'post',
    path: '/api/triggers',
    tag,
    summary: 'Make a trigger, or replace every field of the one of that name',
    description:
      'Names are compared in any case. What is left out gets its default; id, creation, deliveries and a schedule’s pause stay. The type may not change. Only an admin creates or widens a github trigger.',
    auth: 'write',
    body: TriggerBody,
    problems: { 404: ['not_found'], 409: ['webhook_path_taken'] },
    responses: { 200: SavedAnswer, 201: SavedAnswer },
    handle: async ({ deps, principal, body, origin }) => {
      const { trigger, created } = await syncTrigger(deps.operations, principal, body);
      const answer = { trigger: shown(trigger, origin), created };
      return created ? reply(201, answer) : reply(200, answer);
    },
  }),
  route({
    method: 'post',
    path: '/api/triggers/manual/run',
    tag,
    summary: 'Start a workflow by hand, without a trigger of its own',
    description: 'What was sent is the run’s `_payload`.',
    auth: 'run',
    body: ManualBody,
    idempotent: true,
    problems: { 404: ['not_found'], ...startProblems },
    responses: { 200: StartAnswer, 202: StartAnswer },
    handle: async ({ deps, principal, body, idempotencyKey }) => {
      const { workflowId: id, variables, idempotencyKey: own } = body;
      const started = await runWorkflow(deps.operations, principal, {
        id,
        payload: body as JsonObject,
        ...(variables === undefined ? {} : { variables }),
        ...idempotencyOf(idempotencyKey, own),
      });
      return started.duplicate ? reply(200, started) : reply(202, started);
    },
  }),
  route({
    method: 'get',
    path: '/api/triggers/:id',
    tag,
    summary: 'One trigger, by id or name',
    auth: 'read',
    params,
    responses: { 200: TriggerAnswer },
    handle: async ({ deps, principal, params: { id }, origin }) => {
      const { trigger } = await getTrigger(deps.operations, principal, { id });
      return reply(200, { trigger: shown(trigger, origin) });
    },
  }),
  route({
    method: 'patch',
    path: '/api/triggers/:id',
    tag,
    summary: 'Change what is sent and nothing else',
    auth: 'write',
    params,
    body: ChangeBody,
    problems: { 409: ['webhook_path_taken'] },
    responses: { 200: TriggerAnswer },
    handle: async ({ deps, principal, params: { id }, body, origin }) => {
      const { trigger } = await updateTrigger(deps.operations, principal, { id, change: body });
      return reply(200, { trigger: shown(trigger, origin) });
    },
  }),
  route({
    method: 'delete',
    path: '/api/triggers/:id',
    tag,
    summary: 'Delete a trigger with its deliveries and its Temporal Schedule',
    auth: 'write',
    params,
    responses: { 204: null },
    handle: async ({ deps, principal, params: { id } }) => {
      await deleteTrigger(deps.operations, principal, { id });
      return noContent;
    },
  }),
  ...(['enable', 'disable'] as const).map((verb) =>
    route({
      method: 'post',
      path: `/api/triggers/:id/${verb}`,
      tag,
      summary: verb === 'enable' ? 'Let a trigger start executions again' : 'Let a trigger start nothing by itself',
      auth: 'write',
      params,
      responses: { 200: TriggerAnswer },
      handle: async ({ deps, principal, params: { id }, origin }) => {
        const { trigger } = await setEnabled(deps.operations, principal, { id, enabled: verb === 'enable' });
        return reply(200, { trigger: shown(trigger, origin) });
      },
    }),
  ),
  ...(['pause', 'resume'] as const).map((verb) =>
    route({
      method: 'post',
      path: `/api/triggers/:id/${verb}`,
      tag,
      summary: verb === 'pause' ? 'Pause the Temporal Schedule: it does not tick' : 'Let the Temporal Schedule tick again',
      auth: 'write',
      params,
      problems: { 422: ['validation_failed'] },
      responses: { 200: TriggerAnswer },
      handle: async ({ deps, principal, params: { id } }) =>
        reply(200, await setPaused(deps.operations, principal, { id, paused: verb === 'pause' })),
    }),
  ),
  route({
    method: 'post',
    path: '/api/triggers/:id/run',
    tag,
    summary: 'Fire a trigger now',
    description: 'Also a disabled one, as somebody asks; not one of a disabled workflow.',
    auth: 'run',
    params,
    body: RunBody,
    idempotent: true,
    problems: { 400: ['bad_request'], ...startProblems },
    responses: { 200: StartAnswer, 202: StartAnswer },
    handle: async ({ deps, principal, params: { id }, body, idempotencyKey }) => {
      const { variables, idempotencyKey: own } = body;
      const fired = await runTrigger(deps.operations, principal, {
        id,
        body: body as JsonObject,
        ...(variables === undefined ? {} : { variables }),
        ...idempotencyOf(idempotencyKey, own),
      });
      return fired.duplicate ? reply(200, fired) : reply(202, fired);
    },
  }),
  route({
    method: 'post',
    path: '/api/triggers/:id/test-fire',
    tag,
    summary: 'Send a payload on the way of a real one, from the mapping on; what it starts is a test',
    auth: 'run',
    params,
    body: z.strictObject({ payload: JsonObjectInput.describe('Default: one made up to fit the mapping').exactOptional() }).default({}),
    problems: { 400: ['bad_request'], 409: ['workflow_disabled'] },
    responses: { 202: z.object({ outcome: OutcomeShape, executionId: z.string().nullable(), reason: z.string().nullable() }) },
    handle: async ({ deps, principal, params: { id }, body }) => reply(202, await testFire(deps.operations, principal, { id, ...body })),
  }),
  route({
    method: 'post',
    path: '/api/triggers/:id/backfill',
    tag,
    summary: 'Run the ticks of a stretch of the past, both ends included, each once',
    auth: 'run',
    params,
    body: z.strictObject({ start: InstantInput, end: InstantInput }),
    responses: { 202: z.object({ accepted: z.literal(true) }) },
    handle: async ({ deps, principal, params: { id }, body }) => reply(202, await backfill(deps.operations, principal, { id, ...body })),
  }),
  route({
    method: 'get',
    path: '/api/triggers/:id/deliveries',
    tag,
    summary: 'What came of every arrival, newest first',
    auth: 'read',
    params,
    query: z.object(pageQuery),
    responses: { 200: listOf(DeliveryShape) },
    handle: async ({ deps, principal, params: { id }, query }) =>
      reply(200, await listDeliveries(deps.operations, principal, { id, ...query })),
  }),
  route({
    method: 'get',
    path: '/api/triggers/:id/upcoming',
    tag,
    summary: 'When a schedule fires next, as Temporal reckons it',
    auth: 'read',
    params,
    query: z.object({
      count: z
        .string()
        .regex(/^\d{1,3}$/, 'Expected a whole number')
        .transform(Number)
        .pipe(z.number().min(1).max(100))
        .meta({ type: 'integer', minimum: 1, maximum: 100, default: 5 })
        .optional()
        .transform((count) => count ?? 5),
    }),
    problems: { 422: ['validation_failed'] },
    responses: { 200: z.object({ items: z.array(Instant) }) },
    handle: async ({ deps, principal, params: { id }, query: { count } }) =>
      reply(200, await upcoming(deps.operations, principal, { id, count })),
  }),
];
