import { workflowInfo } from '@temporalio/workflow';
import { isLight } from './activity-calls.js';
import { CallScope } from './call-scope.js';
import { packQueue, type PackedQueue, type Queued, unpackQueue } from './packed-queue.js';

const MAX_IN_FLIGHT = 500;
const ARGUMENTS_PER_TASK_BYTES = 1024 * 1024;

/** When a hand-over is due, issuing stops once all in flight is light; `forced`: whatever is in flight. */
export type Holding = 'no' | 'due' | 'forced';

interface Issued {
  readonly command: Queued;
  readonly scope: CallScope;
}

/** The calls that the engine has ordered: those that wait for their turn, and those in flight (durability §5). */
export class CallQueue {
  private readonly waiting: Queued[];
  private readonly inFlight = new Map<string, Issued>();
  /** Segments that were told to start nothing more. */
  private readonly halted = new Set<string>();
  /** Argument bytes issued since the history last grew: what one workflow task will send. */
  private issued = { atHistoryLength: -1, bytes: 0 };

  constructor(packed?: PackedQueue) {
    this.waiting = packed === undefined ? [] : unpackQueue(packed);
  }

  add(command: Queued): void {
    this.waiting.push(command);
  }

  get waitingCount(): number {
    return this.waiting.length;
  }

  get isAnyInFlight(): boolean {
    return this.inFlight.size > 0;
  }

  hasNext(holding: Holding): boolean {
    return this.nextIndex(holding) >= 0;
  }

  /** The next call that may be issued now, taken out. */
  next(holding: Holding): Queued | undefined {
    const index = this.nextIndex(holding);
    return index < 0 ? undefined : this.waiting.splice(index, 1)[0];
  }

  /** `bytes`: of its arguments. @returns the scope to call it in */
  begin(command: Queued, bytes: number): CallScope {
    const scope = new CallScope();
    this.issued.bytes += bytes;
    this.inFlight.set(command.id, { command, scope });
    return scope;
  }

  end(id: string): void {
    const command = this.inFlight.get(id)?.command;
    if (command?.kind === 'activity' && command.name === 'segment') this.halted.delete(command.segment);
    this.inFlight.delete(id);
  }

  /** @returns the call when it had not been issued: it is taken back. One in flight is asked to stop, and answers. */
  cancel(id: string): Queued | undefined {
    const index = this.waiting.findIndex((command) => command.id === id);
    if (index >= 0) return this.waiting.splice(index, 1)[0];
    this.inFlight.get(id)?.scope.cancel();
    return undefined;
  }

  /** A gate is being opened. One that is only queued has no row yet; waiting for it would hold up the hand-over that it waits for. */
  isOpeningGate(): boolean {
    for (const { command } of this.inFlight.values())
      if (command.kind === 'activity' && (command.name === 'open_gate' || command.name === 'open_call_gate')) return true;
    return false;
  }

  /** Segments in flight that were not told to halt. */
  segmentsAtWork(): string[] {
    const names: string[] = [];
    for (const { command } of this.inFlight.values()) {
      if (command.kind === 'activity' && command.name === 'segment' && !this.halted.has(command.segment)) names.push(command.segment);
    }
    return names;
  }

  noteHalted(segments: readonly string[]): void {
    for (const segment of segments) this.halted.add(segment);
  }

  /** What waits, for the next run. */
  pack(): PackedQueue {
    return packQueue(this.waiting);
  }

  /** At most 500 in flight and 1 MB a task; -1: none. */
  private nextIndex(holding: Holding): number {
    const { historyLength } = workflowInfo();
    if (this.issued.atHistoryLength !== historyLength) this.issued = { atHistoryLength: historyLength, bytes: 0 };
    if (this.waiting.length === 0 || this.inFlight.size >= MAX_IN_FLIGHT || this.issued.bytes >= ARGUMENTS_PER_TASK_BYTES) return -1;
    if (!this.holdsBack(holding)) return 0;
    // What makes the state smaller comes before it is handed over.
    return this.waiting.findIndex((command) => command.kind === 'activity' && command.name === 'store');
  }

  private holdsBack(holding: Holding): boolean {
    if (holding !== 'due') return holding === 'forced';
    for (const { command } of this.inFlight.values()) if (command.kind === 'activity' && !isLight(command)) return false;
    return true;
  }
}
