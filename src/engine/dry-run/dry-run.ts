/** Runs a plan in memory with mocked steps and a virtual clock: the very engine, another world around it. */
import { type Json, type Plan, type PlanStep, toDisplay, type Value } from '../../definition/runtime.js';
import { advance } from '../advance.js';
import { type EngineState, initialState } from '../state.js';
import { type Command, ENGINE_VERSION, type ExecutionMeta, type ExecutionOutcome, type StepError } from '../types.js';
import { type DryEvent, DryLog, type DryStep } from './dry-log.js';
import { DryWorld, type Happening } from './dry-world.js';
import { MockBook, type Mocks } from './mocks.js';

export interface DryRunInput {
  readonly plan: Plan;
  /** After defaults and checks. */
  readonly variables: { readonly [name: string]: Json };
  readonly mocks?: Mocks;
  /** Time at the start of the virtual clock, in ms. */
  readonly startMs: number;
  readonly execution?: Partial<ExecutionMeta>;
}

export interface DryRunResult {
  readonly status: ExecutionOutcome['status'];
  readonly output: Json;
  readonly error: StepError | null;
  readonly steps: readonly DryStep[];
  readonly events: readonly DryEvent[];
}

/** A dry run enters no more steps than this, whatever the definition allows: it answers within one request. */
const MAX_STEPS = 10_000;

/**
 * The timeline of a definition with mocked outputs. Unmocked tool, bash, notify, agent and event steps and subworkflows give null with the
 * warning `unmocked`; unmocked approvals are approved. Waits and retries cost no time. Secrets stand as `secrets.NAME`. Synchronous; no side effect.
 */
export function dryRun(input: DryRunInput): DryRunResult {
  return new DryRun(input).run();
}

class DryRun {
  private readonly plan: Plan;
  private readonly log: DryLog;
  private readonly world: DryWorld;
  private state: EngineState;
  private outcome: ExecutionOutcome | undefined;

  constructor(private readonly input: DryRunInput) {
    const mocks = new MockBook(input.mocks ?? {});
    this.plan = dryPlan(input.plan, mocks);
    const execution = metaOf(this.plan, input.execution);
    const variables = Object.fromEntries(Object.entries(input.variables).map(([name, v]): [string, Value] => [name, { v }]));
    this.state = initialState({ engineVersion: ENGINE_VERSION, plan: this.plan, execution, variables });
    this.log = new DryLog(this.plan, execution.id);
    this.world = new DryWorld(this.plan, mocks, this.log, input.startMs);
  }

  run(): DryRunResult {
    this.log.tell('execution.started', this.input.startMs);
    this.feed({ kind: 'start' });
    while (this.outcome === undefined) this.feed(this.world.next());
    const { status, output, error, reason } = this.outcome;
    this.log.tell(`execution.${status}`, this.world.nowMs, {
      output: toDisplay(output),
      error: error === null ? null : { ...error },
      reason,
    });
    return { status, output: toDisplay(output), error, steps: this.log.steps(), events: this.log.events };
  }

  private feed(happening: Happening): void {
    const result = advance(this.plan, this.state, { ...happening, at: this.world.nowMs });
    this.state = result.state;
    for (const event of result.events) this.log.add(event);
    for (const command of result.commands) this.carryOut(command);
    for (const event of result.events) this.world.notice(event);
    if (result.more) this.world.soon({ kind: 'continue' });
  }

  private carryOut(command: Command): void {
    if (command.kind === 'finish') this.outcome = command.outcome;
    else this.world.carryOut(command);
  }
}

function metaOf(plan: Plan, given: Partial<ExecutionMeta> = {}): ExecutionMeta {
  return {
    id: 'exe_dry',
    ownerId: 'usr_dry',
    workflowId: null,
    workflowName: plan.name,
    version: plan.version,
    hash: plan.hash,
    sessionId: 'ses_dry',
    triggerType: 'test',
    depth: 0,
    parent: null,
    ...given,
  };
}

/** Bounds the run, and lets an unmocked event fit whatever its `match` asks for. */
function dryPlan(plan: Plan, mocks: MockBook): Plan {
  const constraints = { ...plan.constraints, maxSteps: Math.min(plan.constraints.maxSteps, MAX_STEPS) };
  return { ...plan, constraints, steps: plan.steps.map((step) => dryStep(step, mocks)) };
}

function dryStep(step: PlanStep, mocks: MockBook): PlanStep {
  const inner = (steps: readonly PlanStep[]): PlanStep[] => steps.map((one) => dryStep(one, mocks));
  switch (step.type) {
    case 'wait_for_event': {
      const { match: _match, ...rest } = step;
      return mocks.has(step.id) ? step : rest;
    }
    case 'conditional':
      return { ...step, then: inner(step.then), ...(step.else === undefined ? {} : { else: inner(step.else) }) };
    case 'switch':
      return {
        ...step,
        cases: step.cases.map((one) => ({ ...one, steps: inner(one.steps) })),
        ...(step.default === undefined ? {} : { default: inner(step.default) }),
      };
    case 'loop':
      return { ...step, steps: inner(step.steps) };
    case 'parallel':
      return { ...step, branches: step.branches.map((branch) => ({ ...branch, steps: inner(branch.steps) })) };
    case 'try':
      return {
        ...step,
        steps: inner(step.steps),
        catch: step.catch.map((one) => ({ ...one, steps: inner(one.steps) })),
        ...(step.finally === undefined ? {} : { finally: inner(step.finally) }),
      };
    case 'tool': {
      // Each of its calls is mocked by itself.
      const { light: _light, ...rest } = step;
      return rest;
    }
    case 'agent_prompt':
    case 'bash':
    case 'notify':
    case 'approval':
    case 'set':
    case 'wait':
    case 'subworkflow':
    case 'stop':
      return step;
  }
}
