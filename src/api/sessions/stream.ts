/** `GET /api/sessions/:id/stream`: what happens in a session, as server-sent events, from any point on. */
import { z } from 'zod';
import { ownSession } from '../../operations/sessions.js';
import { EVENT_STREAM_TYPE } from '../../realtime/server-sent-events.js';
import { lastEventIdOf, SeqText, whileAllowed, writeLog } from '../log-stream.js';
import { streamRoute } from '../route.js';
import { idParam } from '../shapes.js';

export const sessionStreamRoute = streamRoute({
  method: 'get',
  path: '/api/sessions/:id/stream',
  tag: 'Sessions',
  summary: 'Follow what happens in it as server-sent events',
  auth: 'read',
  produces: EVENT_STREAM_TYPE,
  description:
    'id: the session’s seq, event: kind, data: the Event with sessionId. Messages, turns, and the events of its executions. Resumes behind Last-Event-ID (or ?after). It has no end of its own. Text that streams comes whole with its turn’s end; piece by piece over the WebSocket.',
  params: z.object({ id: idParam('ses') }),
  query: z.object({ after: SeqText.exactOptional() }),
  handle: async (call, req, res) => {
    const { deps, principal, params, query } = call;
    const { id } = params;
    await ownSession(deps.operations, principal, id);
    const { after } = await deps.events.place(id, lastEventIdOf(req) ?? Number(query.after ?? 0));
    await writeLog(deps, res, { streamId: id, after, isAtEnd: false, whileAllowed: whileAllowed(call) });
  },
});
