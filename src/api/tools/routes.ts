/** `/api/tools`, and `/api/policies`: what agents may do with them. */
import { randomUUID } from 'node:crypto';
import { z } from 'zod';
import { getPolicies, putPolicies } from '../../operations/tool-policies.js';
import type { DirectResult } from '../../tools/index.js';
import { isPolicyKey } from '../../tools/policy.js';
import { reply, route, type Route } from '../route.js';
import { component, JsonObjectInput, JsonOut, text } from '../shapes.js';

const tag = 'Tools';

const ToolShape = component(
  'Tool',
  z.object({
    id: z.string().describe('provider:action'),
    provider: z.string(),
    action: z.string(),
    description: z.string(),
    risk: z.enum(['low', 'medium', 'high']),
    parameters: z.record(z.string(), JsonOut).describe('JSON Schema of `params`'),
  }),
);
const ToolErrorShape = component(
  'ToolError',
  z.object({
    code: z.string().describe('Stable, snake_case'),
    message: z.string(),
    hint: z.string().describe('What to do about it'),
    details: z.record(z.string(), JsonOut).exactOptional(),
  }),
);
const CallAnswer = z.union([
  z.object({ success: z.literal(true), data: JsonOut.describe('What the tool gave; large data as { ref, bytes, sha256, preview }') }),
  z.object({ success: z.literal(false), error: ToolErrorShape }),
]);

const Policies = z
  .record(z.string().refine(isPolicyKey, 'Expected low, medium, high, provider:* or a tool id'), z.enum(['allow', 'approve', 'deny']))
  .refine((policies) => Object.keys(policies).length <= 500, 'At most 500 settings');
const PoliciesAnswer = z.object({
  policies: z.record(z.string(), z.enum(['allow', 'approve', 'deny'])).describe('Tool id, provider:* or risk; the nearest one counts'),
});

const GONE: DirectResult = { success: false, error: { code: 'tool_failed', message: 'The caller went away', hint: 'Call again.' } };

export const toolRoutes: readonly Route[] = [
  route({
    method: 'get',
    path: '/api/tools',
    tag,
    summary: 'The tools that there are, by id',
    auth: 'read',
    query: z.object({ provider: text(1, 100).exactOptional(), query: text(1, 200).exactOptional() }),
    responses: {
      200: z.object({
        items: z.array(ToolShape),
        unavailable: z
          .array(z.object({ provider: z.string(), reason: z.string() }))
          .describe('MCP servers that cannot be reached now, whose tools are missing'),
      }),
    },
    handle: async ({ deps, principal, query }) => {
      const { tools, unavailable } = await deps.tools.list(principal, query);
      return reply(200, { items: tools, unavailable });
    },
  }),
  route({
    method: 'post',
    path: '/api/tools/call',
    tag,
    summary: 'Call a tool',
    description:
      'Policy applies: what it holds for a person an agent’s key cannot call here, and a person calls with a `summary`. Tools that work in the workspace of a run (`files`, `shell`) cannot be called directly. What goes wrong with the call is an answer, not a status.',
    auth: 'run',
    idempotent: true,
    body: z.strictObject({
      toolId: text(1, 300),
      params: JsonObjectInput.optional(),
      summary: text(0, 500).exactOptional().describe('In one line, what for'),
    }),
    responses: { 200: CallAnswer },
    handle: async ({ deps, principal, body: { toolId, params = {}, summary }, idempotencyKey = randomUUID(), gone }) => {
      const call = { toolId, params, summary, idempotencyKey: `${principal.userId}/${idempotencyKey}`, signal: gone };
      try {
        return reply(200, await deps.tools.call(principal, call));
      } catch (error) {
        if (!gone.aborted) throw error;
        // Nobody reads it, and it is no fault of ours.
        return reply(200, GONE);
      }
    },
  }),
  route({
    method: 'get',
    path: '/api/policies',
    tag,
    summary: 'What you have set for the tools of your agents',
    auth: 'read',
    responses: { 200: PoliciesAnswer },
    handle: async ({ deps, principal }) => reply(200, await getPolicies(deps.operations, principal)),
  }),
  route({
    method: 'put',
    path: '/api/policies',
    tag,
    summary: 'Set what the tools of your agents may do, in place of all that was set',
    description: 'Only people may. Nothing here loosens what the operator has set in SIGNALBOX_TOOL_POLICY.',
    auth: 'write',
    body: z.strictObject({ policies: Policies }),
    responses: { 200: PoliciesAnswer },
    handle: async ({ deps, principal, body }) => reply(200, await putPolicies(deps.operations, principal, body)),
  }),
];
