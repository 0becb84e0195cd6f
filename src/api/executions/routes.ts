/** `/api/executions`: what ran and runs, and the commands to it. */
import { z } from 'zod';
import { cancelExecution } from '../../operations/cancel-execution.js';
import { pauseExecution, resumeExecution } from '../../operations/pause-execution.js';
import {
  getExecution,
  getExecutionDefinition,
  listChildren,
  listEvents,
  listExecutions,
  listSteps,
} from '../../operations/read-executions.js';
import { rerunExecution } from '../../operations/rerun-execution.js';
import { sendEvent } from '../../operations/send-event.js';
import { idempotencyOf, IdempotencyKeySchema } from '../idempotency-key.js';
import { reply, route, type Route } from '../route.js';
import { AnyJson, BooleanQuery, InstantInput, JsonObjectInput, JsonOut, listOf, pageQuery, text } from '../shapes.js';
import { EventShape, EXECUTION_STATUSES, ExecutionShape, StepShape, TRIGGER_TYPES, executionParams } from './shape.js';
import { executionStreamRoute } from './stream.js';

const tag = 'Executions';
const params = executionParams;

const ListQuery = z.object({
  ...pageQuery,
  workflowId: text(1, 100).exactOptional(),
  status: z.enum(EXECUTION_STATUSES).exactOptional(),
  triggerType: z.enum(TRIGGER_TYPES).exactOptional(),
  since: InstantInput.exactOptional(),
  until: InstantInput.exactOptional(),
  q: text(1, 200).exactOptional(),
  includeTest: BooleanQuery.exactOptional(),
});

const SeqQuery = z
  .string()
  .regex(/^\d{1,9}$/, 'Expected a whole number')
  .transform(Number)
  .meta({ type: 'integer', minimum: 0, default: 0 });
const EventsQuery = z.object({ limit: pageQuery.limit, after: SeqQuery.exactOptional() });

const RerunBody = z
  .strictObject({
    fromStepId: text(1, 64).exactOptional(),
    iterationPath: text(0, 4_000).exactOptional(),
    version: z.enum(['same', 'latest']).exactOptional(),
    variables: JsonObjectInput.exactOptional(),
    idempotencyKey: IdempotencyKeySchema.exactOptional(),
  })
  // Ignored, it would rerun everything where a part was meant.
  .refine(({ fromStepId, iterationPath }) => iterationPath === undefined || fromStepId !== undefined, {
    path: ['fromStepId'],
    message: 'iterationPath says which pass of fromStepId: send both',
  })
  .default({});

const SendEventBody = z.strictObject({
  event: text(1, 200),
  payload: AnyJson.exactOptional(),
  idempotencyKey: IdempotencyKeySchema.exactOptional(),
});

const ExecutionAnswer = z.object({ execution: ExecutionShape });
const StartAnswer = ExecutionAnswer.extend({ duplicate: z.boolean() });
const CommandAnswer = ExecutionAnswer.extend({ ignored: z.literal(true).optional() });
const commandResponses = { 200: CommandAnswer, 202: CommandAnswer };
const NoBody = z.strictObject({}).default({});

export const executionRoutes: readonly Route[] = [
  route({
    method: 'get',
    path: '/api/executions',
    tag,
    summary: 'List executions, newest first',
    auth: 'read',
    query: ListQuery,
    responses: { 200: listOf(ExecutionShape) },
    handle: async ({ deps, principal, query }) => reply(200, await listExecutions(deps.operations, principal, query)),
  }),
  route({
    method: 'get',
    path: '/api/executions/:id',
    tag,
    summary: 'One execution',
    auth: 'read',
    params,
    responses: { 200: ExecutionAnswer },
    handle: async ({ deps, principal, params: { id } }) => reply(200, await getExecution(deps.operations, principal, { id })),
  }),
  route({
    method: 'get',
    path: '/api/executions/:id/definition',
    tag,
    summary: 'The definition that it runs on',
    auth: 'read',
    params,
    responses: { 200: z.object({ data: JsonOut, hash: z.string(), version: z.string() }) },
    handle: async ({ deps, principal, params: { id } }) => reply(200, await getExecutionDefinition(deps.operations, principal, { id })),
  }),
  route({
    method: 'get',
    path: '/api/executions/:id/steps',
    tag,
    summary: 'Its step instances, in definition order',
    auth: 'read',
    params,
    responses: { 200: z.object({ items: z.array(StepShape) }) },
    handle: async ({ deps, principal, params: { id } }) => reply(200, await listSteps(deps.operations, principal, { id })),
  }),
  route({
    method: 'get',
    path: '/api/executions/:id/events',
    tag,
    summary: 'Its log, oldest first',
    auth: 'read',
    params,
    query: EventsQuery,
    responses: { 200: listOf(EventShape) },
    handle: async ({ deps, principal, params: { id }, query }) =>
      reply(200, await listEvents(deps.operations, principal, { id, ...query })),
  }),
  executionStreamRoute,
  route({
    method: 'get',
    path: '/api/executions/:id/children',
    tag,
    summary: 'The subworkflows that it started',
    auth: 'read',
    params,
    query: z.object(pageQuery),
    responses: { 200: listOf(ExecutionShape) },
    handle: async ({ deps, principal, params: { id }, query }) =>
      reply(200, await listChildren(deps.operations, principal, { id, ...query })),
  }),
  route({
    method: 'post',
    path: '/api/executions/:id/cancel',
    tag,
    summary: 'Cancel it; clean-up runs',
    auth: 'run',
    params,
    body: z.strictObject({ reason: text(0, 2_000).exactOptional() }).default({}),
    responses: commandResponses,
    handle: async ({ deps, principal, params: { id }, body }) =>
      commanded(await cancelExecution(deps.operations, principal, { id, ...body })),
  }),
  route({
    method: 'post',
    path: '/api/executions/:id/pause',
    tag,
    summary: 'Stop it at the next step boundary',
    auth: 'run',
    params,
    body: NoBody,
    responses: commandResponses,
    handle: async ({ deps, principal, params: { id } }) => commanded(await pauseExecution(deps.operations, principal, { id })),
  }),
  route({
    method: 'post',
    path: '/api/executions/:id/resume',
    tag,
    summary: 'Let it go on',
    auth: 'run',
    params,
    body: NoBody,
    responses: commandResponses,
    handle: async ({ deps, principal, params: { id } }) => commanded(await resumeExecution(deps.operations, principal, { id })),
  }),
  route({
    method: 'post',
    path: '/api/executions/:id/rerun',
    tag,
    summary: 'Start a new execution from one of its steps',
    auth: 'run',
    params,
    body: RerunBody,
    idempotent: true,
    problems: { 409: ['rerun_not_possible', 'workflow_disabled', 'idempotency_key_reused'], 429: ['concurrency_limit'] },
    responses: { 200: StartAnswer, 202: StartAnswer },
    handle: async ({ deps, principal, params: { id }, body, idempotencyKey }) => {
      const started = await rerunExecution(deps.operations, principal, {
        id,
        ...body,
        ...idempotencyOf(idempotencyKey, body.idempotencyKey),
      });
      return started.duplicate ? reply(200, started) : reply(202, started);
    },
  }),
  route({
    method: 'post',
    path: '/api/executions/:id/events',
    tag,
    summary: 'Send it an event',
    auth: 'run',
    params,
    body: SendEventBody,
    idempotent: true,
    problems: { 409: ['execution_ended', 'idempotency_key_reused'], 429: ['event_backlog_full'] },
    responses: { 202: z.object({ accepted: z.literal(true), duplicate: z.boolean() }) },
    handle: async ({ deps, principal, params: { id }, body, idempotencyKey }) =>
      reply(202, await sendEvent(deps.operations, principal, { id, ...body, ...idempotencyOf(idempotencyKey, body.idempotencyKey) })),
  }),
];

/** A command to an execution that has ended changes nothing, and says so. */
function commanded<E>(result: { readonly execution: E; readonly ignored: boolean }) {
  return result.ignored ? reply(200, { execution: result.execution, ignored: true as const }) : reply(202, { execution: result.execution });
}
