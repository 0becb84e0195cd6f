import type { Carry, EngineEvent } from '../engine/types.js';
import type { Database, Tx } from './database.js';
import { appendIn } from './event-log.js';
import { toJsonText } from './json-text.js';
import { toAppendedEvents } from './log-event.js';
import { hasHidden, shownEvents } from './private-values.js';
import { statement } from './statement.js';

const PROJECT = statement('project_execution', 'SELECT signalbox_project_execution($1, $2, $3, $4)::text');
const DELIVERED = statement(
  'commands_delivered',
  'UPDATE commands SET delivered_at = now() WHERE delivered_at IS NULL AND target_id = $1 AND id = ANY($2)',
);

/** `closed`: the execution had ended, and nothing was written. */
export interface Recorded {
  readonly closed: boolean;
}

/**
 * Writes what an activity carries and the events that it adds, in order, and projects them on the rows: the execution's only
 * from a higher counter, never past its end; a step's never past its own. May repeat.
 */
export function recordEvents(
  db: Database,
  executionId: string,
  carry: Carry | null,
  events: readonly EngineEvent[] = [],
): Promise<Recorded> {
  const all = [...(carry?.events ?? []), ...events];
  const write = (shown: readonly EngineEvent[]) =>
    db.writer.write<Recorded>(executionId, carry, { op: 'append', events: toAppendedEvents(shown) });
  // At once where it can be: what is written behind it must not come before it.
  return hasHidden(all) ? shownEvents(db, executionId, all).then(write) : write(all);
}

/**
 * The same inside a transaction of the store. Takes the locks of execution and stream in their order, so nothing later in the
 * order may be locked before.
 */
export async function applyCarry(tx: Tx, executionId: string, carry: Carry): Promise<void> {
  await tx.rows(PROJECT, [executionId, carry.counter, carry.status, toJsonText(carry.progress)]);
  await appendIn(tx, executionId, toAppendedEvents(await shownEvents(tx, executionId, carry.events)));
  if (carry.delivered.length > 0) await tx.rows(DELIVERED, [executionId, [...carry.delivered]]);
}
