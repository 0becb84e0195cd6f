/** What the streams of executions and of sessions have in common: where a reader stands, whether it may go on, and the log itself. */
import type { Request, Response } from 'express';
import { z } from 'zod';
import { isAllowed } from '../operations/role-matrix.js';
import type { LogFrame } from '../realtime/event-hub.js';
import { writeEventStream } from '../realtime/server-sent-events.js';
import { bearerOf } from './authenticate.js';
import type { ApiDependencies } from './dependencies.js';
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

/** Asked while a stream is open: whether the key that it was opened with may still read. */
export const mayStillRead = (deps: ApiDependencies, req: Request) => async (): Promise<boolean> => {
  const holder = await deps.gatekeepers.keyRing.principalOf(bearerOf(req.headers.authorization) ?? '');
  return holder !== null && isAllowed(holder, 'read');
};

export interface LogStream {
  readonly streamId: string;
  readonly after: number;
  /** Nothing follows. */
  readonly isAtEnd: boolean;
  readonly mayGoOn: () => Promise<boolean>;
}

/** Writes a stream's log until it ends or the reader goes. */
export async function writeLog(deps: ApiDependencies, res: Response, { streamId, after, isAtEnd, mayGoOn }: LogStream): Promise<void> {
  deps.metrics.openStreams.inc();
  try {
    await writeEventStream(res, { pages: (signal) => (isAtEnd ? noPages() : deps.events.follow(streamId, after, signal)), mayGoOn });
  } finally {
    deps.metrics.openStreams.dec();
  }
}

async function* noPages(): AsyncGenerator<readonly LogFrame[]> {}
