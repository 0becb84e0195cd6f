import { formatInstant, parseDuration, parseInstant, type WaitPlan } from '../../definition/runtime.js';
import { renderAt } from '../expression.js';
import { stepError, StepFault } from '../faults.js';
import { type At, instanceId, instanceOf } from '../run.js';
import type { WaitData } from '../state.js';
import { completed, type Next, type StepHandler, WAIT } from '../step-handler.js';
import { tellStarted, tellStep } from '../tell.js';
import { armTimer, dropTimer } from '../timers.js';

/** A durable timer at an absolute instant; one that has passed does not wait. */
export const waitStep: StepHandler<WaitPlan> = {
  begin: (at) => {
    const { run, fiber, frame } = at;
    const until = instantOf(at);
    frame.data = { type: 'wait', until };
    frame.input = { v: { until: formatInstant(until) } };
    tellStarted(at);
    if (until <= run.state.nowMs) return over(at);
    tellStep(at, 'step.waiting', { for: 'timer', until: formatInstant(until) });
    const timer = { fiber: fiber.id, frame: fiber.frames.length - 1, purpose: 'wait', at: until, instance: instanceOf(frame) } as const;
    armTimer(run, timer, timerId(at));
    fiber.wait = { on: 'timer', until };
    return WAIT;
  },
  proceed: () => WAIT,
  timer: over,
  abort: (at) => {
    dropTimer(at.run, timerId(at));
    return 'gone';
  },
};

function over({ frame }: At): Next {
  return completed({ v: { until: formatInstant((frame.data as WaitData).until) } });
}

const timerId = ({ frame }: At): string => `${instanceId(instanceOf(frame))}:wait`;

/** @throws StepFault for a duration or instant that cannot be read */
function instantOf(at: At<WaitPlan>): number {
  const { run, step } = at;
  if (step.until !== undefined) {
    const until = renderAt(at, { stepId: step.id, field: 'until_instant' }, step.until).v;
    return parseInstant(until) ?? unreadable(`"until" is no instant such as 2026-03-01T09:00:00Z: ${JSON.stringify(until)}`);
  }
  if (step.duration === undefined) return run.state.nowMs;
  const duration = renderAt(at, { stepId: step.id, field: 'duration' }, step.duration).v;
  return run.state.nowMs + (parseDuration(duration) ?? unreadable(`"duration" is no duration such as 90s: ${JSON.stringify(duration)}`));
}

function unreadable(message: string): never {
  throw new StepFault(stepError('expression_error', message));
}
