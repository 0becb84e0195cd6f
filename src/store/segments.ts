/** The journal of segments (durability §6): one transaction ends calls, notes what the engine was fed, and begins the calls that follow. */
import type { Carry, EngineEvent, Projection, SegmentInput } from '../engine/types.js';
import type { Database } from './database.js';
import { toAppendedEvents } from './log-event.js';
import { hasHidden, shownEvents } from './private-values.js';
import { statement } from './statement.js';
import {
  beginOp,
  endOp,
  toBegun,
  toEnded,
  type BeginStep,
  type Begun,
  type BegunRow,
  type Ended,
  type EndedRow,
  type EndStep,
} from './steps.js';
import type { WriteOp } from './stream-writer.js';

/** One attempt of a segment's activity. */
export interface SegmentAttempt {
  readonly executionId: string;
  readonly segment: string;
  /** The number of the attempt, from 1: a later attempt fences it off. `RECOVERY_FENCE` fences all of them off. */
  readonly fence: number;
}

/** Above the number of every attempt. */
export const RECOVERY_FENCE = 2_147_483_647;

/** What a transaction of a segment does, in the order of the log. An end without a fence fences off whoever holds the step. */
export type SegmentOp =
  | { readonly op: 'append'; readonly events: readonly EngineEvent[] }
  | { readonly op: 'begin'; readonly step: Omit<BeginStep, 'carry' | 'executionId'> }
  | { readonly op: 'end'; readonly step: Omit<EndStep, 'fence' | 'executionId'>; readonly fence: number | null };

/** Of the operation in the same place. */
export type SegmentOpResult =
  | { readonly op: 'append' }
  | { readonly op: 'begin'; readonly begun: Begun }
  | { readonly op: 'end'; readonly ended: Ended };

export interface SegmentWrite {
  /** Inputs since the last write, with their places from 0. */
  readonly journal: readonly { readonly ordinal: number; readonly input: SegmentInput }[];
  readonly ops: readonly SegmentOp[];
  /** The engine starts nothing more. Without this, what follows an answer is refused once a halt has come. */
  readonly isHalted: boolean;
  /** How far it has come, for the execution's row; the counter is that of the projection that it was ordered with. */
  readonly progress?: Pick<Projection, 'counter' | 'progress'>;
}

/** `superseded`: a later attempt has the segment. `closed`: the execution has ended. In both nothing was written. */
export type SegmentGone = { readonly kind: 'superseded' } | { readonly kind: 'closed' };

export type SegmentWritten =
  | { readonly kind: 'written'; readonly halt: boolean; readonly results: readonly SegmentOpResult[] }
  /** A halt has come, nothing was written: the engine is to be told before what it was fed last. */
  | { readonly kind: 'halted' }
  | SegmentGone;

export type SegmentOpened =
  /** Begun by this call, its operations are done. */
  | { readonly kind: 'written'; readonly halt: boolean; readonly results: readonly SegmentOpResult[] }
  /** An earlier attempt had begun it, and was fed this. The operations were not done. */
  | { readonly kind: 'begun'; readonly halt: boolean; readonly journal: readonly SegmentInput[] }
  /** It was asked to halt before it had begun; nothing was written. */
  | { readonly kind: 'refused' }
  | SegmentGone;

interface SegmentRow {
  readonly kind: 'segment';
  readonly applied: boolean;
  readonly halt: boolean;
  readonly results: readonly unknown[];
  readonly begun?: boolean;
  readonly journal?: readonly SegmentInput[];
}

/**
 * An attempt's first transaction: takes the fence, and begins the segment unless an earlier attempt has. Writes what is carried. May repeat.
 * A halt of the execution does not keep the first calls from beginning: like an activity of their own, they were ordered before it.
 */
export async function openSegment(
  db: Database,
  attempt: SegmentAttempt,
  carry: Carry,
  opening: Pick<SegmentWrite, 'journal' | 'ops'>,
): Promise<SegmentOpened> {
  const { executionId } = attempt;
  const events = hasHidden(carry.events) ? await shownEvents(db, executionId, carry.events) : carry.events;
  const op = segmentOp(attempt, { journal: opening.journal, ops: await shownOps(db, executionId, opening.ops), isHalted: false }, true);
  const [, row] = await Promise.all([
    // In one batch with the opening and before it: what is carried is written whatever becomes of the segment.
    db.writer.write(attempt.executionId, carry, { op: 'append', events: toAppendedEvents(events) }),
    db.writer.write<SegmentRow | SegmentGone>(attempt.executionId, carry, op),
  ]);
  if (row.kind !== 'segment') return row;
  if (row.applied) return { kind: 'written', halt: row.halt, results: toResults(opening.ops, row.results) };
  return row.begun === true ? { kind: 'begun', halt: row.halt, journal: row.journal ?? [] } : { kind: 'refused' };
}

/** Takes the fence of a segment that is not to go on: one that has not begun never will. @returns what it was fed if it had. May repeat. */
export async function refuseSegment(
  db: Database,
  attempt: SegmentAttempt,
  carry: Carry,
): Promise<Extract<SegmentOpened, { kind: 'begun' | 'refused' }> | SegmentGone> {
  await haltSegments(db, attempt.executionId, [attempt.segment]);
  const opened = await openSegment(db, attempt, carry, { journal: [], ops: [] });
  if (opened.kind === 'written') throw new Error(`Segment ${attempt.segment} of ${attempt.executionId} began although it was halted`);
  return opened;
}

/** Fences every attempt off. @returns what they were fed; undefined when none of them had begun the segment */
export async function recoverSegment(
  db: Database,
  segment: Omit<SegmentAttempt, 'fence'>,
  carry: Carry,
): Promise<readonly SegmentInput[] | undefined | 'closed'> {
  const found = await refuseSegment(db, { ...segment, fence: RECOVERY_FENCE }, carry);
  if (found.kind === 'closed') return 'closed';
  return found.kind === 'begun' ? found.journal : undefined;
}

/** One transaction of a segment that this attempt has opened. May repeat: what is written already is answered again. */
export async function writeSegment(db: Database, attempt: SegmentAttempt, write: SegmentWrite): Promise<SegmentWritten> {
  const head = write.progress === undefined ? null : { ...write.progress, status: null, delivered: [] };
  const ops = await shownOps(db, attempt.executionId, write.ops);
  const row = await db.writer.write<SegmentRow | SegmentGone>(attempt.executionId, head, segmentOp(attempt, { ...write, ops }, false));
  if (row.kind !== 'segment') return row;
  return row.applied ? { kind: 'written', halt: row.halt, results: toResults(write.ops, row.results) } : { kind: 'halted' };
}

/** Pure steps of a segment may hand on what agents said. */
async function shownOps(db: Database, executionId: string, ops: readonly SegmentOp[]): Promise<readonly SegmentOp[]> {
  if (!ops.some((op) => op.op === 'append' && hasHidden(op.events))) return ops;
  return await Promise.all(
    ops.map(async (op) => (op.op === 'append' ? { ...op, events: await shownEvents(db, executionId, op.events) } : op)),
  );
}

function segmentOp({ executionId, segment, fence }: SegmentAttempt, { journal, ops, isHalted }: SegmentWrite, opens: boolean): WriteOp {
  return { op: 'segment', segment, fence, opens, isHalted, journal, ops: ops.map((op) => toWriteOp(executionId, op)) };
}

function toWriteOp(executionId: string, op: SegmentOp): WriteOp {
  switch (op.op) {
    case 'append':
      return { op: 'append', events: toAppendedEvents(op.events) };
    case 'begin':
      return beginOp({ ...op.step, executionId });
    case 'end':
      return endOp({ ...op.step, executionId }, op.fence);
  }
}

function toResults(ops: readonly SegmentOp[], rows: readonly unknown[]): SegmentOpResult[] {
  return ops.map((op, index): SegmentOpResult => {
    const row = rows[index];
    if (op.op === 'append') return { op: 'append' };
    return op.op === 'begin'
      ? { op: 'begin', begun: toBegun(row as BegunRow) }
      : { op: 'end', ended: toEnded(row as EndedRow, op.step.answer) };
  });
}

const HALT = statement(
  'halt_segments',
  `INSERT INTO segments AS t (execution_id, segment_id, halt) SELECT e.id, s.id, true FROM executions AS e, unnest($2::text[]) AS s(id)
   WHERE e.id = $1 AND e.status NOT IN ('completed', 'failed', 'cancelled') ORDER BY s.id
   ON CONFLICT (execution_id, segment_id) DO UPDATE SET halt = true`,
);

/** Asks segments of an execution to start nothing more, whether they have begun or not. May repeat. */
export async function haltSegments(db: Database, executionId: string, segments: readonly string[]): Promise<void> {
  await db.rows(HALT, [executionId, [...segments]]);
}
