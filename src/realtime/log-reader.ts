/** The hub's questions to the store. */
import { toWireEvent } from '../operations/wire.js';
import type { Database } from '../store/database.js';
import { readEvents, readSessionEvents, streamState, type EventRecord } from '../store/event-log.js';
import { statement } from '../store/statement.js';
import { isSessionId, type EventHubOptions, type LogFrame } from './event-hub.js';
import { toSessionEvent } from './session-event.js';
import { StepTitles } from './step-titles.js';

const LAST_SEQS = statement('last_seqs', 'SELECT id, next_seq - 1 AS "lastSeq" FROM streams WHERE id = ANY($1)');

/** Reads the logs of executions and sessions from their rows. */
export const createLogReader = (db: Database): Pick<EventHubOptions, 'read' | 'place' | 'lastSeqs'> => {
  const titles = new StepTitles(db);
  return {
    read: (streamId, after, limit) => readFrames(db, titles, { streamId, after, limit }),
    place: (streamId) => streamState(db, streamId),
    lastSeqs: async (streamIds) => {
      const rows = await db.rows<{ id: string; lastSeq: number }>(LAST_SEQS, [[...streamIds]]);
      return new Map(rows.map(({ id, lastSeq }) => [id, lastSeq]));
    },
  };
};

interface PageOf {
  readonly streamId: string;
  readonly after: number;
  readonly limit: number;
}

async function readFrames(db: Database, titles: StepTitles, { streamId, after, limit }: PageOf): Promise<LogFrame[]> {
  if (!isSessionId(streamId)) return (await readEvents(db, streamId, after, limit)).map((record) => toFrame(record, toWireEvent(record)));
  const frames: LogFrame[] = [];
  for (const record of await readSessionEvents(db, streamId, after, limit)) {
    const { executionId, stepId, kind } = record;
    const isStep = executionId !== null && stepId !== null && kind.startsWith('step.');
    frames.push(toFrame(record, toSessionEvent(record, isStep ? (await titles.of(executionId)).get(stepId) : undefined)));
  }
  return frames;
}

const toFrame = ({ seq, kind }: EventRecord, event: object): LogFrame => ({ seq, kind, json: JSON.stringify(event) });
