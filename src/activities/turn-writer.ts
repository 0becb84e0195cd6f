import { log } from '@temporalio/activity';
import type { DeltaSender } from '../store/deltas.js';
import type { Database } from '../store/database.js';
import { takeStorable } from '../store/deltas.js';
import { newId } from '../store/ids.js';
import { toStorableText } from '../store/json-text.js';
import {
  estimatedUsage,
  type TurnEnd,
  type TurnHead,
  type TurnPart,
  type TurnRecord,
  type TurnReplay,
  type TurnUsage,
} from '../store/turn-record.js';
import { awaitTools, checkpointTurn, extendTurn, finishTurn, openTurn, type TurnClaim, type TurnWrite } from '../store/turns.js';
import type { Json } from '../definition/value.js';
import { persist } from './persist.js';
import type { Redactor } from './redaction.js';
import { isPlatformFault } from './step-error.js';
import { StreamRedactor } from './stream-redactor.js';

export interface TurnWriterParts {
  readonly db: Database;
  readonly deltas: Pick<DeltaSender, 'send'>;
}
export interface TurnWriterOptions {
  readonly model: string;
  readonly redactor: Redactor;
  /** A later try has the model call, or the turn was closed under the writer: nothing is written any more, and the call should be aborted. */
  readonly onSuperseded?: () => void;
}
export interface ModelToolCall {
  readonly callId: string;
  /** The tool's id, also when it was called through `call_tool`. */
  readonly toolName: string;
  readonly args: Json;
}
/** The provider's reply, to be said to it again; never shown. */
export type ReplyToReplay = Omit<TurnReplay, 'results'>;

const CHECKPOINT_MS = 250;
const LONGEST_CHECKPOINT_MS = 1_000;
/** Every so many characters make the next checkpoint a millisecond later: the whole text is written each time. */
const CHARACTERS_PER_MS = 100;

/**
 * Writes one turn while its model call streams. Text never waits for the database: pieces go out at once (from when the row is there on),
 * the row follows in checkpoints. Secrets are taken out before anything is written or sent, also those that come in pieces.
 */
export class TurnWriter {
  readonly turnId = newId('trn');
  private readonly parts: TurnPart[] = [];
  private readonly redaction: StreamRedactor;
  private heldUnit = '';
  private known: TurnUsage | null = null;
  private state: 'unopened' | 'opening' | 'open' | 'ended' = 'unopened';
  private attempt = 1;
  /** Calls whose part readers do not know yet: text behind them waits. */
  private untoldCalls = 0;
  private newestCall = '';
  /** A write that tells of calls waits for its turn. */
  private extensionWaits = false;
  /** How much of each text part has gone out as deltas. */
  private readonly told = new Map<number, number>();
  /** Writes in their order. */
  private chain: Promise<void> = Promise.resolve();
  private failure: unknown;
  private timer: NodeJS.Timeout | undefined;

  constructor(
    private readonly writing: TurnWriterParts,
    private readonly claim: TurnClaim,
    private readonly options: TurnWriterOptions,
  ) {
    this.redaction = new StreamRedactor(options.redactor);
  }

  get isOpen(): boolean {
    return this.state === 'opening' || this.state === 'open';
  }

  /** Text as the provider sends it. Opens the turn. */
  text(piece: string): void {
    this.show(this.redaction.push(piece));
  }

  /** A whole call of the model. Opens the turn; the row has it before anything later. */
  toolCall({ callId, toolName, args }: ModelToolCall): void {
    this.endText();
    if (this.state === 'ended') return;
    this.parts.push({
      type: 'tool-call',
      callId,
      toolName: toStorableText(toolName),
      args: this.options.redactor.json(args),
      status: 'pending',
      result: null,
      error: null,
    });
    if (this.state === 'unopened') this.open();
    else this.extend(callId);
  }

  /** Calls that come at once are one write: each tells all parts. */
  private extend(callId: string): void {
    this.untoldCalls += 1;
    this.newestCall = callId;
    if (this.extensionWaits) return;
    this.extensionWaits = true;
    this.write(async () => {
      this.extensionWaits = false;
      const calls = this.untoldCalls;
      const write = await extendTurn(this.writing.db, this.head(), [...this.parts], `${this.newestCall}:pending`);
      this.untoldCalls -= calls;
      this.tell();
      return write;
    });
  }

  /** Tokens as announced so far: with the next checkpoint they are on the row, so that a crash's cost can be told. */
  usage(usage: TurnUsage): void {
    this.known = usage;
    this.scheduleCheckpoint();
  }

  /** The model call has ended and its tool calls are to run. Waits for the database. @returns undefined when it was superseded */
  async awaitTools(end: { readonly usage: TurnUsage; readonly replay: ReplyToReplay }): Promise<TurnRecord | undefined> {
    this.endText();
    this.known = end.usage;
    if (this.state === 'unopened') this.open();
    const replay = { ...end.replay, blocks: this.options.redactor.json(end.replay.blocks) };
    return await this.last(() => awaitTools(this.writing.db, this.head(), this.parts, replay));
  }

  /** Finalises; waits for the database. A turn that showed nothing is not opened to be given up. @returns undefined then, and when it was superseded */
  async finish(end: TurnEnd & { readonly replay?: ReplyToReplay }): Promise<TurnRecord | undefined> {
    this.endText();
    if (this.state === 'unopened') {
      if (end.status === 'canceled') {
        this.state = 'ended';
        return undefined;
      }
      this.open();
    }
    const { redactor } = this.options;
    const { replay, error, ...rest } = end;
    return await this.last(() =>
      finishTurn(this.writing.db, this.turnId, {
        ...rest,
        usage: rest.usage ?? estimatedUsage(this.parts, this.known),
        ...(error === undefined ? {} : { error: { code: error.code, message: redactor.text(error.message) } }),
        ...(replay === undefined ? {} : { replay: { stopReason: replay.stopReason, blocks: redactor.json(replay.blocks) } }),
        parts: this.parts,
      }),
    );
  }

  /** Stops writing: the row has all that came, and stays open for whoever decides what becomes of the turn. */
  async letGo(): Promise<void> {
    this.endText();
    this.chain = this.chain.then(() => this.checkpoint());
    await this.chain;
    clearTimeout(this.timer);
    this.state = 'ended';
  }

  private endText(): void {
    this.show(this.redaction.flush(), '');
  }

  /** @param last given at the end of a text: what was held back goes out */
  private show(piece: string, last?: ''): void {
    if (this.state === 'ended') return;
    let { text, held } = takeStorable(this.heldUnit, piece);
    if (last !== undefined && held !== '') {
      text += takeStorable(held, '').text;
      held = '';
    }
    this.heldUnit = held;
    if (text === '') return;
    const part = this.parts.at(-1);
    if (part?.type === 'text') this.parts[this.parts.length - 1] = { type: 'text', text: part.text + text };
    else this.parts.push({ type: 'text', text });
    if (this.state === 'unopened') this.open();
    else this.tell(text);
    this.scheduleCheckpoint();
  }

  private open(): void {
    this.state = 'opening';
    const { db } = this.writing;
    this.write(async () => {
      // What stands in the row when it is opened is not sent again.
      const opened = this.parts.map((part) => (part.type === 'text' ? part.text.length : 0));
      const parts = [...this.parts];
      const { model } = this.options;
      const write = await openTurn(db, { claim: this.claim, turnId: this.turnId, model, usage: this.known, parts });
      if (write.kind === 'ended' || this.state !== 'opening') return write;
      if (write.strayed === true) log.warn('a turn points to an execution of somebody else', { turnId: this.turnId });
      this.attempt = write.turn.attempt;
      opened.forEach((length, index) => this.told.set(index, length));
      this.state = 'open';
      this.tell();
      // What came meanwhile is not in the row.
      this.scheduleCheckpoint();
      return write;
    });
  }

  /** What has come since, as deltas. @param newest what was just added: mostly all of it, and no long text has to be cut for it */
  private tell(newest = ''): void {
    if (this.state !== 'open' || this.untoldCalls > 0) return;
    for (const [index, part] of this.parts.entries()) {
      if (part.type !== 'text') continue;
      const offset = this.told.get(index) ?? 0;
      if (part.text.length <= offset) continue;
      const isNewest = index === this.parts.length - 1 && offset + newest.length === part.text.length;
      const { turnId, attempt } = this;
      this.writing.deltas.send({
        sessionId: this.claim.place.sessionId,
        turnId,
        attempt,
        part: index,
        offset,
        text: isNewest ? newest : part.text.slice(offset),
      });
      this.told.set(index, part.text.length);
    }
  }

  private scheduleCheckpoint(): void {
    if (this.state !== 'open' || this.timer !== undefined) return;
    const length = this.parts.reduce((sum, part) => sum + (part.type === 'text' ? part.text.length : 0), 0);
    const delay = Math.min(CHECKPOINT_MS + length / CHARACTERS_PER_MS, LONGEST_CHECKPOINT_MS);
    this.timer = setTimeout(() => {
      this.timer = undefined;
      this.chain = this.chain.then(() => this.checkpoint());
    }, delay);
  }

  private async checkpoint(): Promise<void> {
    if (this.state !== 'open') return;
    try {
      if (!(await checkpointTurn(this.writing.db, this.head(), [...this.parts]))) this.lose();
    } catch (error) {
      // The next one has all of it.
      if (isPlatformFault(error)) this.scheduleCheckpoint();
      else this.fail(error);
    }
  }

  /** The last write: nothing of the writer's follows. */
  private async last(work: () => Promise<TurnWrite>): Promise<TurnRecord | undefined> {
    let written: TurnRecord | undefined;
    this.write(async () => {
      if (this.state === 'ended') return { kind: 'ended' };
      clearTimeout(this.timer);
      const write = await work();
      if (write.kind === 'written') {
        written = write.turn;
        this.state = 'ended';
      }
      return write;
    });
    await this.chain;
    clearTimeout(this.timer);
    this.state = 'ended';
    if (this.failure !== undefined) throw this.failure;
    return written;
  }

  private write(work: () => Promise<TurnWrite>): void {
    this.chain = this.chain.then(async () => {
      if (this.failure !== undefined) return;
      try {
        const { kind } = await persist(work);
        if (kind === 'ended') this.lose();
      } catch (error) {
        this.fail(error);
      }
    });
  }

  private fail(error: unknown): void {
    this.failure = error;
    this.lose();
  }

  private lose(): void {
    if (this.state === 'ended') return;
    this.state = 'ended';
    clearTimeout(this.timer);
    this.options.onSuperseded?.();
  }

  private head(): TurnHead {
    return { id: this.turnId, status: 'streaming', attempt: this.attempt, model: this.options.model, usage: this.known };
  }
}
