/** One call of `advance` while it runs: the plan, the state it owns, and what has been put out so far. */
import type { Plan, PlanStep } from '../definition/runtime.js';
import { stepOf } from './plan-index.js';
import type { Advance } from './segment/fed-state.js';
import type { EngineState, Fiber, StepFrame } from './state.js';
import type { Command, EngineEvent, StepInstance } from './types.js';

/** Step entries (passes of a loop count too) that one call handles before it asks for `continue`. */
export const STEPS_PER_CALL = 1_000;

export class Run {
  readonly commands: Command[] = [];
  readonly events: EngineEvent[] = [];
  budget = STEPS_PER_CALL;

  constructor(
    readonly plan: Plan,
    readonly state: EngineState,
    /** The engine itself, for the states of its segments. */
    readonly advance: Advance,
  ) {}

  /** A number never given before in this state. */
  nextSerial(): number {
    this.state.serial += 1;
    return this.state.serial;
  }

  /** A text never given before in this execution, of a segment of it neither. */
  nextId(): string {
    const serial = this.nextSerial();
    return this.state.segment === undefined ? String(serial) : `${this.state.segment.id}.${serial}`;
  }

  order(command: Command): void {
    this.commands.push(command);
  }

  fiber(id: string): Fiber | undefined {
    return this.state.fibers[id];
  }

  stepOf(stepId: string): PlanStep {
    return stepOf(this.plan, stepId);
  }
}

/** A step attempt in the middle of its work: what a step type's functions get. */
export interface At<S extends PlanStep = PlanStep> {
  readonly run: Run;
  readonly fiber: Fiber;
  readonly frame: StepFrame;
  readonly step: S;
}

export const instanceOf = (frame: StepFrame): StepInstance => ({ stepId: frame.stepId, iterationPath: frame.path, attempt: frame.attempt });

/** Temporal activity and timer ids begin with this: where the step is, and which attempt. */
export function instanceId({ stepId, iterationPath, attempt }: StepInstance): string {
  return `${iterationPath === '' ? '' : `${iterationPath}/`}${stepId}#${attempt}`;
}

/** Lets a blocked fiber go on, once. */
export function wake(run: Run, fiber: Fiber): void {
  if (fiber.wait === null) return;
  fiber.wait = null;
  run.state.ready.push(fiber.id);
}
