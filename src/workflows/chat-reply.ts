/** The reply to one message of a conversation: the agent loop, carried out by activities. Stopped, or at its end by itself. */
import { condition, isCancellation, patched } from '@temporalio/workflow';
import type { ApproveSignal } from '../activities/contract.js';
import type { ChatReply as ReplyPlace, NextMessage } from '../activities/conversation/contract.js';
import { type AgentInput, type AgentOrder, type AgentState, beginAgent, goOnAgent, heldCalls, takeAgent } from '../engine/agent/index.js';
import type { GateOutcome } from '../engine/types.js';
import { CallScope } from './call-scope.js';
import { callTool, callTurn, closeGate, closeReply, localChat, openGate, toChatError } from './chat-calls.js';
import { Timers } from './timers.js';

const RULES = { maxTurns: 25, isStructured: false };
/** A conversation has no budget of its own. */
const NO_BUDGET = { left: null, mayGrow: false };

export class ChatReply {
  private state: AgentState = beginAgent();
  private readonly inbox: AgentInput[] = [];
  /** By what it is of: `turn`, `tool:<callId>`, `gate:<callId>`. */
  private readonly flights = new Map<string, CallScope>();
  private readonly deadlines = new Map<string, number>();
  private readonly timers = new Timers((callId) => this.inbox.push({ kind: 'deadline', callId }));
  /** Signals by the gate that they name: to be read, one after the other, once its call is known to be held. */
  private readonly signalled = new Map<string, ApproveSignal[]>();
  private isStopped = false;

  constructor(
    private readonly place: ReplyPlace,
    private readonly message: NextMessage,
  ) {
    this.inbox.push({ kind: 'opened', opened: message.opened });
  }

  get messageId(): string {
    return this.message.messageId;
  }
  get seq(): number {
    return this.message.seq;
  }
  get snapshot(): AgentState {
    return this.state;
  }

  /** The turn is given up, what runs is cancelled, open gates close. */
  stop(): void {
    this.isStopped = true;
  }

  /** Those that decide nothing are one: the row is read either way. */
  approve(signal: ApproveSignal): void {
    const waiting = this.signalled.get(signal.approvalId);
    if (waiting === undefined) this.signalled.set(signal.approvalId, [signal]);
    else if (signal.decision === undefined) return;
    else if (waiting[0]?.decision === undefined) waiting[0] = signal;
    // Of decisions that came at once earlier histories read one. Goes when no conversation of before 2026-12 is open.
    else if (patched('each-signalled-decision')) waiting.push(signal);
  }

  /** Durable: a held call may wait here for a day. */
  async run(): Promise<void> {
    while (this.state.end === null && !this.isStopped) {
      this.takeInbox();
      this.goOn();
      if (this.state.end === null) await condition(() => this.isStopped || this.inbox.length > 0 || this.canRead());
    }
    await this.takeDown();
  }

  private takeInbox(): void {
    for (const input of this.inbox.splice(0)) this.state = takeAgent(RULES, this.state, input).state;
  }

  private goOn(): void {
    const { state, orders } = goOnAgent(this.state, { budget: NO_BUDGET, nowMs: Date.now() });
    this.state = state;
    for (const order of orders) this.carryOut(order);
    for (const { callId, status, approvalId } of this.state.calls) {
      if (approvalId === null || this.flights.has(`gate:${callId}`)) continue;
      if (status === 'expiring') this.flyGate(callId, () => closeGate(this.place, approvalId, 'expired'));
      else if (status === 'held') this.readSignalled(callId, approvalId);
    }
  }

  private canRead(): boolean {
    return heldCalls(this.state).some(
      ({ callId, approvalId }) => approvalId !== null && this.signalled.has(approvalId) && !this.flights.has(`gate:${callId}`),
    );
  }

  private readSignalled(callId: string, approvalId: string): void {
    const [signal, ...others] = this.signalled.get(approvalId) ?? [];
    if (signal === undefined) return;
    if (others.length === 0) this.signalled.delete(approvalId);
    else this.signalled.set(approvalId, others);
    this.flyGate(callId, () => this.read(approvalId, signal));
  }

  private async read(approvalId: string, signal: ApproveSignal): Promise<GateOutcome> {
    const { ownerId, sessionId } = this.place;
    const gate = await localChat.readChatGate({ ownerId, sessionId, approvalId, signal });
    if (gate === null) throw new Error(`Gate ${approvalId} is gone`);
    return gate;
  }

  private carryOut(order: AgentOrder): void {
    switch (order.order) {
      case 'turn':
        return this.fly(
          'turn',
          () => callTurn(this.place, order),
          ({ turn }) => ({ kind: 'turn', turn }),
        );
      case 'tool': {
        const { callId } = order;
        const place = `${this.state.turn}.${this.state.calls.findIndex((call) => call.callId === callId) + 1}`;
        return this.fly(
          `tool:${callId}`,
          () => callTool(this.place, order, place),
          ({ end }) => ({ kind: 'tool', callId, end }),
        );
      }
      case 'open_gate':
        this.deadlines.set(order.callId, order.deadlineAt);
        return this.flyGate(order.callId, () => openGate(this.place, order));
      case 'expire_gate':
        return this.flyGate(order.callId, () => closeGate(this.place, order.approvalId, 'expired'));
    }
  }

  private flyGate(callId: string, start: () => Promise<GateOutcome>): void {
    this.fly(`gate:${callId}`, start, (gate) => {
      this.keepTime(callId, gate);
      return { kind: 'gate', callId, gate };
    });
  }

  private keepTime(callId: string, { status }: GateOutcome): void {
    this.timers.cancel(callId);
    const at = this.deadlines.get(callId);
    if (status === 'pending' && at !== undefined) this.timers.arm({ kind: 'timer', id: callId, at, instance: null });
  }

  private fly<T>(what: string, start: () => Promise<T>, toInput: (answer: T) => AgentInput): void {
    const scope = new CallScope();
    this.flights.set(what, scope);
    void scope.run(start).then(
      (answer) => {
        this.flights.delete(what);
        this.inbox.push(toInput(answer));
      },
      (error: unknown) => {
        this.flights.delete(what);
        // Cancelled: whoever cancelled it waits for no more than its end.
        if (!isCancellation(error)) this.inbox.push({ kind: 'failed', error: toChatError(error) });
      },
    );
  }

  /** Model call and tools are told to stop; what opens or closes a gate is short, and its answer is needed. */
  private async takeDown(): Promise<void> {
    for (const [what, scope] of this.flights) if (!what.startsWith('gate:')) scope.cancel();
    await condition(() => this.flights.size === 0);
    this.takeInbox();
    this.timers.cancelAll();
    for (const { approvalId, status } of this.state.calls)
      if (approvalId !== null && (status === 'held' || status === 'expiring')) await closeGate(this.place, approvalId, 'cancelled');
    const { end } = this.state;
    if (end?.ended !== 'completed') await closeReply(this.place, end?.ended === 'failed' ? end.error : null);
  }
}
