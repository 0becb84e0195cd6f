/** Who calls, browsers that log in and out, and what everybody did. */
import { z } from 'zod';
import { getMe, listAudit } from '../../operations/account.js';
import { logIn, logOut } from '../../operations/logins.js';
import { authenticateKey, forget } from '../authenticate.js';
import { KeyShape } from '../keys/shape.js';
import { toLoginCookie, toNoLoginCookie } from '../login-cookie.js';
import { noContent, publicRoute, reply, route, type Route } from '../route.js';
import { component, listOf, pageQuery, text } from '../shapes.js';
import { UserShape } from '../users/shape.js';
import { AuditEntryShape } from './shape.js';

const tag = 'Account';
const MeShape = component(
  'Me',
  z.object({
    user: UserShape,
    key: KeyShape.nullable(),
    csrfToken: z.string().nullable().describe('Of a browser’s login: its writes bear it as X-CSRF-Token. Null behind a key'),
  }),
);

export const accountRoutes: readonly Route[] = [
  publicRoute({
    method: 'post',
    path: '/api/login',
    tag,
    summary: 'Log a browser in with a key',
    description:
      'Sets an HttpOnly cookie with the key’s rights, for 30 days or until the key ends. Writes by cookie bear X-CSRF-Token, reads and GET /ws need nothing else.',
    // Nobody is logged in as somebody else by a page that they happen to look at.
    isForOwnPages: true,
    body: z.strictObject({ key: text(1, 300) }),
    problems: { 401: ['unauthenticated'], 403: ['forbidden'], 429: ['rate_limited'], 503: ['unavailable'] },
    responses: { 200: MeShape },
    handle: async ({ deps, body, origin }) => {
      const principal = await authenticateKey(body.key, deps.gatekeepers);
      const { secret, expiresAt, login } = await logIn(deps.operations, principal);
      const me = { ...(await getMe(deps.operations, principal)), csrfToken: login.csrfToken };
      return { ...reply(200, me), headers: { 'Set-Cookie': toLoginCookie(secret, expiresAt, origin) } };
    },
  }),
  route({
    method: 'post',
    path: '/api/logout',
    tag,
    summary: 'Log a browser out',
    description: 'Ends the login of the cookie and what it holds open, and takes the cookie away. Behind a key there is nothing to end.',
    auth: 'read',
    responses: { 204: null },
    handle: async ({ deps, principal, login, origin }) => {
      if (login !== undefined) await logOut(deps.operations, principal, login);
      forget(deps.gatekeepers);
      return { ...noContent, headers: { 'Set-Cookie': toNoLoginCookie(origin) } };
    },
  }),
  route({
    method: 'get',
    path: '/api/me',
    tag,
    summary: 'The caller',
    auth: 'read',
    responses: { 200: MeShape },
    handle: async ({ deps, principal, login }) =>
      reply(200, { ...(await getMe(deps.operations, principal)), csrfToken: login?.csrfToken ?? null }),
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
