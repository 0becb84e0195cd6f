/** A segment's activity without a database: the engine's own machine, driven by scripted calls. Keeps no journal. */
import type { Plan } from '../../src/definition/plan.js';
import { type EngineState, type Moved, SegmentMachine } from '../../src/engine/index.js';
import type { ActivityCommand, ActivityResult, EngineEvent, LateAnswer, SegmentInput, SegmentResult } from '../../src/engine/types.js';

export interface SegmentWorld {
  readonly plan: Plan;
  readonly isHalted: () => boolean;
  readonly signal: AbortSignal;
  readonly run: (call: ActivityCommand) => Promise<ActivityResult>;
  readonly tell: (events: readonly EngineEvent[]) => void;
}

export class FakeSegment {
  private readonly machine: SegmentMachine;
  private readonly inputs: SegmentInput[] = [];
  private readonly late: LateAnswer[] = [];
  private readonly answers: LateAnswer[] = [];
  private wake: () => void = () => undefined;

  constructor(
    state: EngineState,
    private readonly world: SegmentWorld,
  ) {
    this.machine = new SegmentMachine(world.plan, structuredClone(state));
  }

  async run(): Promise<Omit<SegmentResult, 'of'>> {
    this.carryOut(this.machine.begin());
    while (!this.machine.isOver()) {
      if (this.answers.length === 0) await this.untilAnswered();
      if (this.world.signal.aborted) return await this.abort();
      if (this.world.isHalted() && !this.machine.isHalted) this.feed({ kind: 'halt', at: Date.now() });
      for (const answer of this.answers.splice(0)) this.feed({ kind: 'answered', ...answer });
    }
    return this.result();
  }

  private feed(input: SegmentInput): void {
    this.inputs.push(input);
    this.carryOut(this.machine.feed(input));
  }

  private carryOut({ calls, events }: Moved): void {
    this.world.tell(events);
    for (const call of calls) {
      void this.world.run(call).then((result) => {
        this.answers.push({ id: call.id, at: Date.now(), result });
        this.wake();
      });
    }
  }

  /** The calls hear of it themselves: their answers are not the machine's any more. */
  private async abort(): Promise<Omit<SegmentResult, 'of'>> {
    for (;;) {
      this.late.push(...this.answers.splice(0));
      if (this.machine.inFlight().every((id) => this.late.some((answer) => answer.id === id))) return this.result();
      await this.untilAnswered();
    }
  }

  private untilAnswered(): Promise<void> {
    return new Promise((resolve) => {
      this.wake = resolve;
    });
  }

  private result(): Omit<SegmentResult, 'of'> {
    return { inputs: this.inputs, hash: this.machine.hash(), late: this.late };
  }
}
