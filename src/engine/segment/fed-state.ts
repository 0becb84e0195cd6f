import type { Plan } from '../../definition/runtime.js';
import { fingerprint } from '../fingerprint.js';
import type { EngineState } from '../state.js';
import type { ActivityCommand, AdvanceResult, EngineEvent, Input, SegmentInput } from '../types.js';

/** The engine's own step, handed in: it takes segments apart itself. */
export type Advance = (plan: Plan, state: EngineState, input: Input) => AdvanceResult<EngineState>;

/** What an activity can carry out in place of one of its own. */
export type SegmentCall = Extract<ActivityCommand, { readonly name: 'evaluate' | 'tool' | 'bash' | 'notify' }>;

const isCall = (command: ActivityCommand): command is SegmentCall => command.name === 'tool' || command.name === 'evaluate';

/** What follows from an input. */
export interface Moved {
  readonly calls: readonly SegmentCall[];
  /** Ids of calls in flight that lost their race: to be aborted, their answers fed. */
  readonly cancels: readonly string[];
  readonly events: readonly EngineEvent[];
}

/** The state of one segment and what it is fed: in its activity the world's answers, in the host the recorded ones. Pure. */
export class FedState {
  constructor(
    private readonly plan: Plan,
    readonly state: EngineState,
    private readonly advance: Advance,
  ) {}

  /** Sets it going at the time at which it was ordered: an input that both sides know. */
  begin(): Moved {
    return this.move({ kind: 'continue', at: this.state.nowMs });
  }

  /** Times never go back: an earlier one counts as the latest. */
  feed(input: SegmentInput): Moved {
    return this.move(input);
  }

  /** Nothing more starts: it was told so, its steps are used up, or a retry waits, whose timer is the host's. */
  get isHalted(): boolean {
    return this.state.paused;
  }

  /** Nothing is in flight and nothing could go on. */
  isOver(): boolean {
    return this.state.ready.length === 0 && Object.keys(this.state.calls).length === 0;
  }

  /** Ids of calls without an answer, in the order in which they were ordered. */
  inFlight(): readonly string[] {
    return Object.keys(this.state.calls);
  }

  /** Of the state as it is: equal on both sides when they were fed the same. */
  hash(): string {
    return fingerprint(JSON.stringify(this.state));
  }

  private move(input: Input): Moved {
    const moved = { calls: [] as SegmentCall[], cancels: [] as string[], events: [] as EngineEvent[] };
    let more = this.take(input, moved);
    while (more) more = this.take({ kind: 'continue', at: this.state.nowMs }, moved);
    return moved;
  }

  private take(input: Input, moved: { calls: SegmentCall[]; cancels: string[]; events: EngineEvent[] }): boolean {
    const { commands, events, more } = this.advance(this.plan, this.state, input);
    moved.events.push(...events);
    for (const command of commands) {
      if (command.kind === 'cancel_activity') moved.cancels.push(command.id);
      else if (command.kind === 'activity' && isCall(command)) moved.calls.push(command);
      // Timers are the state's until the host arms them.
      else if (command.kind !== 'timer' && command.kind !== 'cancel_timer') throw new Error(`A segment cannot carry out ${command.kind}`);
    }
    return more;
  }
}
