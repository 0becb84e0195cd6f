/** What the streams of executions and of sessions have in common: where a reader stands, whether it may go on, and the log itself. */
import type { Request, Response } from 'express';
import { z } from 'zod';
import { isAllowed } from '../operations/role-matrix.js';
import type { LogFrame } from '../realtime/event-hub.js';
import { writeEventStream } from '../realtime/server-sent-events.js';
import type { ApiDependencies } from './dependencies.js';
import type { Call } from './route.js';
import { validationFailed } from './validation.js';

const SEQ = /^\d{1,9}$/;
export const SeqText = z.string().regex(SEQ, 'Expected a whole number');

/** The seq that a browser has seen; undefined when it comes for the first time. @throws AppError validation_failed */
export function lastEventIdOf(req: Request): number | undefined {
  const header = req.headers['last-event-id'];
  if (header === undefined || header === '') return undefined;
  if (typeof header === 'string' && SEQ.test(header)) return Number(header);
  throw validationFailed([
    { code: 'invalid_field', severity: 'error', path: '/headers/last-event-id', message: 'Expected the id of an event of this stream' },
  ]);
}

/** Ends a stream when the key or the login that it was opened with may no longer read. @returns what ends the watching */
export const whileAllowed =
  ({ deps, principal: { keyId }, login }: Pick<Call<unknown, unknown, unknown>, 'deps' | 'principal' | 'login'>) =>
  (end: () => void): (() => void) =>
    deps.rights.watch({
      keyId,
      loginHash: login?.hash,
      rightsAre: (now) => {
        if (now === undefined || !isAllowed(now, 'read')) end();
      },
    });

export interface LogStream {
  readonly streamId: string;
  readonly after: number;
  /** Nothing follows. */
  readonly isAtEnd: boolean;
  readonly whileAllowed: (end: () => void) => () => void;
}

/** Writes a stream's log until it ends or the reader goes. */
export async function writeLog(deps: ApiDependencies, res: Response, { streamId, after, isAtEnd, ...rest }: LogStream): Promise<void> {
  deps.metrics.openStreams.inc();
  try {
    await writeEventStream(res, { pages: (signal) => (isAtEnd ? noPages() : deps.events.follow(streamId, after, signal)), ...rest });
  } finally {
    deps.metrics.openStreams.dec();
  }
}

async function* noPages(): AsyncGenerator<readonly LogFrame[]> {}
