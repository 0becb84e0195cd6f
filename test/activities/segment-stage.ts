/** Segments as the host orders them, run by their activity in a real database: plan, state and command are the engine's own. */
import { z } from 'zod';
import { createRunFacts } from '../../src/activities/run-facts.js';
import { createRunStore } from '../../src/activities/run-store.js';
import { createSegmentActivity, type SegmentInputs } from '../../src/activities/segment/segment-activity.js';
import { compileDefinition } from '../../src/definition/index.js';
import type { Plan } from '../../src/definition/plan.js';
import type { Json } from '../../src/definition/value.js';
import { advance, initialState, type EngineState } from '../../src/engine/index.js';
import { ENGINE_VERSION, type ActivityCommand, type Command, type SegmentResult } from '../../src/engine/types.js';
import type { Database } from '../../src/store/database.js';
import { listSteps, type StepRecord } from '../../src/store/step-list.js';
import { StepFault } from '../../src/tools/step-fault.js';
import { createToolRegistry } from '../../src/tools/registry.js';
import { defineTool, type ToolCall } from '../../src/tools/tool.js';
import { anEnvironment, openTestStore, type RunningExecution, type TestStore } from './running-execution.js';

type SegmentCommand = Extract<ActivityCommand, { name: 'segment' }>;
/** What the tool `test:do` does when it is called under a name. */
export type Doing = (args: { readonly [name: string]: Json }, call: ToolCall) => Json | Promise<Json>;

let definitions = 0;

/** A plan of these steps in which `test:do` is light. */
export function planOf(steps: readonly object[], rest: object = {}): Plan {
  const { plan, problems } = compileDefinition(
    { name: `Segment ${process.pid} ${++definitions}`, steps, ...rest },
    { lightTools: new Set(['test:do']) },
  );
  if (plan === null) throw new Error(JSON.stringify(problems));
  return plan;
}

/** A step that calls `test:do` under its own id. */
export const doing = (id: string, args: object = {}, step: object = {}): object => ({
  id,
  type: 'tool',
  tool: 'test:do',
  arguments: { name: id, ...args },
  ...step,
});

/** The host's side of a run: its engine, and the segment that it has ordered. */
export class HostedRun {
  state: EngineState;
  commands: Command[];

  constructor(
    readonly plan: Plan,
    readonly execution: RunningExecution,
    variables: { readonly [name: string]: Json } = {},
    at = Date.now(),
  ) {
    const { executionId: id, ownerId, sessionId } = execution.common;
    const meta = {
      id,
      ownerId,
      workflowId: null,
      workflowName: 'Test',
      version: '1.0.0',
      hash: plan.hash,
      sessionId,
      triggerType: 'manual',
      depth: 0,
      parent: null,
    };
    const values = Object.fromEntries(Object.entries(variables).map(([name, v]) => [name, { v }]));
    this.state = initialState({ engineVersion: ENGINE_VERSION, plan, execution: meta, variables: values });
    this.commands = [];
    this.feed({ kind: 'start', at });
  }

  feed(input: Parameters<typeof advance>[2]): void {
    const { state, commands } = advance(this.plan, this.state, input);
    this.state = state;
    this.commands = [...commands];
  }

  get segment(): SegmentCommand {
    const command = this.commands.find((one): one is SegmentCommand => one.kind === 'activity' && one.name === 'segment');
    if (command === undefined) throw new Error(`no segment is ordered, but ${JSON.stringify(this.commands)}`);
    return command;
  }

  input(overrides: Partial<SegmentInputs> = {}): SegmentInputs {
    const { kind: _kind, id: _id, name: _name, ...command } = this.segment;
    const given = this.state.segments?.[command.segment]?.given;
    if (given === undefined) throw new Error(`no state of segment ${command.segment}`);
    return { ...this.execution.common, engineVersion: ENGINE_VERSION, ...command, state: structuredClone(given), ...overrides };
  }

  /** Feeds a segment's answer, as a payload would bring it. @throws when the engine comes to another state than the segment did */
  take(result: SegmentResult): Command[] {
    this.feed({ kind: 'answered', id: this.segment.id, at: Date.now(), result: JSON.parse(JSON.stringify(result)) as SegmentResult });
    return this.commands;
  }

  get outcome() {
    const finish = this.commands.find((one) => one.kind === 'finish');
    return finish?.kind === 'finish' ? finish.outcome : undefined;
  }
}

/** Where a segment's writes can be held: what hangs is like a process that died there. */
export class Wire {
  private count = 0;
  private holdAt: { readonly nth: number; readonly when: 'before' | 'after' } | undefined;
  private held: (() => void) | undefined;
  private isRefused: (text: string) => boolean = () => false;
  readonly reached: Promise<void>;
  private reach: () => void = () => undefined;
  /** How many transactions a segment has written. */
  get writes(): number {
    return this.count;
  }

  constructor(private readonly inner: Database) {
    this.reached = new Promise((resolve) => {
      this.reach = resolve;
    });
  }

  /** Holds the n-th write from 0, before it is sent or before its answer comes. */
  hold(nth: number, when: 'before' | 'after'): this {
    this.holdAt = { nth, when };
    return this;
  }

  release(): void {
    this.held?.();
  }

  /** Writes whose text it says so of are refused, as PostgreSQL refuses what it cannot store. */
  refuse(isRefused: (text: string) => boolean): this {
    this.isRefused = isRefused;
    return this;
  }

  get db(): Database {
    const write = async (executionId: string, head: never, op: { readonly op: string }): Promise<unknown> => {
      const nth = op.op === 'segment' ? this.count++ : -1;
      const isHeld = nth >= 0 && nth === this.holdAt?.nth;
      if (isHeld && this.holdAt?.when === 'before') await this.wait();
      if (nth >= 0 && this.isRefused(JSON.stringify(op))) throw new Error('stack depth limit exceeded');
      const result = await this.inner.writer.write(executionId, head, op as never);
      if (isHeld && this.holdAt?.when === 'after') await this.wait();
      return result;
    };
    return Object.create(this.inner, { writer: { value: { write } } }) as Database;
  }

  private async wait(): Promise<void> {
    this.reach();
    await new Promise<void>((resolve) => {
      this.held = resolve;
    });
  }
}

export interface StageCall {
  readonly name: string;
  readonly key: string;
  readonly args: { readonly [name: string]: Json };
}

/** A real store, the tool `test:do`, and runs on it. */
export class SegmentStage {
  readonly calls: StageCall[] = [];
  private readonly doings = new Map<string, Doing>();
  private constructor(readonly store: TestStore) {}

  static async open(): Promise<SegmentStage> {
    return new SegmentStage(await openTestStore());
  }
  /** A connection string of the store's database. */
  get url(): string {
    return this.store.url;
  }
  close(): Promise<void> {
    return this.store.close();
  }

  on(name: string, doing: Doing): void {
    this.doings.set(name, doing);
  }
  clear(): void {
    this.calls.length = 0;
    this.doings.clear();
  }
  /** Calls under a name, or all. */
  callsOf(name?: string): readonly StageCall[] {
    return this.calls.filter((call) => name === undefined || call.name === name);
  }

  async run(plan: Plan, variables: { readonly [name: string]: Json } = {}): Promise<HostedRun> {
    return new HostedRun(plan, await this.store.start(plan), variables);
  }

  /** One attempt of the segment's activity. */
  attempt(
    input: SegmentInputs,
    options: {
      readonly db?: Database;
      readonly environment?: ReturnType<typeof anEnvironment>;
      readonly stopping?: AbortSignal;
      readonly secrets?: ReadonlyMap<string, string>;
    } = {},
  ): Promise<SegmentResult> {
    const { db = this.store.db, environment = anEnvironment(), stopping, secrets = new Map<string, string>() } = options;
    const facts = createRunFacts(createRunStore(db, async () => secrets));
    const activity = createSegmentActivity({ db, facts, tools: this.tools(), ...(stopping === undefined ? {} : { stopping }) });
    return environment.run(activity as never, input as never) as Promise<SegmentResult>;
  }

  /** Runs segment after segment until the run has ended or something else is ordered. */
  async finish(run: HostedRun): Promise<void> {
    while (run.commands.some((one) => one.kind === 'activity' && one.name === 'segment')) run.take(await this.attempt(run.input()));
  }

  /** What is there of the run for its readers, without times. */
  async seen(run: HostedRun): Promise<{ readonly log: readonly unknown[]; readonly rows: readonly unknown[] }> {
    const { executionId, ownerId } = run.execution.common;
    const steps = await listSteps(this.store.db, ownerId, executionId);
    return {
      log: (await run.execution.events()).map(({ kind, stepId, iterationPath, data }) => ({ kind, stepId, iterationPath, data })),
      rows: steps.map(rowOf),
    };
  }

  private tools() {
    const tool = defineTool({
      id: 'test:do',
      description: 'does as it is told',
      risk: 'low',
      parameters: z.looseObject({ name: z.string() }),
      repeats: 'keyed',
      light: true,
      limitMs: () => 10_000,
      run: async (args, call) => {
        const given = args as { readonly name: string; readonly [name: string]: Json };
        this.calls.push({ name: given.name, key: call.idempotencyKey, args: given });
        const doing = this.doings.get(given.name);
        return doing === undefined ? { did: given.name } : await doing(given, call);
      },
    });
    return createToolRegistry([tool]);
  }
}

const rowOf = ({ stepId, iterationPath, attempt, status, input, output, error }: StepRecord) => ({
  stepId,
  iterationPath,
  attempt,
  status,
  input,
  output,
  error,
});

/** Answers after so long, unless it is aborted. */
export const after =
  (ms: number, output: Json = null): Doing =>
  (_args, { signal }) =>
    new Promise((resolve, reject) => {
      const timer = setTimeout(() => resolve(output), ms);
      signal.addEventListener('abort', () => (clearTimeout(timer), reject(signal.reason as Error)), { once: true });
    });

/** Never answers, and ends when it is aborted. */
export const hanging: Doing = (_args, { signal }) =>
  new Promise((_resolve, reject) => {
    signal.addEventListener('abort', () => reject(signal.reason as Error), { once: true });
  });

export const failing =
  (code: string, retryable = false): Doing =>
  () => {
    throw new StepFault(code, `it failed with ${code}`, { retryable });
  };
