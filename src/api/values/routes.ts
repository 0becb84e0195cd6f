/** `/api/values`: what is too large to be shown in place. */
import { z } from 'zod';
import { getValue } from '../../operations/get-value.js';
import { route, reply, type Route } from '../route.js';
import { idParam, JsonOut } from '../shapes.js';

export const valueRoutes: readonly Route[] = [
  route({
    method: 'get',
    path: '/api/values/:ref',
    tag: 'Values',
    summary: 'A large value, whole',
    auth: 'read',
    params: z.object({ ref: idParam('val') }),
    responses: { 200: JsonOut },
    handle: async ({ deps, principal, params: { ref } }) => reply(200, await getValue(deps.operations, principal, { ref })),
  }),
];
