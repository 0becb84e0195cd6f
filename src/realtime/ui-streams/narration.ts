/**
 * What happens in one run, told once and in order, whatever the reader missed: the base of both UI stream formats. It is given whole
 * messages (from rows or events), pieces of text, events, in any overlap, and gives what is new. A late reader gets each text in one piece.
 */
import type { Json } from '../../definition/value.js';
import type { Delta } from '../../store/deltas.js';

/** One thing to tell. `text` pieces of one id follow on; an id is begun before and ended after them. */
export type Told =
  | { readonly tell: 'run-begins' }
  | { readonly tell: 'text-begins' | 'text-ends'; readonly id: string }
  | { readonly tell: 'text'; readonly id: string; readonly text: string }
  | { readonly tell: 'call'; readonly callId: string; readonly toolName: string; readonly args: Json }
  | { readonly tell: 'call-result'; readonly callId: string; readonly result: Json }
  | { readonly tell: 'call-error'; readonly callId: string; readonly message: string }
  /** State beside the text, newest word last: of a `step`, a `turn`, an `approval`, the `execution`. */
  | { readonly tell: 'state'; readonly name: 'step' | 'turn' | 'approval' | 'execution'; readonly id: string; readonly value: Json }
  | { readonly tell: 'run-ends'; readonly outcome: RunOutcome };

export type RunOutcome =
  | { readonly status: 'completed'; readonly output: Json }
  | { readonly status: 'failed'; readonly code: string; readonly message: string }
  | { readonly status: 'cancelled'; readonly reason: string | null };

export interface NarratedMessage {
  readonly id: string;
  readonly role: string;
  readonly executionId: string | null;
  readonly parts: readonly NarratedPart[];
  readonly turn?: unknown;
}
interface NarratedPart {
  readonly type: string;
  readonly text?: unknown;
  readonly callId?: unknown;
  readonly toolName?: unknown;
  readonly args?: unknown;
  readonly status?: unknown;
  readonly result?: unknown;
  readonly error?: unknown;
}
interface Turn {
  readonly id: string;
  readonly attempt: number;
  readonly status: string;
}
/** As much of a Step (api.md) as names it. */
export interface NarratedStep {
  readonly stepId: string;
  readonly iterationPath: string;
  readonly attempt: number;
}
export interface NarratedEvent {
  readonly kind: string;
  readonly stepId?: string;
  readonly iterationPath?: string;
  readonly attempt?: number;
  readonly data: { readonly [field: string]: Json } | null;
}

interface MessageState {
  readonly messageId: string;
  /** Characters told of each text part. */
  readonly lengths: Map<number, number>;
  /** Text parts that are begun and not ended. */
  readonly open: Set<number>;
  status: string;
}

export class Narration {
  private readonly messages = new Map<string, MessageState>();
  /** The message of each open turn. */
  private readonly byTurn = new Map<string, MessageState>();
  private readonly calls = new Map<string, 'called' | 'ended'>();
  private hasBegun = false;
  private hasEnded = false;

  constructor(
    private readonly executionId: string,
    private readonly told: (told: Told) => void,
  ) {}

  get isOver(): boolean {
    return this.hasEnded;
  }

  begin(): void {
    if (this.hasBegun) return;
    this.hasBegun = true;
    this.told({ tell: 'run-begins' });
  }

  /** The message as it is now, or was when an event told of it. Of other runs, and what people said, nothing is told. */
  message(message: NarratedMessage): void {
    if (message.executionId !== this.executionId || message.role !== 'assistant' || this.hasEnded) return;
    const turn = turnOf(message.turn);
    const state = this.stateOf(message.id);
    if (state.status === 'ended') return;
    if (turn !== undefined) this.byTurn.set(turn.id, state);
    message.parts.forEach((part, index) => this.part(state, part, index));
    this.closeTexts(state, message.parts.length - 1);
    if (turn !== undefined && turn.status !== state.status) this.turnIs(turn, message);
    state.status = turn?.status ?? 'ended';
    if (state.status === 'streaming') return;
    this.closeTexts(state, Number.POSITIVE_INFINITY);
    state.status = 'ended';
    if (turn !== undefined) this.byTurn.delete(turn.id);
  }

  /** Pieces of turns that no message told of are of other runs. */
  delta({ turnId, part, offset, text }: Delta): void {
    const state = this.byTurn.get(turnId);
    if (state === undefined || this.hasEnded) return;
    const length = state.lengths.get(part) ?? 0;
    if (offset > length) return;
    this.text(state, part, text.slice(length - offset));
  }

  event({ kind, stepId, iterationPath = '', attempt = 1, data }: NarratedEvent): void {
    if (this.hasEnded) return;
    if (kind.startsWith('step.') && stepId !== undefined) {
      this.step({ stepId, iterationPath, attempt, ...(data?.['step'] as object | undefined) });
    } else if (kind.startsWith('approval.')) {
      this.told({ tell: 'state', name: 'approval', id: textOf(data?.['approvalId']) || (stepId ?? ''), value: { ...data, kind } });
    } else if (kind.startsWith('execution.')) this.executionIs(kind.slice('execution.'.length), data ?? {});
  }

  /** A step as its row or an event has it. */
  step(step: NarratedStep): void {
    const { stepId, iterationPath, attempt } = step;
    if (!this.hasEnded)
      this.told({ tell: 'state', name: 'step', id: `${stepId}#${iterationPath}#${attempt}`, value: step as unknown as Json });
  }

  /** The run has ended, by its event or its row. */
  end(outcome: RunOutcome): void {
    if (this.hasEnded) return;
    for (const state of this.messages.values()) this.closeTexts(state, Number.POSITIVE_INFINITY);
    this.hasEnded = true;
    this.told({ tell: 'run-ends', outcome });
  }

  private executionIs(status: string, data: { readonly [field: string]: Json }): void {
    if (status === 'completed') this.end({ status, output: data['output'] ?? null });
    else if (status === 'cancelled') this.end({ status, reason: typeof data['reason'] === 'string' ? data['reason'] : null });
    else if (status === 'failed') this.end({ status, ...errorOf(data['error']) });
    else this.told({ tell: 'state', name: 'execution', id: this.executionId, value: { ...data, status } });
  }

  private turnIs({ id, attempt, status }: Turn, { id: messageId, ...of }: NarratedMessage): void {
    const { stepId = null, iterationPath = null } = of as { readonly stepId?: Json; readonly iterationPath?: Json };
    this.told({ tell: 'state', name: 'turn', id, value: { turnId: id, messageId, attempt, status, stepId, iterationPath } });
  }

  private part(state: MessageState, part: NarratedPart, index: number): void {
    if (part.type === 'text') {
      const text = typeof part.text === 'string' ? part.text : '';
      this.text(state, index, text.slice(state.lengths.get(index) ?? 0));
    } else if (part.type === 'tool-call' && typeof part.callId === 'string') {
      this.closeTexts(state, index);
      this.call(state, part as NarratedPart & { readonly callId: string });
    }
  }

  private text(state: MessageState, part: number, text: string): void {
    if (text === '') return;
    const id = `${state.messageId}:${part}`;
    if (!state.lengths.has(part)) {
      this.closeTexts(state, part);
      state.open.add(part);
      this.told({ tell: 'text-begins', id });
    }
    // What a text's end has been told of cannot grow.
    if (!state.open.has(part)) return;
    state.lengths.set(part, (state.lengths.get(part) ?? 0) + text.length);
    this.told({ tell: 'text', id, text });
  }

  /** Texts before this part are whole. */
  private closeTexts(state: MessageState, before: number): void {
    for (const part of state.open) {
      if (part >= before) continue;
      state.open.delete(part);
      this.told({ tell: 'text-ends', id: `${state.messageId}:${part}` });
    }
  }

  /** Calls of different messages may have the same id at their provider. */
  private call(state: MessageState, part: NarratedPart & { readonly callId: string }): void {
    const callId = `${state.messageId}:${part.callId}`;
    if (!this.calls.has(callId)) {
      this.calls.set(callId, 'called');
      this.told({ tell: 'call', callId, toolName: textOf(part.toolName), args: (part.args ?? null) as Json });
    }
    if (this.calls.get(callId) === 'ended') return;
    if (part.status === 'completed') this.told({ tell: 'call-result', callId, result: (part.result ?? null) as Json });
    else if (part.status === 'error') this.told({ tell: 'call-error', callId, message: errorOf(part.error as Json).message });
    else return;
    this.calls.set(callId, 'ended');
  }

  private stateOf(messageId: string): MessageState {
    const state = this.messages.get(messageId) ?? { messageId, lengths: new Map(), open: new Set(), status: 'new' };
    this.messages.set(messageId, state);
    return state;
  }
}

function turnOf(turn: unknown): Turn | undefined {
  if (typeof turn !== 'object' || turn === null) return undefined;
  const { id, attempt, status } = turn as { readonly id?: unknown; readonly attempt?: unknown; readonly status?: unknown };
  return typeof id === 'string' ? { id, attempt: Number(attempt ?? 1), status: String(status) } : undefined;
}

function errorOf(error: Json | undefined): { readonly code: string; readonly message: string } {
  const { code, message } = (error ?? {}) as { readonly code?: unknown; readonly message?: unknown };
  return { code: typeof code === 'string' ? code : 'internal_error', message: typeof message === 'string' ? message : 'The run failed' };
}

const textOf = (value: unknown): string => (typeof value === 'string' ? value : '');
