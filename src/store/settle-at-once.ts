/** The end of a run as most come to it, in one statement: nothing is open that would have to be closed, and no agent has used anything. */
import { toDisplay } from '../definition/value-parts.js';
import type { Json } from '../definition/value.js';
import type { Carry, ExecutionOutcome } from '../engine/types.js';
import type { Database } from './database.js';
import { EXECUTION_COLUMNS, type ExecutionRecord, executionFromRow, NO_USAGE } from './execution-record.js';
import { toJsonText, toNullableJsonText } from './json-text.js';
import { toAppendedEvent, toAppendedEvents } from './log-event.js';
import { hasHidden, hasPrivate } from './private-values.js';
import { statement } from './statement.js';

const SETTLE = statement('settle_at_once', `SELECT ${EXECUTION_COLUMNS} FROM signalbox_settle($1, $2, $3, $4, $5, $6, $7, $8, $9)`);

/** @returns the row as it has ended; undefined when there is more to do: then nothing was written but what is carried. May repeat. */
export async function settleAtOnce(
  db: Database,
  executionId: string,
  carry: Carry,
  outcome: ExecutionOutcome,
): Promise<ExecutionRecord | undefined> {
  if (outcome.status === 'cancelled' || outcome.requested || hasPrivate(outcome.output) || hasHidden(carry.events)) return undefined;
  const { counter, status, progress, delivered } = carry;
  const [row] = await db.rows(SETTLE, [
    executionId,
    toJsonText({ counter, status, progress, delivered }),
    toJsonText(toAppendedEvents(carry.events)),
    outcome.status,
    storedOutput(outcome),
    toNullableJsonText(outcome.error),
    outcome.reason,
    toJsonText(NO_USAGE),
    toJsonText(terminalEvent(outcome)),
  ]);
  if (row === undefined) return undefined;
  const ended = executionFromRow(row);
  db.notifier.wake([executionId, ended.sessionId]);
  return ended;
}

/** Of an execution that has not completed, nothing counts as no output. */
export function storedOutput({ status, output }: ExecutionOutcome): string | null {
  if (status === 'completed') return toJsonText(output);
  return toNullableJsonText(isNothing(output) ? null : output);
}

const isNothing = ({ v, refs }: ExecutionOutcome['output']): boolean => v === null && refs === undefined;

/** Its time is that of the row's end. */
function terminalEvent(outcome: ExecutionOutcome) {
  const { status, output, error, reason } = outcome;
  const shown = status !== 'completed' && isNothing(output) ? null : toDisplay(output);
  const data = { output: shown, error, reason, usage: NO_USAGE } as unknown as { readonly [key: string]: Json };
  return toAppendedEvent({ kind: `execution.${status}`, ordinal: '', at: 0, instance: null, data });
}
