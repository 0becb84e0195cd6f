/**
 * The agent of one chat session: answers its messages in their order, one reply at a time. Its id is the session's. What is to be answered stands
 * in the rows; signals only wake it, so that none can be lost. It completes when nothing comes for a while; the next message starts it again.
 */
import { CancelledFailure } from '@temporalio/common';
import {
  allHandlersFinished,
  CancellationScope,
  condition,
  log,
  makeContinueAsNewFunc,
  setCurrentDetails,
  setHandler,
  workflowInfo,
} from '@temporalio/workflow';
import type { ApproveSignal } from '../activities/contract.js';
import type { NextMessage } from '../activities/conversation/contract.js';
import type { Json } from '../definition/value.js';
import { localChat } from './chat-calls.js';
import { ChatReply } from './chat-reply.js';
import { approveSignal, type ConversationInput, messageSignal, stateQuery, type StopSignal, stopSignal } from './messages.js';
import { isRecord, toStopSignal } from './signal-shapes.js';

const IDLE_MS = 10 * 60_000;
/** Hand-over is due at these sizes of the history (durability §8), or when the server suggests it. */
const HAND_OVER_EVENTS = 1_000;
const HAND_OVER_BYTES = 2 * 1024 * 1024;

export async function conversation(input: ConversationInput): Promise<void> {
  const chat = new Conversation(input);
  setHandler(messageSignal, () => chat.wake());
  setHandler(stopSignal, (raw) => {
    const signal = toStopSignal(raw);
    if (signal === undefined) log.warn('stop signal of another shape is ignored');
    else chat.stop(signal);
  });
  setHandler(approveSignal, (signal) => {
    if (isApproveSignal(signal)) chat.approve(signal);
    else log.warn('approve signal without approvalId is ignored');
  });
  setHandler(stateQuery, () => chat.snapshot());
  CancellationScope.current().cancelRequested.catch(() => chat.cancel());
  await CancellationScope.nonCancellable(() => chat.run());
}

class Conversation {
  /** It looks once at the start: whatever came before may wait. */
  private isWoken = true;
  private isCancelled = false;
  private reply: ChatReply | undefined;
  private pendingStop: StopSignal | undefined;
  private delivered: string[];

  constructor(private readonly input: ConversationInput) {
    this.delivered = [...(input.delivered ?? [])];
    this.pendingStop = input.pendingStop;
  }

  wake(): void {
    this.isWoken = true;
  }

  stop(signal: StopSignal): void {
    if (this.reply === undefined) this.pendingStop = signal;
    else if (isFor(signal, this.reply)) this.reply.stop();
    if (signal.id !== undefined) this.delivered.push(signal.id);
    this.wake();
  }

  approve(signal: ApproveSignal): void {
    this.reply?.approve(signal);
  }

  cancel(): void {
    this.isCancelled = true;
    this.reply?.stop();
  }

  snapshot(): Json {
    const { sessionId } = this.input;
    const reply = this.reply === undefined ? null : { messageId: this.reply.messageId, state: this.reply.snapshot as unknown as Json };
    return { sessionId, reply, pendingStop: (this.pendingStop ?? null) as unknown as Json };
  }

  async run(): Promise<void> {
    while (await this.isWanted()) {
      if (this.isHandOverDue()) await this.handOver();
      this.isWoken = false;
      const message = await this.next();
      if (message === null) continue;
      // There may be another one behind it.
      this.isWoken = true;
      await this.answer(message);
    }
    if (this.isCancelled) throw new CancelledFailure('The conversation was cancelled');
  }

  /** Waits for something to do. False: nothing came for a while, or nobody wants more; what was told until now is in the rows. */
  private async isWanted(): Promise<boolean> {
    const isAwake = await condition(() => this.isWoken || this.isCancelled, this.input.idleMs ?? IDLE_MS);
    if (this.isCancelled) await this.next();
    // A signal may have come with the timer.
    return !this.isCancelled && (isAwake || this.isWoken);
  }

  /** Marks what is done, and reads what is to be done next. */
  private async next(): Promise<NextMessage | null> {
    const { ownerId, sessionId } = this.input;
    const delivered = this.delivered;
    this.delivered = [];
    return await localChat.chatNext({ ownerId, sessionId, delivered });
  }

  private async answer(message: NextMessage): Promise<void> {
    const { ownerId, sessionId } = this.input;
    const { messageId, thread, commandId } = message;
    const reply = new ChatReply({ ownerId, sessionId, messageId, thread }, message);
    if (this.isCancelled || (this.pendingStop !== undefined && isFor(this.pendingStop, reply))) reply.stop();
    this.pendingStop = undefined;
    this.reply = reply;
    setCurrentDetails(`Answering message ${messageId}`);
    await reply.run();
    this.reply = undefined;
    setCurrentDetails('Waiting for a message');
    this.delivered.push(commandId);
  }

  private isHandOverDue(): boolean {
    const { continueAsNewSuggested, historyLength, historySize } = workflowInfo();
    return continueAsNewSuggested || historyLength > HAND_OVER_EVENTS || historySize > HAND_OVER_BYTES;
  }

  private async handOver(): Promise<never> {
    await condition(allHandlersFinished);
    const { delivered, pendingStop } = this;
    const { ownerId, sessionId, idleMs } = this.input;
    return await makeContinueAsNewFunc<typeof conversation>()({
      ownerId,
      sessionId,
      delivered,
      ...(pendingStop === undefined ? {} : { pendingStop }),
      ...(idleMs === undefined ? {} : { idleMs }),
    });
  }
}

/** Whatever else a signal says is looked at by who reads the gate. Pure. */
const isApproveSignal = (signal: unknown): signal is ApproveSignal => isRecord(signal) && typeof signal['approvalId'] === 'string';

/** A stop is for what was under way when it was asked for. Pure. */
const isFor = ({ messageId, upTo }: StopSignal, reply: ChatReply): boolean =>
  reply.seq <= upTo && (messageId === null || messageId === reply.messageId);
