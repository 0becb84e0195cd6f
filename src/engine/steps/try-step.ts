import { innerPath, type TryPlan } from '../../definition/runtime.js';
import { asJson, causedBy, matchesCode } from '../faults.js';
import type { At } from '../run.js';
import { type BlockFrame, newBlock, type TryData } from '../state.js';
import { type Aborted, type BlockEnd, completed, failed, type Next, ON, type StepHandler, WAIT } from '../step-handler.js';
import { tellStarted } from '../tell.js';
import type { StepError } from '../types.js';
import { activeUnwind, armCleanup } from '../unwind.js';

/** Body, then the first handler whose codes fit a failure, then `finally` whatever happened, an abort included. */
export const tryStep: StepHandler<TryPlan> = {
  begin: (at) => {
    at.frame.data = { type: 'try', stage: 'body', handler: null, outcome: null };
    tellStarted(at);
    return enterBlock(at, 'try');
  },
  proceed: () => WAIT,
  abort,
  blockEnded: (at, block, end) => {
    const data = dataOf(at);
    if (data.stage === 'finally') return endFinally(data, end);
    if (end.ended === 'failed' && data.stage === 'body') return handle(at, data, end.error);
    data.outcome = end.ended === 'completed' ? { output: end.output } : { error: withCause(end.error, block) };
    return enterFinally(at, data);
  },
};

const dataOf = ({ frame }: At): TryData => frame.data as TryData;

function enterBlock({ fiber, frame, step }: At, slot: string, extra: Partial<BlockFrame> = {}): Next {
  fiber.frames.push(newBlock({ owner: step.id, slot, path: innerPath(frame.path, step.id, slot), base: frame.childBase, ...extra }));
  return ON;
}

function handle(at: At<TryPlan>, data: TryData, error: StepError): Next {
  const index = at.step.catch.findIndex(({ codes }) => matchesCode(codes, error.code));
  const handler = at.step.catch[index];
  if (handler === undefined) {
    data.outcome = { error };
    return enterFinally(at, data);
  }
  data.stage = 'catch';
  data.handler = index;
  const caught = asJson(error);
  return enterBlock(at, `catch${index}`, {
    caught: error,
    ...(handler.as === undefined ? {} : { local: { [handler.as]: { v: caught } } }),
  });
}

/** A handler that fails in turn tells what it was to handle. */
function withCause(error: StepError, { caught }: BlockFrame): StepError {
  return caught === undefined ? error : causedBy(error, caught);
}

function enterFinally(at: At<TryPlan>, data: TryData): Next {
  if (at.step.finally === undefined) return over(data);
  data.stage = 'finally';
  return enterBlock(at, 'finally', { shield: true });
}

/** A `finally` that fails replaces the end; while unwinding there is none to replace. */
function endFinally(data: TryData, end: BlockEnd): Next {
  if (end.ended === 'failed' && data.outcome !== null)
    data.outcome = { error: 'error' in data.outcome ? causedBy(end.error, data.outcome.error) : end.error };
  return over(data);
}

function over(data: TryData): Next {
  data.stage = 'over';
  if (data.outcome === null) return ON;
  return 'error' in data.outcome ? failed(data.outcome.error) : completed(data.outcome.output);
}

/** The clean-up of an abort: once, and only while its minute lasts. */
function abort(at: At<TryPlan>): Aborted {
  const { run, fiber, frame, step } = at;
  const unwind = activeUnwind(fiber);
  if (frame.data === null || unwind === undefined) return 'gone';
  const data = dataOf(at);
  if (step.finally === undefined || data.stage === 'finally' || data.stage === 'over' || unwind.hard) return 'gone';
  data.stage = 'finally';
  data.outcome = null;
  enterBlock(at, 'finally', { shield: true });
  armCleanup(run, fiber, unwind.deadline);
  return 'on';
}
