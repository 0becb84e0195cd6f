import { randomUUID } from 'node:crypto';
import type { Json } from '../definition/value.js';
import type { StepAnswer } from '../engine/types.js';
import type { StepJournal } from './record-step.js';
import type { Redactor } from './redaction.js';
import { answered, redactedError, toStepError } from './step-error.js';
import type { StepCallInput } from './step-call.js';

/**
 * Records that a step started and failed before its work could be ordered.
 * @returns what to throw; @throws the same when the step had ended before, and ApplicationFailure for what its row says
 */
export async function recordFault(journal: StepJournal, input: StepCallInput, fault: unknown, redactor: Redactor): Promise<unknown> {
  const { executionId, instance, stepType, carry, nowMs } = input;
  const at = Math.max(Date.now(), nowMs);
  const error = redactedError(toStepError(fault, instance), redactor);
  const data = { input: null, error: error as unknown as Json };
  const begun = await journal.begin({
    executionId,
    instance,
    stepType,
    carry,
    at,
    input: { v: null },
    startedData: { input: null },
    holder: randomUUID(),
    mayRepeat: true,
    unknown: { error, data },
  });
  const answer =
    begun.kind === 'run'
      ? await journal.end({ executionId, instance, stepType, fence: begun.fence, answer: { ended: 'failed', at, error }, data })
      : begun;
  return failureOf(answer.kind === 'ended' ? answer.answer : { ended: 'failed', at, error });
}

function failureOf(answer: StepAnswer): unknown {
  try {
    answered(answer);
    return new Error(`The step has ended ${answer.ended}`);
  } catch (failure) {
    return failure;
  }
}
