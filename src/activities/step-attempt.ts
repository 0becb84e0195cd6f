/** One attempt of a step's work, whoever records it: an activity of its own, or a segment among others. */
import { randomUUID } from 'node:crypto';
import { LARGE_VALUE_BYTES } from '../definition/json-size.js';
import type { PlanStep } from '../definition/plan.js';
import { toDisplay } from '../definition/value-parts.js';
import type { Json, Value } from '../definition/value.js';
import { renderStepInput } from '../engine/step-input.js';
import type { StepAnswer, StepError, TokenUsage, Warning } from '../engine/types.js';
import type { BeginStep, EndStep } from '../store/steps.js';
import { StepFault } from '../tools/step-fault.js';
import { FullScope } from './full-scope.js';
import { toInlineOrRef, toRecordedInput } from './large-values.js';
import type { RunFacts } from './run-facts.js';
import type { StepCallInput } from './step-call.js';
import { isPlatformFault, redactedError, toStepError } from './step-error.js';

/** What the work of a step is given. */
export interface Work<S extends PlanStep> {
  readonly step: S;
  /** Templates filled, stored values in their place, secrets readable: for the work alone, never for a record. */
  readonly input: { readonly [name: string]: Json };
  readonly signal: AbortSignal;
  readonly redact: (text: string) => string;
  /** Execution, step and path, without any attempt: what makes a repeat the same call. */
  readonly idempotencyKey: string;
}
/** What the work gives: the output, and what the step's row shows beside it. */
export interface WorkDone {
  readonly output: Json;
  readonly warnings?: readonly Warning[];
}
/** Known of the work also when it fails. */
export interface WorkNotes {
  usage?: TokenUsage;
  model?: string;
  turnIds?: readonly string[];
}

export interface StepWork<S extends PlanStep> {
  readonly type: S['type'];
  /** Whether the work may be done again when an earlier attempt was cut off after `step.started`. */
  mayRepeat(step: S): boolean;
  /** The fault of a step that runs out of its own time. */
  timeoutFault(step: S, timeoutMs: number): StepFault;
  run(work: Work<S>, notes: WorkNotes): Promise<WorkDone>;
}

export const stepTimeout = (step: PlanStep, timeoutMs: number): StepFault =>
  new StepFault('step_timeout', `Step ${step.id} took longer than ${timeoutMs} ms`, { retryable: true, details: { timeoutMs } });

/** What ends the work early, and why: only a cancel that somebody asked for makes the step cancelled. */
export interface WorkControl {
  /** Aborted by cancellation, by the worker's shutdown and by the step's time limit. */
  readonly signal: AbortSignal;
  readonly isCancelRequested: boolean;
  /** What to throw when the work was aborted and nobody asked for a cancel. */
  handOver(): Error | undefined;
  /** The step's own time limit, from now on. */
  limitTo(timeoutMs: number, fault: StepFault): void;
  /** The work is over: later aborts are no longer heard. */
  finishWork(): void;
}

/** How the work ended, as an answer: outputs above `limitBytes` of JSON are stored for it. May repeat. */
export type Outcome = (limitBytes?: number) => Promise<StepAnswer>;

/** `render`, then `beginning` to record, then `work`, then its outcome and `ending` to record. */
export class StepAttempt<S extends PlanStep> {
  private readonly step: S;
  private plain: { readonly [name: string]: Json } = {};
  /** The input, redacted, large parts by reference. */
  private recorded: Value = { v: null };
  private warnings: readonly Warning[] = [];
  /** The templates could not be filled: the step starts and fails with this. */
  private fault: { readonly thrown: unknown } | undefined;
  private readonly notes: WorkNotes = {};

  constructor(
    private readonly facts: RunFacts,
    private readonly input: StepCallInput,
    private readonly stepWork: StepWork<S>,
    private readonly control: WorkControl,
  ) {
    this.step = facts.step(input.instance.stepId) as S;
  }

  /** Fills the templates. @throws faults of the platform alone: it may be called again */
  async render(): Promise<void> {
    const { facts, step } = this;
    const full = new FullScope(this.input.scope, this.input.nowMs, facts.getValue, facts.secrets);
    try {
      const value = await full.run((reader) => renderStepInput(step, reader));
      this.warnings = full.warnings;
      this.plain = (await full.plain(value)) as typeof this.plain;
      const redacted = facts.redactor.isIdle ? value : { ...value, v: facts.redactor.json(value.v) };
      this.recorded = await toRecordedInput(redacted, facts.putValue);
    } catch (error) {
      if (isPlatformFault(error)) throw error;
      this.plain = {};
      this.recorded = { v: null };
      this.warnings = full.warnings;
      this.fault = { thrown: error };
    }
  }

  /** Under one holder however often it is tried: an answer that was lost on the way does not count as a crash. */
  beginning(): Omit<BeginStep, 'carry'> {
    const { executionId, instance } = this.input;
    const data = { input: toDisplay(this.recorded) };
    const unknown: StepError = {
      code: 'outcome_unknown',
      message: `Step ${this.step.id} was cut off after it had started; whether it took effect is not known`,
      ...instance,
      retryable: false,
    };
    return {
      executionId,
      instance,
      stepType: this.step.type,
      at: this.now(),
      input: this.recorded,
      startedData: data,
      holder: randomUUID(),
      mayRepeat: this.stepWork.mayRepeat(this.step),
      unknown: { error: unknown, data: { ...data, error: unknown as unknown as Json } },
    };
  }

  /** Does the work. A cancel that comes meanwhile makes it cancelled; the row has the last word. @throws faults of the platform, and what `handOver` says */
  async work(): Promise<Outcome> {
    const { step, control, notes } = this;
    try {
      if (this.fault !== undefined) throw this.fault.thrown;
      const { timeoutMs, executionId, instance } = this.input;
      if (timeoutMs !== null) control.limitTo(timeoutMs, this.stepWork.timeoutFault(step, timeoutMs));
      control.signal.throwIfAborted();
      const { redactor } = this.facts;
      const idempotencyKey = [executionId, instance.stepId, instance.iterationPath].filter((part) => part !== '').join('/');
      const done = await this.stepWork.run(
        { step, input: this.plain, signal: control.signal, redact: (text) => redactor.text(text), idempotencyKey },
        notes,
      );
      return (limitBytes) => this.completed(done, limitBytes);
    } catch (thrown) {
      const answer = this.failure(thrown);
      return async () => answer;
    } finally {
      control.finishWork();
    }
  }

  private async completed(done: WorkDone, limitBytes = LARGE_VALUE_BYTES): Promise<StepAnswer> {
    const output = await toInlineOrRef(this.facts.redactor.json(done.output), this.facts.putValue, limitBytes);
    const warnings = [...this.warnings, ...(done.warnings ?? [])];
    return { ended: 'completed', at: this.now(), output, ...(warnings.length === 0 ? {} : { warnings }), ...this.usage };
  }

  private failure(thrown: unknown): StepAnswer {
    const { control } = this;
    if (control.isCancelRequested && control.signal.aborted) return this.cancelled();
    const handOver = control.handOver();
    if (handOver !== undefined) throw handOver;
    if (isPlatformFault(thrown)) throw thrown;
    // Aborted by the time limit: whatever the work made of it, this is why.
    return this.failedWith(control.signal.aborted && control.signal.reason instanceof StepFault ? control.signal.reason : thrown);
  }

  /** The end of a step with a fault, without its secrets. */
  failedWith(thrown: unknown): StepAnswer {
    const error = redactedError(toStepError(thrown, this.input.instance), this.facts.redactor);
    return { ended: 'failed', at: this.now(), error, ...this.usage };
  }

  cancelled(): StepAnswer {
    return { ended: 'cancelled', at: this.now() };
  }

  ending(answer: StepAnswer): Omit<EndStep, 'fence'> {
    const { executionId, instance } = this.input;
    const { model, turnIds } = this.notes;
    return {
      executionId,
      instance,
      stepType: this.step.type,
      answer,
      data: this.endData(answer),
      ...(model === undefined ? {} : { model }),
      ...(turnIds === undefined ? {} : { turnIds }),
    };
  }

  private endData(answer: StepAnswer): { readonly [key: string]: Json } {
    if (answer.ended === 'cancelled') return {};
    const input = toDisplay(this.recorded);
    if (answer.ended === 'failed') return { input, error: answer.error as unknown as Json };
    return {
      input,
      output: toDisplay(answer.output),
      ...(answer.warnings === undefined ? {} : { warnings: answer.warnings as unknown as Json }),
    };
  }

  private get usage(): { readonly usage?: TokenUsage } {
    return this.notes.usage === undefined ? {} : { usage: this.notes.usage };
  }

  /** Times of a run never go back, whichever machine's clock tells them. */
  private now(): number {
    return Math.max(Date.now(), this.input.nowMs);
  }
}
