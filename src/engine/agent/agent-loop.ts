/**
 * The agent loop as a machine: model turn, its tool calls, next turn, until the model ends its turn or nothing more may be asked.
 * Answers are taken by `takeAgent`; what follows from them is ordered by `goOnAgent`, so that a pause is not calling it. Pure: states
 * are values, nothing is changed in place.
 */
import type { GateOutcome } from '../types.js';
import { failedAgent, maxTurnsError, misfitError } from './agent-errors.js';
import { NO_USAGE, plusUsage, reserve } from './budget.js';
import type {
  AgentBudget,
  AgentCall,
  AgentFailover,
  AgentInput,
  AgentOrder,
  AgentRules,
  AgentState,
  AgentToolEnd,
  AgentTurn,
} from './types.js';

/** A held call waits this long for a person; then it is denied. */
export const HOLD_MS = 24 * 60 * 60_000;
/** Calls of one turn that run at the same time. */
const CALLS_AT_ONCE = 8;
/** Replies that may fail the check of the output. */
const MAX_REPLIES = 3;

export function beginAgent(): AgentState {
  return {
    phase: 'opening',
    models: [],
    model: 0,
    turn: 1,
    call: 0,
    attempts: [],
    misfits: [],
    characters: 0,
    reserved: 0,
    usage: NO_USAGE,
    turnIds: [],
    turnId: null,
    calls: [],
    end: null,
    isTurnOpen: false,
  };
}

export interface Taken {
  readonly state: AgentState;
  /** For the log. */
  readonly failover?: AgentFailover;
}

/** Takes an answer to what was ordered; orders nothing. Answers nobody waits for change nothing. */
export function takeAgent(rules: AgentRules, state: AgentState, input: AgentInput): Taken {
  if (state.phase === 'over') return { state };
  switch (input.kind) {
    case 'opened':
      return { state: { ...state, phase: 'due', models: input.opened.models, characters: input.opened.characters } };
    case 'turn':
      return state.phase === 'calling' ? takeTurn(rules, counted(state, input.turn), input.turn) : { state };
    case 'tool':
      return { state: takeToolEnd(state, input.callId, input.end) };
    case 'gate':
      return { state: withCall(state, input.callId, (call) => takeGate(call, input.gate)) };
    case 'deadline':
      return { state: withCall(state, input.callId, (call) => (call.status === 'held' ? { ...call, status: 'expiring' } : call)) };
    case 'failed':
      return { state: failedAgent({ ...state, reserved: 0 }, input.error) };
  }
}

/** What the call has cost stands for what was set aside for it. */
function counted(state: AgentState, { usage, turnIds }: AgentTurn): AgentState {
  return { ...state, reserved: 0, usage: plusUsage(state.usage, usage), turnIds: [...state.turnIds, ...turnIds] };
}

function takeTurn(rules: AgentRules, state: AgentState, turn: AgentTurn): Taken {
  const withAttempts = { ...state, attempts: [...state.attempts, ...turn.turnIds] };
  switch (turn.got) {
    case 'calls':
      return { state: takeCalls(rules, state, turn) };
    case 'reply': {
      const { output, warnings = [] } = turn;
      return {
        state: { ...state, phase: 'over', isTurnOpen: false, end: { ended: 'completed', output, warnings, model: modelOf(state) } },
      };
    }
    case 'misfit':
      return { state: takeMisfit(withAttempts, turn) };
    case 'fault':
      return takeFault(withAttempts, turn);
    case 'cancelled':
      return { state: withAttempts };
  }
}

export const modelOf = ({ models, model }: AgentState): string => models[model] ?? '';

/** The last turn's calls are not made: nobody would be told what they gave. */
function takeCalls(rules: AgentRules, state: AgentState, turn: Extract<AgentTurn, { got: 'calls' }>): AgentState {
  const characters = state.characters + turn.characters;
  const calls = turn.calls.map(({ callId, queue, way }): AgentCall => ({ callId, queue, status: FIRST_STATUS[way], approvalId: null }));
  const next: AgentState = { ...state, phase: 'tools', turnId: turn.turnId, calls, characters };
  if (state.turn >= rules.maxTurns) return failedAgent(next, maxTurnsError(rules.maxTurns));
  return afterCalls(next);
}

const FIRST_STATUS = { run: 'due', hold: 'to_hold', refused: 'over' } as const;

function takeMisfit(state: AgentState, { turnId, characters, problem }: Extract<AgentTurn, { got: 'misfit' }>): AgentState {
  const misfits = [...state.misfits, turnId];
  const next: AgentState = { ...state, phase: 'due', misfits, characters: state.characters + characters };
  return misfits.length < MAX_REPLIES ? next : failedAgent({ ...next, isTurnOpen: false }, misfitError(problem, misfits.length));
}

/** Another model, where there is one and the fault is of that kind; its own end otherwise. */
function takeFault(state: AgentState, { error, failover }: Extract<AgentTurn, { got: 'fault' }>): Taken {
  const to = state.models[state.model + 1];
  if (!failover || to === undefined) return { state: failedAgent(state, error) };
  const { status = null, type = null } = (error.details ?? {}) as { status?: number | null; type?: string | null };
  return {
    state: { ...state, phase: 'due', model: state.model + 1 },
    failover: { turn: state.turn, from: modelOf(state), to, code: error.code, status, type },
  };
}

/** A held call that was decided runs, or is answered with the refusal: either way its tool activity does it. */
function takeGate(call: AgentCall, { approvalId, status }: Pick<GateOutcome, 'approvalId' | 'status'>): AgentCall {
  if (call.status !== 'opening' && call.status !== 'held' && call.status !== 'expiring') return call;
  // A cancelled gate is the first half of a cancel: what follows takes the loop down.
  if (status === 'pending' || status === 'cancelled') return { ...call, status: 'held', approvalId };
  return { ...call, status: 'due', approvalId };
}

/** A cancelled call leaves its turn open: whoever takes the loop down closes it. */
function takeToolEnd(state: AgentState, callId: string, { ended, characters }: AgentToolEnd): AgentState {
  const known = state.calls.find((call) => call.callId === callId);
  if (known?.status !== 'running') return state;
  const next = withCall({ ...state, characters: state.characters + characters }, callId, (call) => ({ ...call, status: 'over' }));
  return ended === 'cancelled' ? next : afterCalls(next);
}

function withCall(state: AgentState, callId: string, change: (call: AgentCall) => AgentCall): AgentState {
  return { ...state, calls: state.calls.map((call) => (call.callId === callId ? change(call) : call)) };
}

/** All calls of the turn have their results: the next turn is due. */
function afterCalls(state: AgentState): AgentState {
  if (state.phase !== 'tools' || state.calls.some(({ status }) => status !== 'over')) return state;
  return { ...state, phase: 'due', turn: state.turn + 1, attempts: [], turnId: null, calls: [], isTurnOpen: false };
}

export interface Going {
  readonly state: AgentState;
  readonly orders: readonly AgentOrder[];
  /** Ask again when a reservation of somebody else has become less. */
  readonly waitsForBudget?: true;
  /** The call that would pass the budget was not made: tokens it would have needed at least. */
  readonly exceeded?: { readonly needed: number };
}

/** Orders what can be ordered now. */
export function goOnAgent(state: AgentState, world: { readonly budget: AgentBudget; readonly nowMs: number }): Going {
  switch (state.phase) {
    case 'due':
      return orderTurn(state, world.budget);
    case 'tools':
      return orderCalls(state, world.nowMs);
    case 'opening':
    case 'calling':
    case 'over':
      return { state, orders: [] };
  }
}

function orderTurn(state: AgentState, budget: AgentBudget): Going {
  const reservation = reserve(state.characters, budget);
  if (reservation.kind === 'later') return { state, orders: [], waitsForBudget: true };
  if (reservation.kind === 'exceeded') return { state, orders: [], exceeded: { needed: reservation.needed } };
  const call = state.call + 1;
  const { turn, attempts, misfits } = state;
  return {
    state: { ...state, phase: 'calling', call, reserved: reservation.reserved, isTurnOpen: true },
    orders: [{ order: 'turn', call, turn, model: modelOf(state), maxTokens: reservation.maxTokens, attempts, misfits }],
  };
}

function orderCalls(state: AgentState, nowMs: number): Going {
  const orders: AgentOrder[] = [];
  let room = CALLS_AT_ONCE - state.calls.filter(({ status }) => status === 'running').length;
  const calls = state.calls.map((call): AgentCall => {
    if (call.status === 'due' && room <= 0) return call;
    const order = orderFor(call, state.turnId ?? '', nowMs);
    if (order === undefined) return call;
    orders.push(order);
    if (order.order === 'tool') room -= 1;
    return { ...call, status: AFTER_ORDER[order.order] };
  });
  return { state: { ...state, calls }, orders };
}

const AFTER_ORDER = { tool: 'running', open_gate: 'opening' } as const;

function orderFor(
  { callId, queue, status, approvalId }: AgentCall,
  turnId: string,
  nowMs: number,
): Extract<AgentOrder, { order: 'tool' | 'open_gate' }> | undefined {
  if (status === 'due') return { order: 'tool', turnId, callId, queue, approvalId };
  if (status === 'to_hold') return { order: 'open_gate', turnId, callId, deadlineAt: nowMs + HOLD_MS };
  return undefined;
}

/** Whether all that the loop waits for is a person. */
export function waitsForPerson({ phase, calls }: AgentState): boolean {
  const open = calls.filter(({ status }) => status !== 'over');
  return phase === 'tools' && open.length > 0 && open.every(({ status }) => status === 'held');
}

/** Whether nothing but people is left to be waited for, those included who are just being asked. */
export function leavesItToPeople({ phase, calls }: AgentState): boolean {
  const open = calls.filter(({ status }) => status !== 'over');
  return phase === 'tools' && open.length > 0 && open.every(({ status }) => status === 'held' || status === 'opening');
}

/** Calls whose gate is open, or may be. */
export const heldCalls = ({ calls }: AgentState): readonly AgentCall[] => calls.filter(({ status }) => status === 'held');

/** Nobody waits for the call any more: the loop is being taken down. */
export const dropCall = (state: AgentState, callId: string): AgentState => withCall(state, callId, (call) => ({ ...call, status: 'over' }));
