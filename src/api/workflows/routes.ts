/** `/api/workflows`: saving, reading, starting, trying out, versions. */
import { z } from 'zod';
import { diffWorkflow } from '../../operations/diff-workflow.js';
import { listWorkflowExecutions } from '../../operations/read-executions.js';
import { getWorkflow, listWorkflows, workflowHistory } from '../../operations/read-workflows.js';
import { testRunDry, testRunLive } from '../../operations/test-run.js';
import { deleteWorkflow } from '../../operations/delete-workflow.js';
import { rollbackWorkflow } from '../../operations/rollback-workflow.js';
import { runWorkflow } from '../../operations/start-execution.js';
import { syncWorkflow } from '../../operations/sync-workflow.js';
import { updateWorkflow } from '../../operations/update-workflow.js';
import { validateWorkflow } from '../../operations/validate-definition.js';
import { RepoSchema } from '../../tools/workspace/repo.js';
import { ErrorShape, EventShape, ExecutionShape, StepShape } from '../executions/shape.js';
import { ProblemSchema } from '../problem.js';
import { idempotencyOf, IdempotencyKeySchema } from '../idempotency-key.js';
import { noContent, reply, route, type Route } from '../route.js';
import { BooleanQuery, JsonObjectInput, JsonOut, listOf, pageQuery, StorableDefinition, text } from '../shapes.js';
import { DiffShape, HistoryItemShape, WarningsShape, WorkflowShape } from './shape.js';

const tag = 'Workflows';
/** An id or a slug. */
const params = z.object({ id: z.string().regex(/^[A-Za-z0-9][A-Za-z0-9_.-]{0,199}$/) });

const Version = text(0, 100).describe('Such as 1.2.0');
const VersionOrHash = text(1, 100);
const Hash = z
  .string()
  .regex(/^(?:sha256:)?[0-9a-f]{64}$/, 'Expected sha256: and 64 hexadecimal digits')
  .transform((hash) => (hash.startsWith('sha256:') ? hash : `sha256:${hash}`));
const Tags = z.array(text(1, 50)).max(50);
const Slug = z.string().regex(/^[a-z0-9][a-z0-9_-]{0,98}$/, 'Expected lower-case letters, digits, hyphens');

/** What is said of name, description and version here is checked as part of the definition that it is written into. */
const SyncBody = z.strictObject({
  id: text(1, 100).exactOptional(),
  slug: Slug.exactOptional(),
  name: text(0, 10_000).exactOptional().describe('Default: the definition’s'),
  description: text(0, 10_000).nullable().exactOptional(),
  version: Version.exactOptional(),
  data: StorableDefinition,
  enabled: z.boolean().exactOptional(),
  tags: Tags.exactOptional(),
});

const UpdateBody = z.strictObject({
  slug: Slug.nullable().exactOptional(),
  name: text(0, 10_000).exactOptional(),
  description: text(0, 10_000).nullable().exactOptional(),
  version: Version.nullable().exactOptional(),
  data: StorableDefinition.exactOptional(),
  enabled: z.boolean().nullable().exactOptional(),
  tags: Tags.nullable().exactOptional(),
});

const RunBody = z
  .strictObject({
    variables: JsonObjectInput.exactOptional(),
    idempotencyKey: IdempotencyKeySchema.exactOptional(),
    version: VersionOrHash.exactOptional(),
    repo: RepoSchema.exactOptional().describe('Checked out in the run’s workspace when a step first uses it'),
    sessionId: text(1, 100).exactOptional(),
  })
  .default({});

const TestRunBody = z.strictObject({
  data: StorableDefinition,
  variables: JsonObjectInput.exactOptional(),
  mode: z.enum(['dry', 'live']),
  mocks: JsonObjectInput.describe('Step id → { output } | { error: { code, message } } | a list, one a visit').exactOptional(),
  idempotencyKey: IdempotencyKeySchema.exactOptional().describe('Of a live run'),
});

const RollbackBody = z.strictObject({ targetHash: Hash, version: Version.exactOptional(), notes: text(0, 2_000).exactOptional() });

const DryAnswer = z.object({
  status: z.string(),
  output: JsonOut,
  error: ErrorShape.nullable(),
  steps: z.array(StepShape),
  events: z.array(EventShape),
});
const StartAnswer = z.object({ execution: ExecutionShape, duplicate: z.boolean() });
const SavedAnswer = z.object({ workflow: WorkflowShape, warnings: WarningsShape });

export const workflowRoutes: readonly Route[] = [
  route({
    method: 'get',
    path: '/api/workflows',
    tag,
    summary: 'List workflows, newest first',
    auth: 'read',
    query: z.object({
      ...pageQuery,
      q: text(1, 200).exactOptional(),
      tag: text(1, 50).exactOptional(),
      enabled: BooleanQuery.exactOptional(),
    }),
    responses: { 200: listOf(WorkflowShape) },
    handle: async ({ deps, principal, query }) => reply(200, await listWorkflows(deps.operations, principal, query)),
  }),
  route({
    method: 'post',
    path: '/api/workflows/sync',
    tag,
    summary: 'Save a workflow: update by id, else slug, else name; or make it',
    auth: 'write',
    description:
      'The body’s name, description and version win and are written into the definition. A name need not be unique: by name, the oldest workflow of that name is meant.',
    body: SyncBody,
    problems: { 409: ['slug_taken'], 422: ['definition_invalid'] },
    responses: { 200: z.object({ workflow: WorkflowShape, created: z.boolean(), warnings: WarningsShape }) },
    handle: async ({ deps, principal, body }) => reply(200, await syncWorkflow(deps.operations, principal, body)),
  }),
  route({
    method: 'post',
    path: '/api/workflows/validate',
    tag,
    summary: 'Check a definition without saving it',
    auth: 'read',
    body: z.strictObject({ data: z.unknown().describe('Anything: it is told what is wrong with it as a definition') }),
    responses: { 200: z.object({ valid: z.boolean(), problems: z.array(ProblemSchema), hash: z.string().nullable() }) },
    handle: async ({ deps, principal, body }) => reply(200, await validateWorkflow(deps.operations, principal, body)),
  }),
  route({
    method: 'post',
    path: '/api/workflows/test-run',
    tag,
    summary: 'Try a definition without saving it: dry with mocks, or live',
    auth: 'run',
    description: 'A dry run answers 200 with its timeline; a live one 202, and 200 for a repeat of its key.',
    body: TestRunBody,
    idempotent: true,
    problems: { 409: ['idempotency_key_reused'], 422: ['definition_invalid'], 429: ['concurrency_limit'] },
    responses: { 200: z.union([DryAnswer, StartAnswer]), 202: StartAnswer },
    handle: async ({ deps, principal, body, idempotencyKey }) => {
      if (body.mode === 'dry') return reply(200, await testRunDry(deps.operations, principal, body));
      const started = await testRunLive(deps.operations, principal, { ...body, ...idempotencyOf(idempotencyKey, body.idempotencyKey) });
      return started.duplicate ? reply(200, started) : reply(202, started);
    },
  }),
  route({
    method: 'get',
    path: '/api/workflows/:id',
    tag,
    summary: 'One workflow, by id or slug',
    auth: 'read',
    params,
    responses: { 200: z.object({ workflow: WorkflowShape }) },
    handle: async ({ deps, principal, params: { id } }) => reply(200, await getWorkflow(deps.operations, principal, { id })),
  }),
  route({
    method: 'put',
    path: '/api/workflows/:id',
    tag,
    summary: 'Change any field of a workflow; null clears',
    auth: 'write',
    params,
    body: UpdateBody,
    problems: { 409: ['slug_taken'], 422: ['definition_invalid'] },
    responses: { 200: SavedAnswer },
    handle: async ({ deps, principal, params: { id }, body }) =>
      reply(200, await updateWorkflow(deps.operations, principal, { id, ...body })),
  }),
  route({
    method: 'delete',
    path: '/api/workflows/:id',
    tag,
    summary: 'Delete a workflow; its executions stay with their snapshot',
    auth: 'write',
    params,
    responses: { 204: null },
    handle: async ({ deps, principal, params: { id } }) => {
      await deleteWorkflow(deps.operations, principal, { id });
      return noContent;
    },
  }),
  route({
    method: 'post',
    path: '/api/workflows/:id/run',
    tag,
    summary: 'Start an execution',
    auth: 'run',
    params,
    body: RunBody,
    idempotent: true,
    problems: { 409: ['workflow_disabled', 'idempotency_key_reused'], 429: ['concurrency_limit'] },
    responses: { 200: StartAnswer, 202: StartAnswer },
    handle: async ({ deps, principal, params: { id }, body, idempotencyKey }) => {
      const started = await runWorkflow(deps.operations, principal, { id, ...body, ...idempotencyOf(idempotencyKey, body.idempotencyKey) });
      return started.duplicate ? reply(200, started) : reply(202, started);
    },
  }),
  route({
    method: 'get',
    path: '/api/workflows/:id/executions',
    tag,
    summary: 'Executions of a workflow, newest first',
    auth: 'read',
    params,
    query: z.object(pageQuery),
    responses: { 200: listOf(ExecutionShape) },
    handle: async ({ deps, principal, params: { id }, query }) =>
      reply(200, await listWorkflowExecutions(deps.operations, principal, { id, ...query })),
  }),
  route({
    method: 'get',
    path: '/api/workflows/:id/history',
    tag,
    summary: 'Every content that a workflow had, newest first',
    auth: 'read',
    params,
    query: z.object(pageQuery),
    responses: { 200: listOf(HistoryItemShape).extend({ currentHash: z.string() }) },
    handle: async ({ deps, principal, params: { id }, query }) =>
      reply(200, await workflowHistory(deps.operations, principal, { id, ...query })),
  }),
  route({
    method: 'get',
    path: '/api/workflows/:id/diff',
    tag,
    summary: 'What differs between two versions',
    auth: 'read',
    params,
    query: z.object({ from: Hash, to: Hash }),
    responses: { 200: DiffShape },
    handle: async ({ deps, principal, params: { id }, query }) =>
      reply(200, await diffWorkflow(deps.operations, principal, { id, ...query })),
  }),
  route({
    method: 'post',
    path: '/api/workflows/:id/rollback',
    tag,
    summary: 'Make an earlier content the current one',
    auth: 'write',
    params,
    body: RollbackBody,
    responses: { 200: z.object({ workflow: WorkflowShape, unchanged: z.boolean().optional() }) },
    handle: async ({ deps, principal, params: { id }, body }) =>
      reply(200, await rollbackWorkflow(deps.operations, principal, { id, ...body })),
  }),
];
