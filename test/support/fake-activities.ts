/**
 * The activities as the workflow sees them, without a database or an outside: answers are scripted by step, gates and children live in
 * memory, ids are fixed. For workflow tests and for recording histories.
 */
import { Context } from '@temporalio/activity';
import { ApplicationFailure } from '@temporalio/common';
import type { AgentActivities, CoreActivities, ShellActivities, Told } from '../../src/activities/contract.js';
import type { Plan } from '../../src/definition/plan.js';
import type {
  ActivityCommand,
  ActivityResult,
  EngineEvent,
  GateOutcome,
  GateStatus,
  SegmentResult,
  StartData,
  StepAnswer,
  StepError,
  StepInstance,
} from '../../src/engine/types.js';
import type { AgentTurn } from '../../src/engine/agent/types.js';
import { type Json, plain, type Value } from '../../src/definition/value.js';
import { FakeSegment } from './fake-segment.js';

type StepInput = Told & { readonly instance: StepInstance };

/** What a step does when its activity runs: an output, a fault, or `hang` until it is cancelled. `nth` counts its calls from 0. */
export type Reply = {
  readonly output?: Json;
  readonly value?: Value;
  readonly error?: StepError;
  readonly hang?: true;
  readonly afterMs?: number;
};
export type Replies = { readonly [stepId: string]: Reply | readonly Reply[] | ((input: StepInput, nth: number) => Reply) };

/** What a model call comes to, besides what every one has. */
export type FakeTurn = AgentTurn extends infer T ? (T extends AgentTurn ? Omit<T, 'at' | 'turnIds' | 'usage' | 'turnId'> : never) : never;

export interface FakeWorld {
  readonly replies: Replies;
  /** What `evaluate` answers, by `<stepId>.<field>`. */
  readonly evaluations?: { readonly [site: string]: Value };
  /** Start data of the executions that `load` is asked for, by id. */
  readonly children?: { readonly [executionId: string]: StartData };
  /** What comes of a step's model calls, in order; behind them its reply. */
  readonly turns?: { readonly [stepId: string]: readonly ('hang' | FakeTurn)[] };
  /** What its segments run; without one there are none. */
  readonly plan?: Plan;
  /** Fails the n-th call of these activities as a fault of the platform, which Temporal retries. */
  /** Once this step is called, or this command's delivery is written, the row of the execution is closed by somebody else, as failed. */
  readonly closesAt?: string;
  readonly platformFaults?: { readonly [activity: string]: number };
}

export interface Journal {
  /** Kinds of engine events in the order written, once each. */
  readonly events: string[];
  /** Names of the activities that ran, with their step. */
  readonly calls: string[];
  /** Attempts to open a gate, also those that failed. */
  readonly openings: string[];
  readonly delivered: Set<string>;
  readonly outcomes: Map<string, string>;
  /** The most that one activity was given to write, in characters of its events. */
  largestCarry: number;
}

export const fault = (code: string, retryable = false): StepError => ({ code, message: `scripted ${code}`, retryable });

export type Activities = CoreActivities & AgentActivities & ShellActivities;

/** One world for an execution and its children. */
export class FakeActivities {
  readonly journal: Journal = { events: [], calls: [], openings: [], delivered: new Set(), outcomes: new Map(), largestCarry: 0 };
  private readonly gates = new Map<string, GateOutcome>();
  private readonly counts = new Map<string, number>();
  private isClosed = false;
  private readonly seen = new Set<string>();
  private readonly parents = new Map<string, { readonly parentId: string; readonly awaited: boolean }>();

  constructor(private readonly world: FakeWorld) {}

  all(): Activities {
    const step = async (input: Told): Promise<StepAnswer> => await this.step(input as StepInput);
    return {
      tool: step,
      notify: step,
      bash: step,
      agentOpen: async (input) => {
        this.write(input.executionId, [
          {
            kind: 'step.started',
            ordinal: '0',
            at: input.nowMs,
            instance: input.instance,
            stepType: 'agent_prompt',
            data: { input: null },
          },
        ]);
        this.take(input);
        return { at: Date.now(), models: ['model-1', 'model-2'], characters: 0 };
      },
      agentTurn: async (input) => ('scope' in input ? await this.step(input) : { turn: await this.turn(input) }),
      agentTool: async (input) => {
        this.take(input);
        this.journal.calls.push(`tool ${input.callId} on ${input.queue}${input.approvalId === null ? '' : ` as ${input.approvalId} says`}`);
        return { end: { at: Date.now(), ended: 'completed', characters: 10 } };
      },
      openCallGate: async (input) => this.openGate(input, `:${input.callId}`),
      agentClose: async (input) => {
        this.take(input);
        const { stepId, iterationPath, attempt } = input.instance;
        this.journal.calls.push(`close ${stepId}@${iterationPath}#${attempt} ${input.status}`);
        return {};
      },
      openGate: async (input) => this.openGate(input),
      expireGate: async (input) => {
        this.take(input);
        const to: GateStatus = (input as { to?: 'expired' | 'cancelled' }).to ?? 'expired';
        return this.settle(input.approvalId, { status: to, decidedBy: [], reason: null, answer: plain(null) });
      },
      readGate: async (input) => {
        this.take(input);
        const { approvalId, decision, by, reason, answer } = input.signal;
        if (!this.gates.has(approvalId)) return null;
        if (decision === undefined) return this.gate(approvalId);
        return this.settle(approvalId, {
          status: decision === 'approve' ? 'approved' : 'denied',
          decidedBy: [by ?? 'operator'],
          reason: reason ?? null,
          answer: plain(answer ?? null),
        });
      },
      prepareChild: async (input) => {
        this.take(input);
        this.maybeFault('prepareChild');
        const executionId = childIdOf(input.executionId, input.instance);
        const start = this.world.children?.[executionId];
        if (start === undefined) throw failure(input.instance, fault('subworkflow_not_found'));
        this.parents.set(executionId, { parentId: input.executionId, awaited: start.execution.parent?.awaited === true });
        return { executionId, at: input.nowMs, workflowName: start.execution.workflowName };
      },
      cancelChild: async (input) => {
        this.take(input);
        await Context.current().client.workflow.getHandle(input.childId).cancel();
      },
      evaluate: async (input) => {
        this.take(input);
        const value = this.world.evaluations?.[`${input.site.stepId}.${input.site.field}`];
        if (value === undefined) throw failure(input.instance, fault('expression_error'));
        return { value };
      },
      store: async (input) => {
        this.take(input);
        return input.values.map((_value, index) => reference(`val_${input.instance.stepId}_${index}`));
      },
      recover: async (input) => {
        this.take(input);
        return input.settle;
      },
      segment: async (input) => {
        this.take(input);
        return await this.runSegment(input);
      },
      haltSegments: async (input) => {
        this.take(input);
        for (const segment of input.segments) this.halted.add(segment);
      },
      flush: async (input) => {
        this.take(input);
        return { closed: this.isClosed };
      },
      settle: async (input) => {
        this.take(input);
        if (this.isClosed) {
          this.journal.outcomes.set(input.executionId, 'failed');
          return {
            outcome: { status: 'failed', output: plain(null), error: fault('execution_terminated'), reason: null, requested: false },
          };
        }
        this.journal.outcomes.set(input.executionId, input.outcome.status);
        await this.tellParent(input.executionId, input.outcome);
        return { outcome: input.outcome };
      },
      beginCancel: async (input) => {
        this.take(input);
        for (const [approvalId, { status }] of this.gates)
          if (status === 'pending' && approvalId.includes(input.executionId))
            this.settle(approvalId, { status: 'cancelled', decidedBy: [], reason: null, answer: plain(null) });
        return { proceed: true, reason: input.reason, by: null };
      },
      load: async (input) => {
        const start = this.world.children?.[input.executionId ?? ''];
        return start === undefined ? { start: null, outcome: { status: 'duplicate' } } : { start };
      },
    };
  }

  private async step(input: StepInput): Promise<StepAnswer> {
    this.take(input);
    const { instance } = input;
    this.journal.calls.push(`${instance.stepId}@${instance.iterationPath}#${instance.attempt}`);
    const reply = this.replyOf(input);
    if (reply.hang === true || reply.afterMs !== undefined) {
      const isCancelled = await this.pass(reply.hang === true ? undefined : reply.afterMs);
      if (isCancelled) return { ended: 'cancelled', at: Date.now() };
    }
    this.maybeFault(instance.stepId);
    if (instance.stepId === this.world.closesAt) this.isClosed = true;
    if (this.isClosed) return { ended: 'cancelled', at: Date.now(), closed: true };
    if (reply.error !== undefined) throw failure(instance, reply.error);
    return { ended: 'completed', at: Date.now(), output: reply.value ?? plain(reply.output ?? null) };
  }

  /** One model call: `turns` says what comes of it, the step's reply when it says nothing. */
  private async turn(input: StepInput & { readonly call: number; readonly model: string }): Promise<AgentTurn> {
    this.take(input);
    const { instance, model, call } = input;
    this.journal.calls.push(`${instance.stepId}@${instance.iterationPath}#${instance.attempt} call ${call} of ${model}`);
    const base = {
      at: Date.now(),
      turnIds: [`trn_${call}`],
      usage: { inputTokens: 10, outputTokens: 5, cacheReadTokens: 0, models: [model] },
    };
    const said = this.world.turns?.[instance.stepId]?.[call - 1];
    if (said === 'hang') {
      await this.pass(undefined);
      return { ...base, got: 'cancelled' };
    }
    if (said !== undefined) return { ...base, turnId: `trn_${call}`, ...said } as AgentTurn;
    const { output, error } = this.replyOf(input);
    if (error !== undefined) return { ...base, got: 'fault', failover: false, error };
    return {
      ...base,
      got: 'reply',
      turnId: `trn_${call}`,
      output: reference(typeof output === 'string' ? `val_${output}` : 'val_reply', ''),
    };
  }

  private readonly halted = new Set<string>();

  private async runSegment(input: Parameters<CoreActivities['segment']>[0]): Promise<Omit<SegmentResult, 'of'>> {
    const { plan } = this.world;
    if (plan === undefined) throw new Error('this world has no plan for segments');
    const signal = contextOf().cancellationSignal;
    this.journal.calls.push(`segment ${input.segment}`);
    return await new FakeSegment(input.state, {
      plan,
      signal,
      isHalted: () => this.halted.has(input.segment),
      run: async (call) => await this.runCall({ ...input, ...call }),
      tell: (events) => this.write(input.executionId, events),
    }).run();
  }

  /** A call of a segment, as the activity of its own would answer. */
  private async runCall(input: StepInput & ActivityCommand): Promise<ActivityResult> {
    if (input.name === 'evaluate') {
      const value = this.world.evaluations?.[`${input.site.stepId}.${input.site.field}`];
      return value === undefined ? { of: 'fault', error: fault('expression_error') } : { of: 'value', value };
    }
    try {
      return { of: 'step', answer: await this.step(input) };
    } catch (error) {
      return { of: 'step', answer: (error as ApplicationFailure).details?.[0] as StepAnswer };
    }
  }

  private replyOf(input: StepInput): Reply {
    const script = this.world.replies[input.instance.stepId] ?? {};
    const nth = this.count(input.instance.stepId);
    if (typeof script === 'function') return script(input, nth);
    return Array.isArray(script) ? ((script as readonly Reply[])[Math.min(nth, script.length - 1)] ?? {}) : (script as Reply);
  }

  /** Time passes, heartbeats go on. @returns whether the activity was cancelled meanwhile */
  private async pass(ms: number | undefined): Promise<boolean> {
    const { cancellationSignal, heartbeat } = contextOf();
    return await new Promise((resolve) => {
      const beat = setInterval(heartbeat, 300);
      const done = (cancelled: boolean) => {
        clearInterval(beat);
        resolve(cancelled);
      };
      if (ms !== undefined) setTimeout(() => done(false), ms);
      cancellationSignal.addEventListener('abort', () => done(true), { once: true });
    });
  }

  private openGate(input: StepInput, behind = ''): GateOutcome {
    this.take(input);
    const { stepId, iterationPath, attempt } = input.instance;
    this.journal.openings.push(stepId);
    this.maybeFault('openGate');
    const approvalId = `apr_${input.executionId}_${stepId}_${iterationPath}_${attempt}${behind}`;
    if (!this.gates.has(approvalId))
      this.gates.set(approvalId, { approvalId, status: 'pending', decidedBy: [], decidedAt: null, reason: null, answer: plain(null) });
    return this.gate(approvalId);
  }

  private gate(approvalId: string): GateOutcome {
    const gate = this.gates.get(approvalId);
    if (gate === undefined) throw new Error(`no gate ${approvalId}`);
    return gate;
  }

  private settle(approvalId: string, end: Pick<GateOutcome, 'status' | 'decidedBy' | 'reason' | 'answer'>): GateOutcome {
    const gate = this.gate(approvalId);
    if (gate.status !== 'pending') return gate;
    const settled = { ...gate, ...end, decidedAt: new Date().toISOString() };
    this.gates.set(approvalId, settled);
    return settled;
  }

  private async tellParent(
    executionId: string,
    outcome: { readonly status: string; readonly output: Value; readonly error: StepError | null },
  ): Promise<void> {
    const parent = this.parents.get(executionId);
    if (parent?.awaited !== true) return;
    const { status, output, error } = outcome;
    await Context.current()
      .client.workflow.getHandle(parent.parentId)
      .signal('child', { id: `cmd_${executionId}`, executionId, outcome: { status, output, error } });
  }

  /** Events are written once by their key, in the order of the engine. */
  private take(input: Told): void {
    const carried = (input.carry.events ?? []).reduce((sum, event) => sum + JSON.stringify(event).length, 0);
    this.journal.largestCarry = Math.max(this.journal.largestCarry, carried);
    this.write(input.executionId, input.carry.events ?? []);
    for (const id of input.carry.delivered ?? []) this.journal.delivered.add(id);
    if (input.carry.delivered?.some((id) => id === this.world.closesAt)) this.isClosed = true;
  }

  private write(executionId: string, events: readonly EngineEvent[]): void {
    for (const event of events) {
      const key = JSON.stringify([executionId, event.instance, event.kind, event.ordinal]);
      if (this.seen.has(key)) continue;
      this.seen.add(key);
      this.journal.events.push(
        event.instance === null ? event.kind : `${event.kind} ${event.instance.stepId}@${event.instance.iterationPath}`,
      );
    }
  }

  private maybeFault(name: string): void {
    const faults = this.world.platformFaults?.[name];
    if (faults !== undefined && this.count(`fault:${name}`) < faults)
      throw ApplicationFailure.retryable('the database is away', 'unavailable');
  }

  private count(name: string): number {
    const nth = this.counts.get(name) ?? 0;
    this.counts.set(name, nth + 1);
    return nth;
  }
}

export const childIdOf = (parentId: string, { stepId, iterationPath }: StepInstance): string =>
  `${parentId}--${stepId}${iterationPath === '' ? '' : `-${iterationPath.replaceAll(/[^A-Za-z0-9]/g, '.')}`}`;

const reference = (ref: string, preview = '…'): Value => ({
  v: null,
  refs: { '': { ref, bytes: 40_000, sha256: '0'.repeat(64), preview } },
});
/** An output above 32 KB, as an activity gives it. */
export const largeOutput = (name: string): Value => reference(`val_${name}`);

function failure({ stepId, iterationPath, attempt }: StepInstance, error: StepError): ApplicationFailure {
  const answer: StepAnswer = { ended: 'failed', at: Date.now(), error: { ...error, stepId, iterationPath, attempt } };
  return ApplicationFailure.create({ message: error.message, type: error.code, nonRetryable: true, details: [answer] });
}

function contextOf(): { readonly cancellationSignal: AbortSignal; readonly heartbeat: () => void } {
  const context = Context.current();
  return { cancellationSignal: context.cancellationSignal, heartbeat: () => context.heartbeat() };
}
