import type { Plan } from '../../definition/plan.js';
import { type EngineState, type Moved, projectionOf, ROOT_FIBER, type SegmentCall, SegmentMachine } from '../../engine/index.js';
import type { Progress, SegmentInput } from '../../engine/types.js';

/** A segment's engine with all that it was fed: what the journal has, and behind it what the next transaction is to write. */
export class FedMachine {
  private machine: SegmentMachine;
  private fed: SegmentInput[] = [];
  private written = 0;
  private ordered = new Map<string, SegmentCall>();
  private unwanted = new Set<string>();
  private lastAt: number;

  constructor(
    private readonly plan: Plan,
    private readonly given: EngineState,
  ) {
    this.lastAt = given.nowMs;
    this.machine = this.fresh();
  }

  begin(): Moved {
    return this.note(this.machine.begin());
  }

  /** Feeds it now. Times never go back, whichever worker's clock tells them. */
  feed(input: InputOf<SegmentInput>): Moved {
    this.lastAt = Math.max(Date.now(), this.lastAt);
    const timed = { ...input, at: this.lastAt } as SegmentInput;
    this.fed.push(timed);
    return this.note(this.machine.feed(timed));
  }

  /** Goes on behind what an earlier attempt was fed, from the beginning. Its calls were begun and its events are written. */
  replay(journal: readonly SegmentInput[]): void {
    this.machine = this.fresh();
    this.ordered = new Map();
    this.unwanted = new Set();
    this.note(this.machine.begin());
    for (const input of journal) {
      this.lastAt = Math.max(this.lastAt, input.at);
      this.note(this.machine.feed(input));
    }
    this.fed = [...journal];
    this.written = journal.length;
  }

  /** As if what is not written had not been fed. */
  rollBack(): void {
    this.replay(this.fed.slice(0, this.written));
  }

  unwritten(): { readonly ordinal: number; readonly input: SegmentInput }[] {
    return this.fed.slice(this.written).map((input, index) => ({ ordinal: this.written + index, input }));
  }

  markWritten(): void {
    this.written = this.fed.length;
  }

  get inputs(): readonly SegmentInput[] {
    return this.fed;
  }

  get isHalted(): boolean {
    return this.machine.isHalted;
  }

  /** Of the run's top-level steps, where this is all that the run is doing. */
  progress(): Progress | undefined {
    const { state } = this.machine;
    return state.segment?.fiber === ROOT_FIBER ? projectionOf(this.plan, state).progress : undefined;
  }

  isOver(): boolean {
    return this.machine.isOver();
  }

  hash(): string {
    return this.machine.hash();
  }

  /** Calls without an answer, in the order in which they were ordered. */
  inFlight(): SegmentCall[] {
    return this.machine.inFlight().flatMap((id) => this.ordered.get(id) ?? []);
  }

  /** Whether the engine has given the call up: its end is awaited, its work is not. */
  isUnwanted(id: string): boolean {
    return this.unwanted.has(id);
  }

  /** The latest time that it knows, in ms: none that is to come is earlier. */
  get now(): number {
    return Math.max(Date.now(), this.lastAt);
  }

  private note(moved: Moved): Moved {
    for (const call of moved.calls) this.ordered.set(call.id, call);
    for (const id of moved.cancels) this.unwanted.add(id);
    return moved;
  }

  private fresh(): SegmentMachine {
    return new SegmentMachine(this.plan, structuredClone(this.given));
  }
}

type InputOf<I> = I extends SegmentInput ? Omit<I, 'at'> : never;
