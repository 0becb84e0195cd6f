import { ApplicationFailure } from '@temporalio/common';
import type { PlanStep } from '../definition/plan.js';
import type { StepAnswer } from '../engine/types.js';
import type { BeginStep, Begun, EndStep, Ended, RecoverStep } from '../store/steps.js';
import { persist, persistUnlessAborted } from './persist.js';
import type { RunFactsSource } from './run-facts.js';
import type { StepCallInput } from './step-call.js';
import { type Outcome, StepAttempt, type StepWork } from './step-attempt.js';
import { answered, isPlatformFault, tryAgain } from './step-error.js';
import { WorkingCall } from './working-call.js';

export { stepTimeout, type StepWork, type Work, type WorkDone, type WorkNotes } from './step-attempt.js';

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
    const attempt = new StepAttempt(facts, this.input, this.work, this.call);
    await attempt.render();
    const begun = await this.begin(attempt);
    if (begun === undefined) return await this.settleUnstarted();
    if (begun.kind === 'ended') return begun.answer;
    if (begun.kind === 'closed') return this.closed();
    return await this.end(attempt, begun.fence, await attempt.work());
  }

  /** Undefined: cancelled meanwhile. */
  private async begin(attempt: StepAttempt<S>): Promise<Begun | undefined> {
    const step: BeginStep = { ...attempt.beginning(), carry: this.input.carry };
    try {
      return await persistUnlessAborted(() => this.parts.journal.begin(step), this.call.signal);
    } catch (error) {
      if (isPlatformFault(error) && this.call.isCancelRequested) return undefined;
      throw error;
    }
  }

  private async end(attempt: StepAttempt<S>, fence: number, outcome: Outcome): Promise<StepAnswer> {
    try {
      // Storing a large output is part of the recording: it waits for the database as well.
      return await this.write(attempt, fence, await persist(() => outcome()));
    } catch (error) {
      if (error instanceof ApplicationFailure) throw error;
      // What cannot be recorded must not be done again for it: the step fails, and says why.
      return await this.write(attempt, fence, attempt.failedWith(error));
    }
  }

  private async write(attempt: StepAttempt<S>, fence: number, answer: StepAnswer): Promise<StepAnswer> {
    const ended = await persist(() => this.parts.journal.end({ ...attempt.ending(answer), fence }));
    if (ended.kind === 'ended') return ended.answer;
    if (ended.kind === 'closed') return this.closed();
    throw tryAgain('superseded', `A later attempt has step ${this.input.instance.stepId}`);
  }

  /** Cancelled before it was taken up, or before that could be recorded: nothing has run. */
  private async settleUnstarted(): Promise<StepAnswer> {
    const { executionId, carry, instance, stepType } = this.input;
    const answer: StepAnswer = { ended: 'cancelled', at: this.now() };
    return await persist(() => this.parts.journal.recover({ executionId, carry, instance, stepType, answer, data: {} }));
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
