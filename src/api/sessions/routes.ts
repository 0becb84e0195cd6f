/** `/api/sessions`: chats, what was said in them, and what is said to their agents. */
import { z } from 'zod';
import { MAX_MESSAGE_CHARACTERS, sendMessage } from '../../operations/send-message.js';
import { readSessionFeed } from '../../operations/session-feed.js';
import { createSession, getSession, listMessages, listSessions } from '../../operations/sessions.js';
import { stopSession } from '../../operations/stop-session.js';
import { isDemoModelSeen } from '../../store/workers.js';
import { TASK_QUEUES } from '../../workflows/messages.js';
import type { ApiDependencies } from '../dependencies.js';
import { reply, route, type Route } from '../route.js';
import { idParam, listOf, pageQuery, text } from '../shapes.js';
import { FeedItemShape, MessageShape, SESSION_KINDS, SessionShape } from './shape.js';
import { sessionStreamRoute } from './stream.js';

const tag = 'Sessions';
const params = z.object({ id: idParam('ses') });
const SessionAnswer = z.object({ session: SessionShape });

export const MessageContent = text(1, MAX_MESSAGE_CHARACTERS).refine((content) => content.trim() !== '', 'Expected some text');
export const ClientMessageId = text(1, 200);

const SeqQuery = z
  .string()
  .regex(/^\d{1,9}$/, 'Expected a whole number')
  .transform(Number)
  .meta({ type: 'integer', minimum: 0, default: 0 });
const MessagesQuery = z.object({ limit: pageQuery.limit, after: SeqQuery.exactOptional(), thread: text(1, 500).exactOptional() });
const FeedQuery = z.object({
  ...pageQuery,
  limit: z
    .string()
    .regex(/^\d{1,6}$/, 'Expected a whole number')
    .transform(Number)
    .pipe(z.number().min(1).max(200))
    .meta({ type: 'integer', minimum: 1, maximum: 200, default: 200 })
    .optional()
    .transform((limit) => limit ?? 200),
});

export const sessionRoutes: readonly Route[] = [
  route({
    method: 'get',
    path: '/api/sessions',
    tag,
    summary: 'List sessions: the orchestrator first, then newest first',
    auth: 'read',
    query: z.object({ ...pageQuery, kind: z.enum(SESSION_KINDS).exactOptional() }),
    responses: { 200: listOf(SessionShape) },
    handle: async ({ deps, principal, query }) => reply(200, await listSessions(deps.operations, principal, query)),
  }),
  route({
    method: 'post',
    path: '/api/sessions',
    tag,
    summary: 'Open a chat',
    auth: 'run',
    body: z.strictObject({ title: text(1, 200).exactOptional() }).default({}),
    responses: { 201: SessionAnswer },
    handle: async ({ deps, principal, body }) => reply(201, await withAgent(deps, await createSession(deps.operations, principal, body))),
  }),
  route({
    method: 'get',
    path: '/api/sessions/:id',
    tag,
    summary: 'One session',
    auth: 'read',
    params,
    responses: { 200: SessionAnswer },
    handle: async ({ deps, principal, params: { id } }) =>
      reply(200, await withAgent(deps, await getSession(deps.operations, principal, { id }))),
  }),
  route({
    method: 'get',
    path: '/api/sessions/:id/messages',
    tag,
    summary: 'Its messages, oldest first',
    description: 'A reply that streams has its text so far. `after` is a seq, exclusive.',
    auth: 'read',
    params,
    query: MessagesQuery,
    responses: { 200: listOf(MessageShape) },
    handle: async ({ deps, principal, params: { id }, query }) => {
      const page = await listMessages(deps.operations, principal, { id, ...query });
      // Further than the row where this gateway has told more to those who follow.
      return reply(200, { ...page, items: deps.feeds.withLiveText(id, page.items) });
    },
  }),
  route({
    method: 'get',
    path: '/api/sessions/:id/feed',
    tag,
    summary: 'Its messages and the steps of its executions, merged by time, oldest first',
    auth: 'read',
    params,
    query: FeedQuery,
    responses: { 200: listOf(FeedItemShape) },
    handle: async ({ deps, principal, params: { id }, query }) =>
      reply(200, await readSessionFeed(deps.operations, principal, { id, ...query })),
  }),
  route({
    method: 'post',
    path: '/api/sessions/:id/messages',
    tag,
    summary: 'Say something to its agent',
    description: 'Answered in the session, in the order of the messages. The same clientMessageId again is the first message.',
    auth: 'run',
    params,
    body: z.strictObject({ content: MessageContent, clientMessageId: ClientMessageId }),
    problems: { 429: ['message_backlog_full'] },
    responses: { 202: z.object({ message: MessageShape, duplicate: z.boolean() }) },
    handle: async ({ deps, principal, params: { id }, body }) => reply(202, await sendMessage(deps.operations, principal, { id, ...body })),
  }),
  route({
    method: 'post',
    path: '/api/sessions/:id/stop',
    tag,
    summary: 'Stop what its agent does now',
    description:
      'The reply is given up and a held tool call closes; messages behind it are answered next. A turn of a step ends with its run: the run is cancelled.',
    auth: 'run',
    params,
    body: z.strictObject({ turnId: idParam('trn').exactOptional() }).default({}),
    responses: { 202: z.object({ accepted: z.literal(true) }) },
    handle: async ({ deps, principal, params: { id }, body }) => reply(202, await stopSession(deps.operations, principal, { id, ...body })),
  }),
  sessionStreamRoute,
];

/** Shown in the chat's header. The workers know; while none is there, what this process is told of models has to do. */
async function withAgent<S extends object>({ operations, isDemoModel = false }: ApiDependencies, { session }: { readonly session: S }) {
  const isDemo = (await isDemoModelSeen(operations.db, TASK_QUEUES.agent)) ?? isDemoModel;
  return { session: { ...session, agent: { isDemo } } };
}
