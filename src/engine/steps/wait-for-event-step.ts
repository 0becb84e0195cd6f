import { formatInstant, type WaitForEventPlan } from '../../definition/runtime.js';
import { conditionAt, renderAt } from '../expression.js';
import { stepError, StepFault } from '../faults.js';
import { type At, instanceId, instanceOf } from '../run.js';
import type { EventData, InboxEvent } from '../state.js';
import { completed, failed, type Next, ON, type StepHandler, WAIT } from '../step-handler.js';
import { tellStarted, tellStep } from '../tell.js';
import { armTimer, dropTimer } from '../timers.js';

/** Takes the oldest fitting event of the inbox, or waits for one. An event that does not fit stays for others. */
export const waitForEventStep: StepHandler<WaitForEventPlan> = {
  begin: (at) => {
    const { run, frame, step } = at;
    const event = nameOf(at);
    const deadlineAt = step.deadlineMs === undefined ? null : run.state.nowMs + step.deadlineMs;
    const data: EventData = { type: 'event', event, seen: 0, asking: null, timer: null, deadlineAt, expired: false, told: false };
    frame.data = data;
    frame.input = { v: { event } };
    tellStarted(at);
    if (deadlineAt !== null) data.timer = armDeadline(at, deadlineAt);
    return ON;
  },
  proceed: (at) => {
    const data = dataOf(at);
    const found = findEvent(at, data);
    if (found !== undefined) return take(at, data, found);
    if (data.expired) return failed(stepError('event_timeout', `No event ${data.event} came in time`, { details: { event: data.event } }));
    if (!data.told)
      tellStep(at, 'step.waiting', {
        for: 'event',
        event: data.event,
        until: data.deadlineAt === null ? null : formatInstant(data.deadlineAt),
      });
    data.told = true;
    at.fiber.wait = { on: 'event', event: data.event };
    return WAIT;
  },
  /** An event that came before the deadline but was not looked at yet (a pause) still counts. */
  timer: (at) => {
    const data = dataOf(at);
    data.expired = true;
    data.timer = null;
    return at.fiber.call === null ? ON : WAIT;
  },
  abort: (at) => {
    if (at.frame.data !== null) dropTimer(at.run, dataOf(at).timer);
    return 'gone';
  },
};

const dataOf = ({ frame }: At): EventData => frame.data as EventData;

function nameOf(at: At<WaitForEventPlan>): string {
  const name = renderAt(at, { stepId: at.step.id, field: 'event' }, at.step.event).v;
  if (typeof name === 'string' && name !== '') return name;
  throw new StepFault(stepError('expression_error', `"event" is not a name: ${JSON.stringify(name)}`));
}

function armDeadline({ run, fiber, frame }: At, at: number): string {
  const instance = instanceOf(frame);
  return armTimer(
    run,
    { fiber: fiber.id, frame: fiber.frames.length - 1, purpose: 'event', at, instance },
    `${instanceId(instance)}:event`,
  );
}

/** @throws Suspended while `match` is evaluated elsewhere; the answer counts for that event only */
function findEvent(at: At<WaitForEventPlan>, data: EventData): InboxEvent | undefined {
  for (const candidate of at.run.state.inbox) {
    if (candidate.event !== data.event || candidate.seq <= data.seen) continue;
    if (data.deadlineAt !== null && candidate.at > data.deadlineAt) continue;
    if (fits(at, data, candidate)) return candidate;
    data.seen = candidate.seq;
  }
  return undefined;
}

function fits(at: At<WaitForEventPlan>, data: EventData, { seq, event, payload, at: cameAt }: InboxEvent): boolean {
  const { match, id } = at.step;
  if (match === undefined) return true;
  if (data.asking !== seq) delete at.frame.answers;
  data.asking = seq;
  const extra = { event: { name: { v: event }, payload, at: { v: formatInstant(cameAt) } } };
  return conditionAt(at, { stepId: id, field: 'match' }, match, extra);
}

function take({ run }: At, data: EventData, event: InboxEvent): Next {
  run.state.inbox = run.state.inbox.filter((one) => one !== event);
  dropTimer(run, data.timer);
  return completed(event.payload);
}
