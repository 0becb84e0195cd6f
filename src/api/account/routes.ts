/** Who calls, and what everybody did. */
import { z } from 'zod';
import { getMe, listAudit } from '../../operations/account.js';
import { KeyShape } from '../keys/shape.js';
import { reply, route, type Route } from '../route.js';
import { listOf, pageQuery } from '../shapes.js';
import { UserShape } from '../users/shape.js';
import { AuditEntryShape } from './shape.js';

const tag = 'Account';

export const accountRoutes: readonly Route[] = [
  route({
    method: 'get',
    path: '/api/me',
    tag,
    summary: 'The caller',
    auth: 'read',
    responses: { 200: z.object({ user: UserShape, key: KeyShape.nullable(), csrfToken: z.string().nullable() }) },
    handle: async ({ deps, principal }) => reply(200, { ...(await getMe(deps.operations, principal)), csrfToken: null }),
  }),
  route({
    method: 'get',
    path: '/api/audit',
    tag,
    summary: 'Who did what, newest first',
    auth: 'admin',
    query: z.object(pageQuery),
    responses: { 200: listOf(AuditEntryShape) },
    handle: async ({ deps, principal, query }) => reply(200, await listAudit(deps.operations, principal, query)),
  }),
];
