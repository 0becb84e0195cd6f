import { setImmediate as turn } from 'node:timers/promises';
import type { ToolPlan } from '../../definition/plan.js';
import type { Moved, SegmentCall } from '../../engine/index.js';
import type { ActivityResult, LateAnswer, SegmentResult } from '../../engine/types.js';
import type { Database } from '../../store/database.js';
import {
  openSegment,
  refuseSegment,
  type SegmentAttempt,
  type SegmentOp,
  type SegmentOpResult,
  type SegmentWrite,
  writeSegment,
} from '../../store/segments.js';
import { evaluateSite, type EvaluateCall } from '../evaluate-activity.js';
import { persist, persistUnlessAborted } from '../persist.js';
import type { RunFacts } from '../run-facts.js';
import { StepAttempt, type StepWork } from '../step-attempt.js';
import { isPlatformFault, redactedError, toStepError, tryAgain } from '../step-error.js';
import { CallControl } from './call-control.js';
import type { CallSlots } from './call-slots.js';
import { type CallEnd, CallsInPlace, endOf, type PreparedCall, type ToolCall } from './calls-in-place.js';
import { FedMachine } from './fed-machine.js';
import type { Interruption } from './interruption.js';
import { ResultBudget } from './result-budget.js';
import type { SegmentInputs } from './segment-activity.js';

/** A segment halts when it has spent this much without a call in flight. */
const OWN_TIME_MS = 1_000;
/** Calls that do not heed their abort are left behind: a segment is over within 2 s of a cancel, which comes with a heartbeat. */
const ABORT_MS = 1_200;
/** The worker's other work gets its turn at least this often. */
const BREATH_MS = 5;
/** A row that changed with every short step would cost more than it tells. */
const PROGRESS_EVERY_MS = 250;
/** Evaluations go with the transaction that they follow; after so many there is one in between. */
const MAX_EVALUATIONS = 50;

/** What the next transaction is to do. */
interface Batch {
  readonly ops: SegmentOp[];
  readonly begins: PreparedCall[];
  readonly ends: CallEnd[];
  /** Ids of calls that are given up once it is written. */
  readonly cancels: string[];
}
const newBatch = (): Batch => ({ ops: [], begins: [], ends: [], cancels: [] });

/** The segment is another attempt's, or its execution has ended. */
export class SegmentGoneError extends Error {
  constructor(readonly why: 'superseded' | 'closed') {
    super(`The segment is ${why}`);
  }
}

export interface SegmentParts {
  readonly db: Database;
  readonly facts: RunFacts;
  readonly work: StepWork<ToolPlan>;
  readonly interruption: Interruption;
  readonly slots: CallSlots;
}

/**
 * One attempt of a segment: the engine is fed the answers of its calls, and each transaction ends calls, journals what the engine was
 * fed, and begins the calls that follow, which start after the commit (durability §6).
 */
export class SegmentRun {
  private readonly fed: FedMachine;
  private readonly budget = new ResultBudget();
  private readonly calls: CallsInPlace;
  private readonly attempt: SegmentAttempt;
  private readonly evaluations: SegmentCall[] = [];
  private batch = newBatch();
  private isOpen = false;
  /** The row says that it is to halt. */
  private isToHalt = false;
  /** An earlier attempt has aborted it, and could not say so. */
  private wasAborted = false;
  private lastBreath = performance.now();
  private lastProgress = performance.now();
  private wake: () => void = () => undefined;

  constructor(
    private readonly parts: SegmentParts,
    private readonly input: SegmentInputs,
    fence: number,
  ) {
    this.attempt = { executionId: input.executionId, segment: input.segment, fence };
    this.fed = new FedMachine(parts.facts.plan, input.state);
    this.calls = new CallsInPlace(parts.slots, this.budget, () => this.wake());
  }

  /** Called whenever something may have changed. */
  readonly nudge = (): void => this.wake();

  /** @throws SegmentGoneError; faults of the platform; ApplicationFailure to have it tried again */
  async run(): Promise<SegmentResult> {
    const { interruption } = this.parts;
    try {
      if (interruption.isAborted) return await this.abortUnopened();
      return (await this.open()) ? await this.drive() : this.neverRan();
    } catch (error) {
      if (!isPlatformFault(error) || !interruption.isAborted) throw error;
      return this.isOpen ? await this.abort() : await this.abortUnopened();
    } finally {
      this.calls.letGo(tryAgain('superseded', 'This attempt of the segment is over'));
    }
  }

  private async drive(): Promise<SegmentResult> {
    const { interruption } = this.parts;
    while (!this.fed.isOver()) {
      if (!this.isSomethingToDo()) await this.untilWoken();
      if (interruption.isAborted || this.wasAborted) return await this.abort();
      const handOver = interruption.handOver();
      if (handOver !== undefined) throw handOver;
      if (this.mustHalt()) await this.follow(this.fed.feed({ kind: 'halt' }));
      await this.takeEnds(this.calls.take());
    }
    return this.answer();
  }

  // ---- one transaction after the other ----

  /** @returns whether it runs: it may have been asked to halt before it had begun */
  private async open(): Promise<boolean> {
    await this.follow(this.fed.begin());
    await this.evaluateSome();
    const { ops } = this.batch;
    const opening = { journal: this.fed.unwritten(), ops };
    const { db, interruption } = this.parts;
    const opened = await stillTrue(() =>
      persistUnlessAborted(() => openSegment(db, this.attempt, this.input.carry, opening), interruption.signal),
    );
    if (opened.kind === 'superseded' || opened.kind === 'closed') throw new SegmentGoneError(opened.kind);
    if (opened.kind === 'refused') return false;
    this.isOpen = true;
    this.isToHalt = opened.halt;
    if (opened.kind === 'written') this.afterWrite(opened.results);
    else await this.goOnBehind(opened.journal);
    return true;
  }

  /** An earlier attempt came this far: what it left in flight begins again. */
  private async goOnBehind(journal: Parameters<FedMachine['replay']>[0]): Promise<void> {
    this.fed.replay(journal);
    for (const input of journal) if (input.kind === 'answered') this.budget.add(input.result);
    this.clear();
    for (const call of this.fed.inFlight()) if (call.name !== 'evaluate') await this.prepare(call, call.nowMs);
    await this.commit();
  }

  private async takeEnds(ends: readonly CallEnd[]): Promise<void> {
    for (const end of ends) await this.takeEnd(end);
    await this.evaluateSome();
    try {
      await this.commit();
    } catch (error) {
      if (isPlatformFault(error) || error instanceof SegmentGoneError || ends.length === 0) throw error;
      await this.withoutUnrecordable(ends, error);
    }
  }

  private async takeEnd(end: CallEnd): Promise<void> {
    await this.breathe();
    this.batch.ends.push(end);
    if (end.record !== undefined) this.batch.ops.push({ op: 'end', step: end.record.step, fence: end.record.fence });
    await this.follow(this.fed.feed({ kind: 'answered', id: end.call.id, result: end.result }));
  }

  /** One of them cannot be written: it alone shall fail. @throws the fault when it is not the result's */
  private async withoutUnrecordable(ends: readonly CallEnd[], fault: unknown): Promise<void> {
    this.rollBack();
    const [only] = ends;
    if (ends.length > 1) for (const end of ends) await this.takeEnds([end]);
    else if (only?.record === undefined || only.record.isReplaced === true) throw fault;
    else await this.takeEnds([replaced(only.record.prepared, only.record.fence, fault)]);
  }

  private async commit(): Promise<void> {
    const { ops, ends } = this.batch;
    const journal = this.fed.unwritten();
    if (journal.length === 0 && ops.length === 0) return;
    const write = { journal, isHalted: this.fed.isHalted, ...this.progressWhenDue() };
    const written = await stillTrue(() => persist(() => writeSegment(this.parts.db, this.attempt, { ...write, ops: this.asOfNow(ops) })));
    switch (written.kind) {
      case 'superseded':
      case 'closed':
        throw new SegmentGoneError(written.kind);
      case 'halted':
        // What these answers would start must not start: the engine learns of the halt before them.
        this.rollBack();
        await this.follow(this.fed.feed({ kind: 'halt' }));
        return await this.takeEnds(ends);
      case 'written':
        this.isToHalt ||= written.halt;
        this.afterWrite(written.results);
    }
  }

  /** A call begins when that is written: the database may have been away since it was ordered. */
  private asOfNow(ops: readonly SegmentOp[]): SegmentOp[] {
    const at = this.fed.now;
    return ops.map((op) => (op.op === 'begin' ? { ...op, step: { ...op.step, at: Math.max(op.step.at, at) } } : op));
  }

  private progressWhenDue(): Pick<SegmentWrite, 'progress'> {
    if (performance.now() - this.lastProgress < PROGRESS_EVERY_MS) return {};
    this.lastProgress = performance.now();
    const progress = this.fed.progress();
    return progress === undefined ? {} : { progress: { counter: this.input.carry.counter, progress } };
  }

  private afterWrite(results: readonly SegmentOpResult[]): void {
    const { begins, cancels } = this.batch;
    this.fed.markWritten();
    this.batch = newBatch();
    this.lastBreath = performance.now();
    for (const id of cancels) this.calls.cancel(id);
    const waiting = [...begins];
    for (const result of results) {
      if (result.op === 'end' && result.ended.kind !== 'ended') throw new SegmentGoneError(result.ended.kind);
      if (result.op === 'begin') this.afterBegin(waiting.shift() as PreparedCall, result.begun);
    }
  }

  private afterBegin(prepared: PreparedCall, begun: Extract<SegmentOpResult, { op: 'begin' }>['begun']): void {
    if (begun.kind === 'closed') throw new SegmentGoneError('closed');
    if (this.fed.isUnwanted(prepared.call.id)) prepared.control.cancel();
    if (begun.kind === 'run') return this.calls.start(prepared, begun.fence);
    if (begun.answer.ended === 'cancelled') this.wasAborted = true;
    this.calls.addEnded({ call: prepared.call, result: { of: 'step', answer: begun.answer } });
  }

  private rollBack(): void {
    this.fed.rollBack();
    this.clear();
  }

  /** Forgets what follows from inputs that are not written. */
  private clear(): void {
    this.batch = newBatch();
    this.evaluations.splice(0, this.evaluations.length, ...this.fed.inFlight().filter(({ name }) => name === 'evaluate'));
  }

  // ---- what the engine orders ----

  private async follow(moved: Moved): Promise<void> {
    if (moved.events.length > 0) this.batch.ops.push({ op: 'append', events: moved.events });
    for (const call of moved.calls) {
      if (call.name === 'evaluate') this.evaluations.push(call);
      else await this.prepare(call, null);
    }
    this.batch.cancels.push(...moved.cancels);
  }

  /** Fills a tool's input and notes its beginning. `orderedAt`: of one that an earlier attempt may have begun. */
  private async prepare(call: ToolCall, orderedAt: number | null): Promise<void> {
    const prepared = this.attemptAt(call, orderedAt);
    await persistUnlessAborted(() => prepared.attempt.render(), this.parts.interruption.signal);
    this.batch.begins.push(prepared);
    this.batch.ops.push({ op: 'begin', step: prepared.attempt.beginning() });
  }

  private attemptAt(call: ToolCall, orderedAt: number | null): PreparedCall {
    const control = new CallControl(orderedAt);
    const { facts, work } = this.parts;
    return { call, control, attempt: new StepAttempt(facts, { ...this.input, ...call }, work, control) };
  }

  private async evaluateSome(): Promise<void> {
    for (let done = 0; done < MAX_EVALUATIONS; done += 1) {
      const call = this.evaluations.shift();
      if (call?.name !== 'evaluate') return;
      await this.breathe();
      const result = await this.evaluate(call);
      this.budget.add(result);
      await this.follow(this.fed.feed({ kind: 'answered', id: call.id, result }));
    }
  }

  private async evaluate(call: EvaluateCall): Promise<ActivityResult> {
    const { facts, interruption } = this.parts;
    try {
      const evaluated = await persistUnlessAborted(() => evaluateSite(facts, call, this.budget.limitBytes), interruption.signal);
      return { of: 'value', ...evaluated };
    } catch (error) {
      if (isPlatformFault(error)) throw error;
      return { of: 'fault', error: redactedError(toStepError(error, call.instance), facts.redactor) };
    }
  }

  // ---- how it ends early ----

  private mustHalt(): boolean {
    if (this.fed.isHalted) return false;
    return this.isToHalt || this.parts.interruption.isStopping || this.budget.isUsedUp || this.calls.timeWithoutCallsMs > OWN_TIME_MS;
  }

  /** Calls are aborted and recorded; their answers are for the engine of the host, which knows why. */
  private async abort(): Promise<SegmentResult> {
    const unwritten = this.batch.ends;
    this.rollBack();
    return await this.endWith([...unwritten, ...(await this.calls.stop(ABORT_MS))]);
  }

  /** Aborted before this attempt has opened it: an earlier one may have left calls behind. */
  private async abortUnopened(): Promise<SegmentResult> {
    const found = await persist(() => refuseSegment(this.parts.db, this.attempt, this.input.carry));
    if (found.kind === 'superseded' || found.kind === 'closed') throw new SegmentGoneError(found.kind);
    if (found.kind === 'refused') return this.neverRan();
    this.fed.replay(found.journal);
    this.clear();
    return await this.endWith(this.fed.inFlight().flatMap((call) => (call.name === 'evaluate' ? [] : [this.neverAgain(call)])));
  }

  private neverAgain(call: ToolCall): CallEnd {
    const prepared = this.attemptAt(call, null);
    return endOf(prepared, null, prepared.attempt.cancelled());
  }

  private async endWith(ends: readonly CallEnd[]): Promise<SegmentResult> {
    const late: LateAnswer[] = [];
    for (const end of await this.record(ends)) late.push({ id: end.call.id, at: this.fed.now, result: end.result });
    const lost: ActivityResult = { of: 'lost', timedOut: false };
    for (const { id } of this.evaluations) late.push({ id, at: this.fed.now, result: lost });
    return this.answer(late);
  }

  /** Writes ends outside the journal. @returns them as their rows say */
  private async record(ends: readonly CallEnd[]): Promise<CallEnd[]> {
    const ops = ends.flatMap(({ record }): SegmentOp[] =>
      record === undefined ? [] : [{ op: 'end', step: record.step, fence: record.fence }],
    );
    if (ops.length === 0) return [...ends];
    try {
      const written = await persist(() => writeSegment(this.parts.db, this.attempt, { journal: [], ops, isHalted: true }));
      if (written.kind !== 'written') throw new SegmentGoneError(written.kind === 'closed' ? 'closed' : 'superseded');
      const results = [...written.results];
      return ends.map((end) => (end.record === undefined ? end : asRecorded(end, results.shift())));
    } catch (error) {
      if (isPlatformFault(error) || error instanceof SegmentGoneError) throw error;
      return await this.recordSingly(ends, error);
    }
  }

  private async recordSingly(ends: readonly CallEnd[], fault: unknown): Promise<CallEnd[]> {
    const recorded: CallEnd[] = [];
    if (ends.length > 1) for (const end of ends) recorded.push(...(await this.record([end])));
    else {
      const record = ends[0]?.record;
      if (record === undefined || record.isReplaced === true) throw fault;
      recorded.push(...(await this.record([replaced(record.prepared, record.fence, fault)])));
    }
    return recorded;
  }

  private answer(late: readonly LateAnswer[] = []): SegmentResult {
    return { of: 'segment', inputs: this.fed.inputs, hash: this.fed.hash(), late, ...this.time };
  }

  private neverRan(): SegmentResult {
    return { of: 'segment', inputs: [], hash: null, late: [], ...this.time };
  }

  private get time(): Pick<SegmentResult, 'outOfTime'> {
    return this.parts.interruption.isOverLimit ? { outOfTime: true } : {};
  }

  // ---- waiting ----

  private isSomethingToDo(): boolean {
    const { interruption } = this.parts;
    return this.calls.hasEnded || this.evaluations.length > 0 || this.wasAborted || interruption.signal.aborted || this.mustHalt();
  }

  private async untilWoken(): Promise<void> {
    await new Promise<void>((resolve) => {
      this.wake = resolve;
    });
    this.wake = () => undefined;
    this.lastBreath = performance.now();
  }

  private async breathe(): Promise<void> {
    if (performance.now() - this.lastBreath < BREATH_MS) return;
    await turn();
    this.lastBreath = performance.now();
  }
}

/** Another attempt takes over after 2 s without a heartbeat (durability §3). */
const STALE_MS = 1_500;
/** On a machine as slow as that, an old answer has to do. */
const MAX_REPEATS = 3;

/**
 * The answer of a write says whether this attempt still has the segment, as of when it was written. One that comes late may be old: a process
 * that was frozen asks again before it makes the calls that begin behind it.
 */
async function stillTrue<T>(write: () => Promise<T>): Promise<T> {
  for (let repeats = 0; ; repeats += 1) {
    const askedAt = performance.now();
    const answer = await write();
    if (performance.now() - askedAt < STALE_MS || repeats === MAX_REPEATS) return answer;
  }
}

/** The step's row may have ended before, in an attempt that could not say so. */
function asRecorded(end: CallEnd, result: SegmentOpResult | undefined): CallEnd {
  const ended = result?.op === 'end' ? result.ended : undefined;
  if (ended?.kind !== 'ended') throw new SegmentGoneError('superseded');
  const written = end.record?.step.answer;
  return written?.ended === ended.answer.ended ? end : { call: end.call, result: { of: 'step', answer: ended.answer } };
}

function replaced(prepared: PreparedCall, fence: number | null, fault: unknown): CallEnd {
  const end = endOf(prepared, fence, prepared.attempt.failedWith(fault));
  return end.record === undefined ? end : { ...end, record: { ...end.record, isReplaced: true } };
}
