/** `/api/users`: people, for admins. */
import { z } from 'zod';
import { createUser, listUsers, updateUser } from '../../operations/users.js';
import { ROLES } from '../../operations/role-matrix.js';
import { forget } from '../authenticate.js';
import { reply, route, type Route } from '../route.js';
import { idParam, listOf, pageQuery, text } from '../shapes.js';
import { UserShape } from './shape.js';

const tag = 'Users';
const Groups = z.array(text(1, 100)).max(100);
const SlackUserId = text(1, 50).nullable();
const UserAnswer = z.object({ user: UserShape });

const CreateBody = z.strictObject({
  name: text(1, 200),
  email: z.email().max(320),
  role: z.enum(ROLES),
  slackUserId: SlackUserId.exactOptional(),
  groups: Groups.exactOptional(),
});
const UpdateBody = z.strictObject({
  role: z.enum(ROLES).exactOptional(),
  groups: Groups.exactOptional(),
  slackUserId: SlackUserId.exactOptional(),
  disabled: z.boolean().exactOptional(),
});

export const userRoutes: readonly Route[] = [
  route({
    method: 'get',
    path: '/api/users',
    tag,
    summary: 'List people, newest first',
    auth: 'admin',
    query: z.object(pageQuery),
    responses: { 200: listOf(UserShape) },
    handle: async ({ deps, principal, query }) => reply(200, await listUsers(deps.operations, principal, query)),
  }),
  route({
    method: 'post',
    path: '/api/users',
    tag,
    summary: 'Add a person',
    auth: 'admin',
    body: CreateBody,
    problems: { 409: ['email_taken', 'slack_user_taken'] },
    responses: { 201: UserAnswer },
    handle: async ({ deps, principal, body }) => reply(201, await createUser(deps.operations, principal, body)),
  }),
  route({
    method: 'patch',
    path: '/api/users/:id',
    tag,
    summary: 'Change a person’s role, groups, Slack user or access',
    auth: 'admin',
    params: z.object({ id: idParam('usr') }),
    body: UpdateBody,
    problems: { 409: ['slack_user_taken'] },
    responses: { 200: UserAnswer },
    handle: async ({ deps, principal, params: { id }, body }) => {
      const answer = await updateUser(deps.operations, principal, { id, ...body });
      forget(deps.gatekeepers);
      return reply(200, answer);
    },
  }),
];
