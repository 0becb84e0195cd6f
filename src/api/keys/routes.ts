/** `/api/keys`: one's own keys; an admin's for others too. */
import { z } from 'zod';
import { createKey, listKeys, revokeKey } from '../../operations/keys.js';
import { ACTIONS, ROLES } from '../../operations/role-matrix.js';
import { forget } from '../authenticate.js';
import { noContent, reply, route, type Route } from '../route.js';
import { idParam, InstantInput, listOf, pageQuery, text } from '../shapes.js';
import { KeyShape } from './shape.js';

const tag = 'Keys';
const CreateBody = z.strictObject({
  name: text(1, 200),
  role: z.enum(ROLES),
  kind: z.enum(['person', 'agent']).default('person'),
  userId: idParam('usr').exactOptional().describe('Another person’s key: for admins'),
  scopes: z.array(z.enum(ACTIONS)).min(1).max(ACTIONS.length).exactOptional(),
  expiresAt: InstantInput.nullable().exactOptional(),
});

export const keyRoutes: readonly Route[] = [
  route({
    method: 'get',
    path: '/api/keys',
    tag,
    summary: 'List your keys, newest first',
    auth: 'read',
    query: z.object(pageQuery),
    responses: { 200: listOf(KeyShape) },
    handle: async ({ deps, principal, query }) => reply(200, await listKeys(deps.operations, principal, query)),
  }),
  route({
    method: 'post',
    path: '/api/keys',
    tag,
    summary: 'Make a key; its secret is shown this once',
    auth: 'read',
    body: CreateBody,
    responses: { 201: z.object({ key: KeyShape, secret: z.string() }) },
    handle: async ({ deps, principal, body }) => reply(201, await createKey(deps.operations, principal, body)),
  }),
  route({
    method: 'delete',
    path: '/api/keys/:id',
    tag,
    summary: 'Revoke a key',
    auth: 'read',
    params: z.object({ id: idParam('key') }),
    responses: { 204: null },
    handle: async ({ deps, principal, params: { id } }) => {
      await revokeKey(deps.operations, principal, { id });
      forget(deps.gatekeepers);
      return noContent;
    },
  }),
];
