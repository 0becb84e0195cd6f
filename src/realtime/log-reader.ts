/** The hub's questions to the store. */
import { toWireEvent } from '../operations/wire.js';
import type { Database } from '../store/database.js';
import { readEvents, readSessionEvents, streamState } from '../store/event-log.js';
import { statement } from '../store/statement.js';
import { isSessionId, type EventHubOptions } from './event-hub.js';
import { toSessionEvent } from './session-event.js';

const LAST_SEQS = statement('last_seqs', 'SELECT id, next_seq - 1 AS "lastSeq" FROM streams WHERE id = ANY($1)');

/** Reads the logs of executions and sessions from their rows. */
export const createLogReader = (db: Database): Pick<EventHubOptions, 'read' | 'place' | 'lastSeqs'> => ({
  read: async (streamId, after, limit) => {
    if (isSessionId(streamId)) {
      const records = await readSessionEvents(db, streamId, after, limit);
      return records.map((record) => ({ seq: record.seq, kind: record.kind, json: JSON.stringify(toSessionEvent(record)) }));
    }
    const records = await readEvents(db, streamId, after, limit);
    return records.map((record) => ({ seq: record.seq, kind: record.kind, json: JSON.stringify(toWireEvent(record)) }));
  },
  place: (streamId) => streamState(db, streamId),
  lastSeqs: async (streamIds) => {
    const rows = await db.rows<{ id: string; lastSeq: number }>(LAST_SEQS, [[...streamIds]]);
    return new Map(rows.map(({ id, lastSeq }) => [id, lastSeq]));
  },
});
