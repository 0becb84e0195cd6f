/**
 * An agent's step: the agent loop (engine/agent) carried out by activities, several of which may be in flight at once. The engine keeps the
 * step's clock, its budgets, its thread and the gates of held calls; what is said is in the transcript.
 */
import { type AgentPromptPlan, type Value, wholeRefOf } from '../../definition/runtime.js';
import type { AgentData } from '../agent/agent-data.js';
import {
  agentLimitMs,
  type AgentInput,
  type AgentOrder,
  beginAgent,
  budgetError,
  dropCall,
  failedAgent,
  goOnAgent,
  leavesItToPeople,
  takeAgent,
  waitsForPerson,
} from '../agent/index.js';
import { budgetAt, releaseTokens, reserveTokens, tightestBudget } from '../agent/run-budget.js';
import { addToThread, bundleThread, exchangeOf, shownThread, threadAt, threadNamed } from '../agent/threads.js';
import { endOf, type Ordered, order, stepCall } from '../calls.js';
import { addWarnings, renderAt } from '../expression.js';
import { stepError } from '../faults.js';
import { type At, instanceId, instanceOf } from '../run.js';
import { type Aborted, completed, ended, failed, type Next, ON, type StepHandler, WAIT } from '../step-handler.js';
import { inputSources } from '../step-input.js';
import { tellStep } from '../tell.js';
import { armTimer, dropTimer } from '../timers.js';
import type { ActivityResult, GateOutcome, StepError } from '../types.js';
import { activeUnwind, isCleanup } from '../unwind.js';

type AgentAt = At<AgentPromptPlan>;

export const agentPromptStep: StepHandler<AgentPromptPlan> = {
  begin: (at) => (at.run.state.engineVersion < 2 ? beginV1(at) : begin(at)),
  proceed: (at) => (at.frame.data === null ? WAIT : proceed(at)),
  answered: (at, result, part) => (part === undefined ? endOf(at, result) : answered(at, result, part)),
  gate,
  timer: (at, _purpose, id) => gateIsDue(at, id),
  abort,
};

/** One model turn with a text reply: what executions of engine version 1 go on with. */
function beginV1(at: AgentAt): Next {
  at.frame.started = true;
  return order(at, { name: 'agent_prompt_v1', turn: 1, ...stepCall(at, inputSources(at.step), agentLimitMs(at.step)) }, 'turn1');
}

function begin(at: AgentAt): Next {
  const { run, fiber, frame, step } = at;
  const name = threadNamed(threadName(at));
  const thread = shownThread(name, instanceOf(frame));
  frame.budget ??= { deadlineAt: run.state.nowMs + agentLimitMs(step), tokens: 0 };
  frame.data = {
    type: 'agent',
    agent: beginAgent(),
    thread,
    ...threadAt(run, fiber, name),
    flights: {},
    holds: {},
    deadlines: {},
    waitsForBudget: false,
    leftMs: null,
    closed: false,
    losses: 0,
  };
  frame.started = true;
  armClock(at);
  const { entries, own } = dataOf(at);
  return fly(at, 'open', 'open', { name: 'agent_open', thread, entries, own, ...stepCall(at, inputSources(step), null) });
}

/** @throws Suspended, StepFault */
function threadName(at: AgentAt): string {
  if (at.step.thread === undefined) return '';
  const value: Value = renderAt(at, { stepId: at.step.id, field: 'thread' }, at.step.thread);
  if (wholeRefOf(value) === undefined && (value.v === null || typeof value.v === 'string' || typeof value.v === 'number'))
    return String(value.v ?? '');
  return JSON.stringify(value.v).slice(0, MAX_THREAD_NAME);
}

const MAX_THREAD_NAME = 200;

const dataOf = ({ frame }: Pick<At, 'frame'>): AgentData => frame.data as AgentData;

// ---- what goes on ----

function proceed(at: AgentAt): Next {
  const { run, fiber } = at;
  const data = dataOf(at);
  if (data.agent.end !== null) return finish(at);
  const going = goOnAgent(data.agent, { budget: budgetAt(at), nowMs: run.state.nowMs });
  data.agent = going.state;
  data.waitsForBudget = going.waitsForBudget === true;
  if (going.exceeded !== undefined) {
    data.agent = failedAgent(data.agent, budgetError({ ...tightestBudget(at), neededTokens: going.exceeded.needed }));
    return ON;
  }
  for (const one of going.orders) carryOut(at, one);
  for (const { callId, status, approvalId } of data.agent.calls) {
    if (status === 'expiring' && approvalId !== null && data.flights[`gate:${callId}`] === undefined)
      closeGate(at, callId, approvalId, 'expired');
  }
  runClock(at);
  const held = waitsForPerson(data.agent) ? data.agent.calls.find(({ status }) => status === 'held') : undefined;
  fiber.wait = held?.approvalId == null || isFlying(data) ? { on: 'call' } : { on: 'gate', approvalId: held.approvalId };
  return WAIT;
}

function carryOut(at: AgentAt, { order: what, ...rest }: AgentOrder): void {
  const { run, frame } = at;
  const { thread, entries } = dataOf(at);
  const common = { instance: instanceOf(frame), stepType: 'agent_prompt', nowMs: run.state.nowMs, thread, entries } as const;
  const wanted = { order: what, ...rest } as AgentOrder;
  switch (wanted.order) {
    case 'turn': {
      const { order: _order, ...fields } = wanted;
      reserveTokens(run, dataOf(at).agent.reserved);
      fly(at, 'turn', `turn${wanted.call}`, { name: 'agent_turn', ...common, ...fields });
      return;
    }
    case 'tool': {
      const { order: _order, ...fields } = wanted;
      fly(at, `tool:${wanted.callId}`, `tool${placeOf(at, wanted.callId)}`, { name: 'agent_tool', ...common, ...fields });
      return;
    }
    case 'open_gate': {
      const { order: _order, ...fields } = wanted;
      dataOf(at).deadlines[wanted.callId] = wanted.deadlineAt;
      fly(at, `gate:${wanted.callId}`, `gate${placeOf(at, wanted.callId)}`, { name: 'open_call_gate', ...common, ...fields });
      return;
    }
    case 'expire_gate':
      closeGate(at, wanted.callId, wanted.approvalId, 'expired');
  }
}

/** Turn and place of a call: in ids, which a provider's own call ids may not be fit for. */
function placeOf(at: AgentAt, callId: string): string {
  const { turn, calls } = dataOf(at).agent;
  return `${turn}.${calls.findIndex((call) => call.callId === callId) + 1}`;
}

/** Orders one of several activities that may be in flight at once. */
function fly(at: AgentAt, part: string, purpose: string, command: Ordered): Next {
  const { run, fiber, frame } = at;
  const instance = instanceOf(frame);
  const id = `${instanceId(instance)}:${purpose}`;
  run.state.calls[id] = { fiber: fiber.id, name: command.name, instance, part };
  dataOf(at).flights[part] = { id, cancelSent: false };
  fiber.wait = { on: 'call' };
  run.order({ ...command, kind: 'activity', id });
  return WAIT;
}

const isFlying = ({ flights }: AgentData): boolean => Object.keys(flights).length > 0;

// ---- what comes back ----

function answered(at: AgentAt, result: ActivityResult, part: string): Next {
  const data = dataOf(at);
  delete data.flights[part];
  const colon = part.indexOf(':');
  const what = colon < 0 ? part : part.slice(0, colon);
  const callId = part.slice(colon + 1);
  if (what === 'turn') releaseTokens(at.run, data.agent.reserved);
  if (what === 'close') data.closed = true;
  else if (what === 'gate') gateAnswered(at, callId, result);
  else takeResult(at, callId, result);
  return ON;
}

function takeResult(at: AgentAt, callId: string, result: ActivityResult): void {
  switch (result.of) {
    case 'agent_open':
      return opened(at, result);
    case 'agent_turn':
      countTokens(at, result.turn.usage);
      return take(at, { kind: 'turn', turn: result.turn });
    case 'agent_tool':
      return take(at, { kind: 'tool', callId, end: result.end });
    case 'step':
      // Cancelled: what ordered the cancel takes the step down.
      return result.answer.ended === 'failed' ? take(at, { kind: 'failed', error: result.answer.error }) : undefined;
    case 'fault':
      return take(at, { kind: 'failed', error: result.error });
    case 'lost':
      return take(at, { kind: 'failed', error: lostError(at, result.timedOut) });
    case 'agent_close':
    case 'gate':
    case 'child':
    case 'value':
    case 'values':
    case 'segment':
      return take(at, {
        kind: 'failed',
        error: stepError('internal_error', `An agent's activity gave an answer of another kind: ${result.of}`),
      });
  }
}

function opened(at: AgentAt, result: Extract<ActivityResult, { of: 'agent_open' }>): void {
  const { run, fiber } = at;
  const { thread, own } = dataOf(at);
  if (result.bundle !== undefined) bundleThread(run, fiber, thread, { ref: result.bundle, count: own });
  take(at, { kind: 'opened', opened: result });
}

function take(at: AgentAt, input: AgentInput): void {
  const data = dataOf(at);
  const { state, failover } = takeAgent(rulesOf(at), data.agent, input);
  data.agent = state;
  if (failover !== undefined) tellStep(at, 'agent.failover', { ...failover });
}

const rulesOf = ({ step }: AgentAt) => ({ maxTurns: step.maxTurns, isStructured: step.outputSchema !== undefined });

function countTokens({ run, frame }: AgentAt, usage: Parameters<typeof releaseTokens>[2]): void {
  const counted = releaseTokens(run, 0, usage);
  if (frame.budget !== undefined) frame.budget.tokens += counted;
}

function lostError({ step }: AgentAt, timedOut: boolean): StepError {
  if (timedOut) return stepError('step_timeout', `Step ${step.id} gave no answer within its time limit`, { retryable: true });
  return stepError('outcome_unknown', `Step ${step.id} was cut off; whether it took effect is not known`);
}

// ---- held calls ----

const MAX_LOSSES = 3;

function gateAnswered(at: AgentAt, callId: string, result: ActivityResult): void {
  const data = dataOf(at);
  if (result.of === 'gate') return takeGate(at, callId, result.gate);
  data.losses += 1;
  if (data.losses < MAX_LOSSES && result.of === 'lost') return gateLost(at, callId);
  data.agent = dropCall(data.agent, callId);
  if (activeUnwind(at.fiber) === undefined) takeResult(at, callId, result);
}

/** Once more: opening and closing are idempotent. */
function gateLost(at: AgentAt, callId: string): void {
  const data = dataOf(at);
  const calls = data.agent.calls.map((call) =>
    call.callId === callId && call.status === 'opening' ? { ...call, status: 'to_hold' as const } : call,
  );
  data.agent = { ...data.agent, calls };
}

function takeGate(at: AgentAt, callId: string, gateRow: GateOutcome): void {
  const { run, fiber, frame } = at;
  const data = dataOf(at);
  take(at, { kind: 'gate', callId, gate: gateRow });
  if (gateRow.status !== 'pending') {
    dropHold(at, callId);
    delete run.state.gates[gateRow.approvalId];
    // Nobody waits for it: the step is being taken down.
    if (activeUnwind(fiber) !== undefined || data.agent.end !== null) data.agent = dropCall(data.agent, callId);
    return;
  }
  run.state.gates[gateRow.approvalId] = fiber.id;
  const instance = instanceOf(frame);
  const due = {
    fiber: fiber.id,
    frame: fiber.frames.length - 1,
    purpose: 'gate',
    at: data.deadlines[callId] ?? run.state.nowMs,
    instance,
  } as const;
  data.holds[callId] ??= armTimer(run, due, `${instanceId(instance)}:hold${placeOf(at, callId)}`);
}

function gate(at: AgentAt, gateRow: GateOutcome): Next {
  const call = dataOf(at).agent.calls.find(({ approvalId }) => approvalId === gateRow.approvalId);
  // Its own closing is in flight and answers with the same row.
  if (call === undefined || dataOf(at).flights[`gate:${call.callId}`] !== undefined) return WAIT;
  takeGate(at, call.callId, gateRow);
  return gateRow.status === 'cancelled' ? WAIT : ON;
}

function gateIsDue(at: AgentAt, id: string): Next {
  const data = dataOf(at);
  const callId = Object.keys(data.holds).find((one) => data.holds[one] === id);
  if (callId === undefined) return WAIT;
  delete data.holds[callId];
  take(at, { kind: 'deadline', callId });
  return ON;
}

function dropHold(at: AgentAt, callId: string): void {
  const { holds } = dataOf(at);
  dropTimer(at.run, holds[callId] ?? null);
  delete holds[callId];
}

function closeGate(at: AgentAt, callId: string, approvalId: string, to: 'expired' | 'cancelled'): void {
  const { run, frame } = at;
  fly(at, `gate:${callId}`, `expire.${run.nextId()}`, { name: 'expire_gate', instance: instanceOf(frame), approvalId, to });
}

// ---- the clock of the whole step ----

function armClock({ run, fiber, frame }: AgentAt): void {
  const instance = instanceOf(frame);
  const at = Math.max(run.state.nowMs, frame.budget?.deadlineAt ?? 0);
  const timer = { fiber: fiber.id, frame: fiber.frames.length - 1, purpose: 'timeout', at, instance } as const;
  frame.timer = armTimer(run, timer, `${instanceId(instance)}:timeout.${run.nextId()}`);
}

/**
 * It stands while a person is waited for and nothing else is under way; from the moment at which the gate is ordered, as a worker that dies
 * before it hears of the open gate must not let it run on.
 */
function runClock(at: AgentAt): void {
  const { run, frame } = at;
  const data = dataOf(at);
  const stands = leavesItToPeople(data.agent);
  if (stands && data.leftMs === null && frame.budget !== undefined) {
    data.leftMs = frame.budget.deadlineAt - run.state.nowMs;
    dropTimer(run, frame.timer);
    frame.timer = null;
  } else if (!stands && data.leftMs !== null && frame.budget !== undefined) {
    frame.budget.deadlineAt = run.state.nowMs + data.leftMs;
    data.leftMs = null;
    armClock(at);
  }
}

// ---- the end ----

function finish(at: AgentAt): Next {
  const { run, fiber, frame } = at;
  const data = dataOf(at);
  const { end } = data.agent;
  if (end === null || !isTakenDown(at, end.ended === 'failed' ? end.error : null)) return WAIT;
  if (end.ended === 'failed') return failure(at, end.error);
  addWarnings(frame, end.warnings);
  const name = threadNamed(data.thread);
  if (name !== null) addToThread(run, fiber, name, exchangeOf(instanceOf(frame)));
  return completed(end.output);
}

/** A budget is the run's limit: nothing in the run sees it. In a clean-up it fails the step alone. */
function failure(at: AgentAt, error: StepError): Next {
  if (error.code !== 'budget_exceeded' || isCleanup(at.run, at.fiber)) return failed(error);
  const located = { ...error, ...instanceOf(at.frame) };
  return ended({
    ended: 'finishes',
    error: located,
    output: { v: null },
    recorded: false,
    outcome: { status: 'failed', output: { v: null }, error: located, reason: null, requested: false },
  });
}

function abort(at: AgentAt): Aborted {
  if (at.frame.data === null) return 'gone';
  const { fiber } = at;
  const data = dataOf(at);
  const unwind = activeUnwind(fiber);
  const error = unwind?.depth === fiber.frames.length - 1 ? unwind.error : null;
  if (!isTakenDown(at, error)) return 'waiting';
  // The last reply came first: it stands.
  if (data.agent.end?.ended === 'completed') at.frame.end = { ended: 'completed', output: data.agent.end.output, recorded: false };
  return 'gone';
}

/** Cancels what is in flight, closes gates, then the turns; asked again after each answer. @returns whether nothing is left */
function isTakenDown(at: AgentAt, error: StepError | null): boolean {
  const { run, fiber, frame } = at;
  const data = dataOf(at);
  for (const part of Object.keys(data.flights)) cancelFlight(at, part);
  for (const { callId, status, approvalId } of data.agent.calls) {
    dropHold(at, callId);
    if ((status === 'held' || status === 'expiring') && approvalId !== null && data.flights[`gate:${callId}`] === undefined)
      closeGate(at, callId, approvalId, 'cancelled');
  }
  if (!isFlying(data) && data.agent.isTurnOpen && !data.closed)
    fly(at, 'close', `close.${run.nextId()}`, {
      name: 'agent_close',
      instance: instanceOf(frame),
      stepType: 'agent_prompt',
      status: error === null ? 'canceled' : 'error',
      error,
    });
  if (!isFlying(data)) return true;
  fiber.wait = { on: 'call' };
  return false;
}

/** Model calls and tools are told to stop; what opens or closes something is short, and its answer is needed. */
function cancelFlight({ run, frame }: AgentAt, part: string): void {
  const flight = dataOf({ frame }).flights[part];
  if (flight === undefined || flight.cancelSent || !(part === 'turn' || part.startsWith('tool:'))) return;
  flight.cancelSent = true;
  run.order({ kind: 'cancel_activity', id: flight.id });
}
