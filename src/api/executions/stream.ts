/** `GET /api/executions/:id/stream`: the log as server-sent events, from any point on. */
import { z } from 'zod';
import { ownExecution } from '../../operations/read-executions.js';
import { isAllowed } from '../../operations/role-matrix.js';
import type { LogFrame } from '../../realtime/event-hub.js';
import { EVENT_STREAM_TYPE, writeEventStream } from '../../realtime/server-sent-events.js';
import { bearerOf } from '../authenticate.js';
import { streamRoute } from '../route.js';
import { validationFailed } from '../validation.js';
import { executionParams } from './shape.js';

const SEQ = /^\d{1,9}$/;

export const executionStreamRoute = streamRoute({
  method: 'get',
  path: '/api/executions/:id/stream',
  tag: 'Executions',
  summary: 'Follow its log as server-sent events',
  auth: 'read',
  produces: EVENT_STREAM_TYPE,
  description:
    'id: seq, event: kind, data: the Event. Resumes behind Last-Event-ID (or ?after); closes after the terminal event. A browser that comes back behind that is told by 204 to stay away.',
  params: executionParams,
  query: z.object({
    after: z.string().regex(SEQ, 'Expected a whole number').exactOptional(),
    format: z
      .string()
      .exactOptional()
      .refine((format) => format === undefined, 'This server streams events only: leave format out'),
  }),
  handle: async ({ deps, principal, params: { id }, query }, req, res) => {
    await ownExecution(deps.operations, principal, id);
    const lastEventId = lastEventIdOf(req.headers['last-event-id']);
    const place = await deps.events.place(id, lastEventId ?? Number(query.after ?? 0));
    // What the HTML standard gives for "do not connect again".
    if (place.isAtEnd && lastEventId !== undefined) {
      res.writeHead(204).end();
      return;
    }
    const key = bearerOf(req.headers.authorization) ?? '';
    deps.metrics.openStreams.inc();
    try {
      await writeEventStream(res, {
        pages: (signal) => (place.isAtEnd ? noPages() : deps.events.follow(id, place.after, signal)),
        mayGoOn: async () => {
          const holder = await deps.gatekeepers.keyRing.principalOf(key);
          return holder !== null && isAllowed(holder, 'read');
        },
      });
    } finally {
      deps.metrics.openStreams.dec();
    }
  },
});

async function* noPages(): AsyncGenerator<readonly LogFrame[]> {}

function lastEventIdOf(header: string | string[] | undefined): number | undefined {
  if (header === undefined || header === '') return undefined;
  if (typeof header === 'string' && SEQ.test(header)) return Number(header);
  throw validationFailed([
    { code: 'invalid_field', severity: 'error', path: '/headers/last-event-id', message: 'Expected the id of an event of this stream' },
  ]);
}
