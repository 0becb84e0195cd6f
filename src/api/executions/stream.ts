/** `GET /api/executions/:id/stream`: the log as server-sent events, from any point on; or the run in a UI's own format. */
import type { Response } from 'express';
import { z } from 'zod';
import type { Principal } from '../../operations/principal.js';
import { ownExecution } from '../../operations/read-executions.js';
import { readRunSnapshot } from '../../operations/read-live.js';
import type { WireExecution } from '../../operations/wire.js';
import { EVENT_STREAM_TYPE } from '../../realtime/server-sent-events.js';
import { agUiFormat } from '../../realtime/ui-streams/ag-ui.js';
import { aiSdkFormat } from '../../realtime/ui-streams/ai-sdk.js';
import type { RunOutcome } from '../../realtime/ui-streams/narration.js';
import { writeUiStream } from '../../realtime/ui-streams/write-ui-stream.js';
import type { ApiDependencies } from '../dependencies.js';
import { lastEventIdOf, SeqText, whileAllowed, writeLog } from '../log-stream.js';
import { streamRoute } from '../route.js';
import { executionParams } from './shape.js';

export const executionStreamRoute = streamRoute({
  method: 'get',
  path: '/api/executions/:id/stream',
  tag: 'Executions',
  summary: 'Follow its log as server-sent events',
  auth: 'read',
  produces: EVENT_STREAM_TYPE,
  description:
    'id: seq, event: kind, data: the Event. Resumes behind Last-Event-ID (or ?after); closes after the terminal event. A browser that comes back behind that is told by 204 to stay away. ?format=ai-sdk (UI message stream of the AI SDK, version 5 on) and ?format=ag-ui tell the run with its text from the beginning: a late reader gets each text as one delta.',
  params: executionParams,
  query: z.object({ after: SeqText.exactOptional(), format: z.enum(['ai-sdk', 'ag-ui']).exactOptional() }),
  handle: async (call, req, res) => {
    const { deps, principal, params, query } = call;
    const { id } = params;
    const { sessionId } = await ownExecution(deps.operations, principal, id);
    const rights = { whileAllowed: whileAllowed(call) };
    if (query.format !== undefined) {
      await writeRun({ deps, principal, run: { executionId: id, sessionId }, format: query.format, ...rights }, res);
      return;
    }
    const lastEventId = lastEventIdOf(req);
    const place = await deps.events.place(id, lastEventId ?? Number(query.after ?? 0));
    // What the HTML standard gives for "do not connect again".
    if (place.isAtEnd && lastEventId !== undefined) {
      res.writeHead(204).end();
      return;
    }
    await writeLog(deps, res, { streamId: id, after: place.after, isAtEnd: place.isAtEnd, ...rights });
  },
});

interface RunStream {
  readonly deps: ApiDependencies;
  readonly principal: Principal;
  readonly run: { readonly executionId: string; readonly sessionId: string };
  readonly format: 'ai-sdk' | 'ag-ui';
  readonly whileAllowed: (end: () => void) => () => void;
}

async function writeRun({ deps, principal, run, format, ...rights }: RunStream, res: Response): Promise<void> {
  deps.metrics.openStreams.inc();
  try {
    await writeUiStream(res, {
      feeds: deps.feeds,
      run,
      format: format === 'ai-sdk' ? aiSdkFormat(run.executionId) : agUiFormat(run),
      readRun: async () => {
        const { cursor, execution, steps, messages } = await readRunSnapshot(deps.operations, principal, run.executionId);
        return { cursor, outcome: outcomeOf(execution), steps, messages };
      },
      ...rights,
      onError: (error) => deps.log.debug({ error }, 'a run could not be read; it is tried again'),
    });
  } finally {
    deps.metrics.openStreams.dec();
  }
}

function outcomeOf({ status, output, error, reason }: WireExecution): RunOutcome | null {
  if (status === 'completed') return { status, output };
  if (status === 'failed') return { status, code: error?.code ?? 'internal_error', message: error?.message ?? 'The run failed' };
  return status === 'cancelled' ? { status, reason } : null;
}
