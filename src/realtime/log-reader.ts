/** The hub's questions to the store. */
import { toWireEvent } from '../operations/wire.js';
import type { Database } from '../store/database.js';
import { readEvents, streamState } from '../store/event-log.js';
import { statement } from '../store/statement.js';
import type { EventHubOptions } from './event-hub.js';

const LAST_SEQS = statement('last_seqs', 'SELECT id, next_seq - 1 AS "lastSeq" FROM streams WHERE id = ANY($1)');

/** Reads the logs of executions from their rows. */
export const createLogReader = (db: Database): Pick<EventHubOptions, 'read' | 'place' | 'lastSeqs'> => ({
  read: async (executionId, after, limit) => {
    const records = await readEvents(db, executionId, after, limit);
    return records.map((record) => ({ seq: record.seq, kind: record.kind, json: JSON.stringify(toWireEvent(record)) }));
  },
  place: (executionId) => streamState(db, executionId),
  lastSeqs: async (executionIds) => {
    const rows = await db.rows<{ id: string; lastSeq: number }>(LAST_SEQS, [[...executionIds]]);
    return new Map(rows.map(({ id, lastSeq }) => [id, lastSeq]));
  },
});
