/** `POST /api/ws-ticket`: what a browser shows at `GET /ws`, which itself is no route but a handshake. */
import { z } from 'zod';
import { issueTicket } from '../../operations/ws-ticket.js';
import { reply, route, type Route } from '../route.js';
import { component, Instant } from '../shapes.js';

const TicketShape = component('WebSocketTicket', z.object({ ticket: z.string(), expiresAt: Instant }));

export const realtimeRoutes: readonly Route[] = [
  route({
    method: 'post',
    path: '/api/ws-ticket',
    tag: 'Realtime',
    summary: 'A ticket for one WebSocket',
    description:
      'Good once, for 60 seconds, at any gateway: GET /ws?ticket=… The socket has the rights of the key or the login, for as long as it has them.',
    auth: 'read',
    responses: { 200: TicketShape },
    handle: async ({ deps, principal, login }) => reply(200, await issueTicket(deps.operations, principal, login)),
  }),
];
