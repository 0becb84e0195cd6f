import { setTimeout as sleep } from 'node:timers/promises';
import type { ToolPlan } from '../../definition/plan.js';
import type { SegmentCall } from '../../engine/index.js';
import type { ActivityResult, StepAnswer } from '../../engine/types.js';
import type { EndStep } from '../../store/steps.js';
import { persist, persistUnlessAborted } from '../persist.js';
import type { Outcome, StepAttempt } from '../step-attempt.js';
import type { CallControl } from './call-control.js';
import type { CallSlots } from './call-slots.js';
import type { ResultBudget } from './result-budget.js';

export type ToolCall = Exclude<SegmentCall, { readonly name: 'evaluate' }>;

/** A tool's call with its input ready, to be begun. */
export interface PreparedCall {
  readonly call: ToolCall;
  readonly attempt: StepAttempt<ToolPlan>;
  readonly control: CallControl;
}

/** How a call ended, and what is to be written of it; nothing where its row has ended already. */
export interface CallEnd {
  readonly call: SegmentCall;
  readonly result: ActivityResult;
  readonly record?: CallRecord;
}
export interface CallRecord {
  readonly prepared: PreparedCall;
  /** Null: whoever holds the step is fenced off. */
  readonly fence: number | null;
  readonly step: Omit<EndStep, 'fence'>;
  /** It could not be written; the step fails instead. */
  readonly isReplaced?: true;
}

interface Running {
  readonly prepared: PreparedCall;
  readonly fence: number;
  readonly settled: Promise<void>;
}

/** The tools that a segment has running. Each ends by itself into a list; `onChange` tells when there is something to look at. */
export class CallsInPlace {
  private readonly running = new Map<string, Running>();
  private ended: CallEnd[] = [];
  private fault: { readonly thrown: unknown } | undefined;
  private ownMs = 0;
  private idleSince: number | null = performance.now();

  constructor(
    private readonly slots: CallSlots,
    private readonly budget: ResultBudget,
    private readonly onChange: () => void,
  ) {}

  start(prepared: PreparedCall, fence: number): void {
    if (this.idleSince !== null) this.ownMs += performance.now() - this.idleSince;
    this.idleSince = null;
    const settled = this.run(prepared, fence).then(
      (end) => this.settle(prepared.call.id, end),
      (thrown: unknown) => this.fail(prepared.call.id, thrown),
    );
    this.running.set(prepared.call.id, { prepared, fence, settled });
  }

  /** One that has ended before it could be started. */
  addEnded(end: CallEnd): void {
    this.ended.push(end);
    this.onChange();
  }

  /** Whether `take` has something to give. */
  get hasEnded(): boolean {
    return this.ended.length > 0 || this.fault !== undefined;
  }

  /** Those that ended since, in that order, as many as one transaction should hold. @throws what a call threw that is no end of a step */
  take(most = MAX_TAKEN): CallEnd[] {
    if (this.fault !== undefined) throw this.fault.thrown;
    return this.ended.splice(0, most);
  }

  /** How long nothing was running, in ms. */
  get timeWithoutCallsMs(): number {
    return this.ownMs + (this.idleSince === null ? 0 : performance.now() - this.idleSince);
  }

  cancel(id: string): void {
    this.running.get(id)?.prepared.control.cancel();
  }

  /** Aborts all and waits for them. @returns every end; of those that do not heed the abort, that they were cancelled */
  async stop(withinMs: number): Promise<CallEnd[]> {
    for (const { prepared } of this.running.values()) prepared.control.cancel();
    const done = new AbortController();
    const all = Promise.all([...this.running.values()].map(({ settled }) => settled)).then(() => done.abort());
    await Promise.race([all, sleep(withinMs, undefined, { signal: done.signal }).catch(() => undefined)]);
    const stuck = [...this.running.values()].map(({ prepared, fence }) => endOf(prepared, fence, prepared.attempt.cancelled()));
    this.running.clear();
    return [...this.ended.splice(0), ...stuck];
  }

  /** Aborts all: this attempt of the segment ends, and what becomes of them is not its business any more. */
  letGo(why: Error): void {
    for (const { prepared } of this.running.values()) prepared.control.letGo(why);
    this.running.clear();
  }

  private async run(prepared: PreparedCall, fence: number): Promise<CallEnd> {
    const { attempt, control } = prepared;
    // The database or Temporal is away before the tool could have had an effect: tried again here, as Temporal would.
    const outcome = await this.slots.run(control.signal, () => persistUnlessAborted(() => attempt.work(), control.signal));
    const answer = await this.answerOf(attempt, outcome);
    const end = endOf(prepared, fence, answer, this.budget.fit(answer));
    this.budget.add(end.result);
    return end;
  }

  /** What cannot be recorded must not be done again for it: the step fails, and says why. */
  private async answerOf(attempt: StepAttempt<ToolPlan>, outcome: Outcome): Promise<StepAnswer> {
    try {
      return await persist(() => outcome(this.budget.limitBytes));
    } catch (error) {
      return attempt.failedWith(error);
    }
  }

  private settle(id: string, end: CallEnd): void {
    if (!this.leave(id)) return;
    this.ended.push(end);
    this.onChange();
  }

  private fail(id: string, thrown: unknown): void {
    if (!this.leave(id)) return;
    this.fault ??= { thrown };
    this.onChange();
  }

  /** False: nobody waits for it any more. */
  private leave(id: string): boolean {
    const isAwaited = this.running.delete(id);
    if (isAwaited && this.running.size === 0) this.idleSince = performance.now();
    return isAwaited;
  }
}

const MAX_TAKEN = 50;

/** @param told what the engine is told, where that is less than the record */
export function endOf(prepared: PreparedCall, fence: number | null, answer: StepAnswer, told = answer): CallEnd {
  const { call, attempt } = prepared;
  return { call, result: { of: 'step', answer: told }, record: { prepared, fence, step: attempt.ending(answer) } };
}
