/** `/api/secrets`: written, named, never read back. */
import { z } from 'zod';
import { deleteSecret, listSecrets, putSecret } from '../../operations/secrets.js';
import { noContent, reply, route, type Route } from '../route.js';
import { Instant, text } from '../shapes.js';

const tag = 'Secrets';
const params = z.object({
  name: z.string().regex(/^[A-Za-z_][A-Za-z0-9_]{0,127}$/, 'Expected letters, digits and _, not beginning with a digit; at most 128'),
});
const SecretNameShape = z.object({ name: z.string(), createdAt: Instant, updatedAt: Instant });

export const secretRoutes: readonly Route[] = [
  route({
    method: 'get',
    path: '/api/secrets',
    tag,
    summary: 'The names of your secrets',
    auth: 'read',
    responses: { 200: z.object({ items: z.array(SecretNameShape) }) },
    handle: async ({ deps, principal }) => reply(200, await listSecrets(deps.operations, principal)),
  }),
  route({
    method: 'put',
    path: '/api/secrets/:name',
    tag,
    summary: 'Keep a secret under a name',
    auth: 'write',
    params,
    isNamed: true,
    body: z.strictObject({ value: text(1, 65_536) }),
    responses: { 204: null },
    handle: async ({ deps, principal, params: { name }, body }) => {
      await putSecret(deps.operations, principal, { name, value: body.value });
      return noContent;
    },
  }),
  route({
    method: 'delete',
    path: '/api/secrets/:name',
    tag,
    summary: 'Forget a secret',
    auth: 'write',
    params,
    responses: { 204: null },
    handle: async ({ deps, principal, params: { name } }) => {
      await deleteSecret(deps.operations, principal, { name });
      return noContent;
    },
  }),
];
