import { randomUUID } from 'node:crypto';
import { ApplicationFailure } from '@temporalio/common';
import { toDisplay } from '../definition/value-parts.js';
import type { Json, Value } from '../definition/value.js';
import type { PlanStep } from '../definition/plan.js';
import { renderStepInput } from '../engine/step-input.js';
import type { StepAnswer, StepError, TokenUsage, Warning } from '../engine/types.js';
import type { BeginStep, Begun, EndStep, Ended, RecoverStep } from '../store/steps.js';
import { StepFault } from '../tools/step-fault.js';
import type { StepCallInput } from './step-call.js';
import { FullScope } from './full-scope.js';
import { toInlineOrRef, toRecordedInput } from './large-values.js';
import { persist, persistUnlessAborted } from './persist.js';
import type { RunFacts, RunFactsSource } from './run-facts.js';
import { answered, isPlatformFault, redactedError, toStepError, tryAgain } from './step-error.js';
import { WorkingCall } from './working-call.js';

/** What the recording of steps asks of the store. */
export interface StepJournal {
  begin(step: BeginStep): Promise<Begun>;
  end(step: EndStep): Promise<Ended>;
  recover(step: RecoverStep): Promise<StepAnswer>;
}
export interface RecordingParts {
  readonly journal: StepJournal;
  readonly facts: RunFactsSource;
}

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

/**
 * Does a step's work once and records it: checkpoint and `step.started` before, the end after, both under a fence. A step
 * instance that has ended answers with what is recorded. Heartbeats all the while.
 * @returns completed or cancelled, as the row says; @throws ApplicationFailure with the answer when it failed, retryable ones for faults of the platform
 */
export async function recordStep<S extends PlanStep>(parts: RecordingParts, input: StepCallInput, work: StepWork<S>): Promise<StepAnswer> {
  const call = new WorkingCall();
  try {
    return answered(await new StepRecording(parts, input, work, call).run());
  } catch (error) {
    if (isPlatformFault(error)) throw tryAgain('unavailable', (error as Error).message, error);
    throw error;
  } finally {
    call.close();
  }
}

interface Rendered<S> {
  readonly step: S;
  readonly facts: RunFacts;
  readonly plain: { readonly [name: string]: Json };
  /** Redacted, large parts by reference. */
  readonly recorded: Value;
  readonly warnings: readonly Warning[];
  /** The templates could not be filled: the step starts and fails with this. */
  readonly fault?: unknown;
}

class StepRecording<S extends PlanStep> {
  constructor(
    private readonly parts: RecordingParts,
    private readonly input: StepCallInput,
    private readonly work: StepWork<S>,
    private readonly call: WorkingCall,
  ) {}

  async run(): Promise<StepAnswer> {
    const facts = await this.parts.facts.of(this.input);
    if (this.call.isCancelRequested) return await this.settleUnstarted();
    const rendered = await this.render(facts);
    const begun = await this.begin(rendered);
    if (begun === undefined) return await this.settleUnstarted();
    if (begun.kind === 'ended') return begun.answer;
    if (begun.kind === 'closed') return this.closed();
    const notes: WorkNotes = {};
    const outcome = await this.attempt(rendered, notes);
    return await this.end(rendered, begun.fence, outcome, notes);
  }

  private async render(facts: RunFacts): Promise<Rendered<S>> {
    const { instance, scope, nowMs } = this.input;
    const step = facts.step(instance.stepId) as S;
    const full = new FullScope(scope, nowMs, facts.getValue, facts.secrets);
    try {
      const value = await full.run((reader) => renderStepInput(step, reader));
      const { warnings } = full;
      const plain = (await full.plain(value)) as Rendered<S>['plain'];
      const redacted = facts.redactor.isIdle ? value : { ...value, v: facts.redactor.json(value.v) };
      return { step, facts, plain, recorded: await toRecordedInput(redacted, facts.putValue), warnings };
    } catch (error) {
      if (isPlatformFault(error)) throw error;
      return { step, facts, plain: {}, recorded: { v: null }, warnings: full.warnings, fault: error };
    }
  }

  /** Under one holder however often it is tried: an answer that was lost on the way does not count as a crash. Undefined: cancelled meanwhile. */
  private async begin(rendered: Rendered<S>): Promise<Begun | undefined> {
    const step = this.beginning(rendered);
    try {
      return await persistUnlessAborted(() => this.parts.journal.begin(step), this.call.signal);
    } catch (error) {
      if (isPlatformFault(error) && this.call.isCancelRequested) return undefined;
      throw error;
    }
  }

  private beginning({ step, recorded }: Rendered<S>): BeginStep {
    const { executionId, carry, instance } = this.input;
    const data = { input: toDisplay(recorded) };
    const unknown: StepError = {
      code: 'outcome_unknown',
      message: `Step ${step.id} was cut off after it had started; whether it took effect is not known`,
      ...instance,
      retryable: false,
    };
    return {
      executionId,
      instance,
      stepType: step.type,
      carry,
      at: this.now(),
      input: recorded,
      startedData: data,
      holder: randomUUID(),
      mayRepeat: this.work.mayRepeat(step),
      unknown: { error: unknown, data: { ...data, error: unknown as unknown as Json } },
    };
  }

  /** The work's end as an answer. A cancel that comes while it works makes it cancelled; the row has the last word. */
  private async attempt(rendered: Rendered<S>, notes: WorkNotes): Promise<(facts: RunFacts) => Promise<StepAnswer>> {
    const { step, facts } = rendered;
    try {
      if (rendered.fault !== undefined) throw rendered.fault;
      const { timeoutMs, executionId, instance } = this.input;
      if (timeoutMs !== null) this.call.limitTo(timeoutMs, this.work.timeoutFault(step, timeoutMs));
      this.call.signal.throwIfAborted();
      const idempotencyKey = [executionId, instance.stepId, instance.iterationPath].filter((part) => part !== '').join('/');
      const done = await this.work.run(
        { step, input: rendered.plain, signal: this.call.signal, redact: (text) => facts.redactor.text(text), idempotencyKey },
        notes,
      );
      return async ({ redactor, putValue }) => {
        const output = await toInlineOrRef(redactor.json(done.output), putValue);
        const warnings = [...rendered.warnings, ...(done.warnings ?? [])];
        return { ended: 'completed', at: this.now(), output, ...(warnings.length === 0 ? {} : { warnings }), ...usageOf(notes) };
      };
    } catch (thrown) {
      return this.failure(thrown, notes);
    } finally {
      this.call.finishWork();
    }
  }

  private failure(thrown: unknown, notes: WorkNotes): (facts: RunFacts) => Promise<StepAnswer> {
    if (this.call.isCancelRequested && this.call.signal.aborted) return async () => this.cancelled();
    const handOver = this.call.handOver();
    if (handOver !== undefined) throw handOver;
    if (isPlatformFault(thrown)) throw thrown;
    // Aborted by the time limit: whatever the work made of it, this is why.
    const reason: unknown = this.call.signal.aborted && this.call.signal.reason instanceof StepFault ? this.call.signal.reason : thrown;
    return async ({ redactor }) => ({
      ended: 'failed',
      at: this.now(),
      error: redactedError(toStepError(reason, this.input.instance), redactor),
      ...usageOf(notes),
    });
  }

  private async end(
    rendered: Rendered<S>,
    fence: number,
    outcome: (facts: RunFacts) => Promise<StepAnswer>,
    notes: WorkNotes,
  ): Promise<StepAnswer> {
    try {
      // Storing a large output is part of the recording: it waits for the database as well.
      const answer = await persist(() => outcome(rendered.facts));
      return await this.write(rendered, fence, answer, notes);
    } catch (error) {
      if (error instanceof ApplicationFailure) throw error;
      // What cannot be recorded must not be done again for it: the step fails, and says why.
      return await this.write(
        rendered,
        fence,
        { ended: 'failed', at: this.now(), error: toStepError(error, this.input.instance), ...usageOf(notes) },
        notes,
      );
    }
  }

  private async write({ step, recorded }: Rendered<S>, fence: number, answer: StepAnswer, notes: WorkNotes): Promise<StepAnswer> {
    const { executionId, instance } = this.input;
    const { model, turnIds } = notes;
    const ended = await persist(() =>
      this.parts.journal.end({
        executionId,
        instance,
        stepType: step.type,
        fence,
        answer,
        data: endData(recorded, answer),
        ...(model === undefined ? {} : { model }),
        ...(turnIds === undefined ? {} : { turnIds }),
      }),
    );
    if (ended.kind === 'ended') return ended.answer;
    if (ended.kind === 'closed') return this.closed();
    throw tryAgain('superseded', `A later attempt has step ${step.id}`);
  }

  /** Cancelled before it was taken up, or before that could be recorded: nothing has run. */
  private async settleUnstarted(): Promise<StepAnswer> {
    const { executionId, carry, instance, stepType } = this.input;
    return await persist(() => this.parts.journal.recover({ executionId, carry, instance, stepType, answer: this.cancelled(), data: {} }));
  }

  private cancelled(): StepAnswer {
    return { ended: 'cancelled', at: this.now() };
  }

  /** The execution's row has ended under the workflow, which is to end too. */
  private closed(): StepAnswer {
    return { ended: 'cancelled', at: this.now(), closed: true };
  }

  /** Times of a run never go back, whichever machine's clock tells them. */
  private now(): number {
    return Math.max(Date.now(), this.input.nowMs);
  }
}

const usageOf = ({ usage }: WorkNotes): { readonly usage?: TokenUsage } => (usage === undefined ? {} : { usage });

function endData(recorded: Value, answer: StepAnswer): { readonly [key: string]: Json } {
  if (answer.ended === 'cancelled') return {};
  const input = toDisplay(recorded);
  if (answer.ended === 'failed') return { input, error: answer.error as unknown as Json };
  return {
    input,
    output: toDisplay(answer.output),
    ...(answer.warnings === undefined ? {} : { warnings: answer.warnings as unknown as Json }),
  };
}
