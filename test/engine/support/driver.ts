/**
 * The world around the pure engine, scripted: virtual time, activities that answer after a while, gates as rows, children, stored
 * values. It checks what must hold for every run: one finish, the last command, with everything in flight answered before it.
 */
import { compileDefinition } from '../../../src/definition/compile/compile.js';
import {
  evaluate,
  isLarge,
  type Json,
  listValue,
  NeedsValues,
  type Plan,
  render,
  type Ref,
  type ScopeReader,
  sliceReader,
  toDisplay,
  wholeRef,
  type Value,
} from '../../../src/definition/runtime.js';
import {
  advance,
  chunkAnswer,
  chunkOf,
  type EngineState,
  initialState,
  itemAt,
  type Moved,
  renderStepInput,
  SegmentMachine,
  sourceAt,
} from '../../../src/engine/index.js';
import { ENGINE_VERSION } from '../../../src/engine/types.js';
import type {
  ActivityCommand,
  ActivityResult,
  Command,
  EngineEvent,
  ExecutionOutcome,
  GateOutcome,
  GateStatus,
  Input,
  LateAnswer,
  Seed,
  SegmentInput,
  StartData,
  StepAnswer,
  StepError,
  StepInstance,
} from '../../../src/engine/types.js';

import { type AgentScript, AgentWorld } from './agent-world.js';

export const START_MS = 1_700_000_000_000;

/** How a call of a scripted step goes. Without a script it completes at once with null. */
export interface Reply {
  readonly output?: Json;
  readonly value?: Value;
  readonly error?: Partial<StepError> & { readonly code: string };
  readonly afterMs?: number;
  readonly never?: true;
  readonly lost?: true;
  /** A child that does not end when it is told to. */
  readonly deaf?: true;
}
export type Script = Reply | readonly Reply[] | ((call: Call) => Reply);
export interface Call {
  readonly stepId: string;
  readonly iterationPath: string;
  readonly attempt: number;
  readonly input: Json;
  readonly at: number;
  readonly nth: number;
}
export interface Row {
  readonly stepId: string;
  readonly iterationPath: string;
  readonly attempt: number;
  status: string;
  stepType: string;
  output: Value | null;
  error: StepError | null;
  choice: Json;
  seeded: boolean;
}

export interface Options {
  readonly variables?: { readonly [name: string]: Json };
  readonly values?: { readonly [name: string]: Value };
  readonly script?: { readonly [stepId: string]: Script };
  readonly seeds?: readonly Seed[];
  /** JSON there and back after every input. */
  readonly roundTrip?: boolean;
  /** Stored values by ref id. */
  readonly stored?: { readonly [ref: string]: Json };
  readonly depth?: number;
  /** Replies of steps without a script. */
  readonly world?: (call: Call) => Reply;
  /** Picks among the inputs due at one instant; first come first served without it. */
  readonly pick?: (count: number) => number;
  /** What models say and their tools give; without it a model replies at once with the step's scripted output. */
  readonly agent?: AgentScript;
}

/** With `light`, the steps of `http:request` may run in segments. */
export const planOf = (definition: { readonly [key: string]: unknown }, { light = false } = {}): Plan => {
  const lightTools = new Set(light ? ['http:request'] : []);
  const { plan, problems } = compileDefinition({ name: 'test', ...definition }, { lightTools });
  if (plan === null) throw new Error(`The test's definition has problems: ${JSON.stringify(problems)}`);
  return plan;
};

export type StepCommand = Extract<ActivityCommand, { readonly scope: object; readonly stepType: string }>;

interface Due {
  readonly at: number;
  readonly order: number;
  readonly input: Input;
  readonly before?: () => void;
}
/** A segment's activity at work. */
interface RunningSegment {
  readonly id: string;
  machine: SegmentMachine;
  readonly inputs: SegmentInput[];
  readonly late: LateAnswer[];
  isAborted: boolean;
}
type Happening = Input extends infer I ? (I extends Input ? Omit<I, 'at'> : never) : never;

export class Driver {
  state: EngineState;
  nowMs = START_MS;
  outcome: ExecutionOutcome | undefined;
  readonly events: EngineEvent[] = [];
  readonly commands: Command[] = [];
  readonly calls: Call[] = [];
  readonly rows = new Map<string, Row>();
  readonly stored = new Map<string, Value>();
  readonly gates = new Map<string, GateOutcome & { readonly instance: StepInstance }>();
  readonly childCancels: string[] = [];
  readonly fed: Input[] = [];
  private due: Due[] = [];
  private order = 0;
  private readonly open = new Map<string, Command>();
  private more = false;

  constructor(
    readonly plan: Plan,
    private readonly options: Options = {},
  ) {
    const variables = Object.fromEntries(Object.entries(options.variables ?? {}).map(([name, v]) => [name, { v }]));
    for (const [ref, v] of Object.entries(options.stored ?? {})) this.stored.set(ref, { v });
    this.state = initialState({ ...startOf(plan, options), variables: { ...variables, ...options.values } });
    this.at(START_MS, { kind: 'start' });
  }

  /** Something from outside, at an instant given as ms after the start. */
  later(afterMs: number, happening: Happening): this {
    this.at(START_MS + afterMs, happening);
    return this;
  }

  event(afterMs: number, event: string, payload: Json, id = `evt_${afterMs}_${this.order}`): this {
    return this.later(afterMs, { kind: 'event', id, event, payload: { v: payload } });
  }

  cancel(afterMs: number): this {
    return this.later(afterMs, { kind: 'cancel', reason: null, by: 'ana' });
  }

  /** Runs until nothing is due. */
  run(limit = 50_000): this {
    for (let n = 0; n < limit; n += 1) if (!this.step()) return this;
    throw new Error(`Not at rest after ${limit} inputs`);
  }

  /** Runs what is due up to an instant. */
  runUntil(afterMs: number): this {
    const end = START_MS + afterMs;
    while (this.more || this.due.some(({ at }) => at <= end)) this.step();
    this.nowMs = end;
    return this;
  }

  step(): boolean {
    if (this.more) {
      this.feed({ kind: 'continue', at: this.nowMs });
      return true;
    }
    const first = Math.min(...this.due.map(({ at }) => at));
    const now = this.due.filter(({ at }) => at === first).toSorted((a, b) => a.order - b.order);
    const next = now[this.options.pick?.(now.length) ?? 0];
    if (next === undefined) return false;
    this.due = this.due.filter((one) => one !== next);
    this.nowMs = Math.max(this.nowMs, next.at);
    next.before?.();
    this.feed(next.input);
    return true;
  }

  /** Whether the engine took a cancel before it finished. */
  cancelCame = false;

  get isCut(): boolean {
    return this.more;
  }

  /** An input of earlier once more: it must order and tell nothing. */
  repeat(input: Input): void {
    const { state, commands, events } = advance(this.plan, this.state, { ...input, at: this.nowMs });
    this.state = state;
    if (commands.length + events.length > 0)
      throw new Error(`A repeated input had an effect: ${JSON.stringify([input, commands, events])}`);
  }

  feed(input: Input): void {
    if (input.kind === 'cancel' && this.outcome === undefined) this.cancelCame = true;
    this.fed.push(input);
    if (input.kind === 'answered') this.agents.answered(input.result, this.open.get(input.id) as ActivityCommand | undefined);
    if (input.kind === 'answered' || input.kind === 'child_started') this.open.delete(input.id);
    if (input.kind === 'answered') this.settleNow(input.id);
    if (input.kind === 'answered' && this.inner.has(input.id)) return this.answerInner(input);
    const result = advance(this.plan, this.state, input);
    this.state = this.options.roundTrip === true ? (JSON.parse(JSON.stringify(result.state)) as EngineState) : result.state;
    this.more = result.more;
    this.checkFibers();
    for (const event of result.events) this.record(event);
    for (const command of result.commands) this.carryOut(command);
  }

  /** A fiber that neither waits for something nor is about to go on would never go on. */
  private checkFibers(): void {
    const { fibers, ready, parked, finished } = this.state;
    if (finished) return;
    const forgotten = Object.values(fibers).find(({ id, wait }) => wait === null && !ready.includes(id) && !parked.includes(id));
    if (forgotten !== undefined) throw new Error(`Fiber ${forgotten.id} waits for nothing: ${JSON.stringify(forgotten)}`);
  }

  /** A person decides a gate of a step; the row takes the first decision only. */
  decide(afterMs: number, stepId: string, status: GateStatus, fields: Partial<GateOutcome> = {}): this {
    this.at(START_MS + afterMs, { kind: 'continue' }, () => {
      const gate = [...this.gates.values()].find((one) => one.instance.stepId === stepId && one.status === 'pending');
      if (gate === undefined) return;
      const settled = { ...gate, status, decidedBy: ['ana'], decidedAt: new Date(this.nowMs).toISOString(), ...fields };
      this.gates.set(gate.approvalId, settled);
      this.at(this.nowMs, { kind: 'gate', gate: settled });
    });
    return this;
  }

  endChild(
    afterMs: number,
    executionId: string,
    status: 'completed' | 'failed' | 'cancelled',
    output: Json = null,
    error: StepError | null = null,
  ): this {
    return this.later(afterMs, { kind: 'child_ended', executionId, outcome: { status, output: { v: output }, error } });
  }

  get output(): Json {
    return this.outcome === undefined ? null : toDisplay(this.outcome.output);
  }

  row(stepId: string, iterationPath = ''): Row | undefined {
    return [...this.rows.values()].findLast((row) => row.stepId === stepId && row.iterationPath === iterationPath);
  }

  rowsOf(stepId: string): Row[] {
    return [...this.rows.values()].filter((row) => row.stepId === stepId);
  }

  kinds(stepId?: string): string[] {
    return this.events.filter(({ instance }) => stepId === undefined || instance?.stepId === stepId).map(({ kind }) => kind);
  }

  callsOf(stepId: string): Call[] {
    return this.calls.filter((call) => call.stepId === stepId);
  }

  private at(at: number, happening: Happening, before?: () => void): void {
    const due: Due = { at: Math.max(at, this.nowMs), order: this.order, input: { ...happening, at: Math.max(at, this.nowMs) } };
    this.order += 1;
    this.due.push(before === undefined ? due : { ...due, before });
  }

  private answer(id: string, result: ActivityResult, afterMs = 0): void {
    this.at(this.nowMs + afterMs, { kind: 'answered', id, result });
  }

  private carryOut(command: Command): void {
    if (this.outcome !== undefined) throw new Error(`A command behind finish: ${JSON.stringify(command)}`);
    this.commands.push(command);
    switch (command.kind) {
      case 'activity':
        if (this.open.has(command.id)) throw new Error(`Activity ${command.id} ordered twice`);
        this.open.set(command.id, command);
        return this.doActivity(command);
      case 'cancel_activity':
        return this.cancelActivity(command.id);
      case 'timer':
        if (this.due.some(({ input }) => input.kind === 'timer' && input.id === command.id))
          throw new Error(`Timer ${command.id} armed twice`);
        return this.at(command.at, { kind: 'timer', id: command.id });
      case 'cancel_timer':
        this.due = this.due.filter(({ input }) => !(input.kind === 'timer' && input.id === command.id));
        return undefined;
      case 'start_child':
        this.open.set(command.id, command);
        this.at(this.nowMs, { kind: 'child_started', id: command.id });
        return this.scriptChild(command.executionId, command.instance.stepId);
      case 'cancel_child':
        this.childCancels.push(command.executionId);
        if (this.deaf.has(command.executionId)) return undefined;
        this.at(this.nowMs + 1, {
          kind: 'child_ended',
          executionId: command.executionId,
          outcome: { status: 'cancelled', output: { v: null }, error: null },
        });
        return undefined;
      case 'finish':
        if (this.open.size > 0) throw new Error(`Finished with ${[...this.open.keys()].join(', ')} in flight`);
        this.outcome = command.outcome;
        return undefined;
    }
  }

  private doActivity(command: ActivityCommand): void {
    switch (command.name) {
      case 'tool':
      case 'bash':
      case 'notify':
      case 'agent_prompt_v1':
        return this.doStep(command);
      case 'agent_open':
      case 'agent_turn':
      case 'agent_tool':
      case 'open_call_gate':
      case 'agent_close':
        return this.agents.take(command);
      case 'open_gate': {
        const approvalId = `apr_${command.instance.iterationPath}/${command.instance.stepId}#${command.instance.attempt}`;
        const gate: GateOutcome = { approvalId, status: 'pending', decidedBy: [], decidedAt: null, reason: null, answer: { v: null } };
        this.gates.set(approvalId, { ...gate, instance: command.instance });
        this.setRow(command.instance, 'approval', { status: 'waiting_approval' });
        return this.answer(command.id, { of: 'gate', gate });
      }
      case 'expire_gate': {
        const gate = this.gates.get(command.approvalId);
        if (gate === undefined) throw new Error(`No gate ${command.approvalId}`);
        const settled = gate.status === 'pending' ? { ...gate, status: command.to, decidedAt: new Date(this.nowMs).toISOString() } : gate;
        this.gates.set(command.approvalId, settled);
        return this.answer(command.id, { of: 'gate', gate: settled });
      }
      case 'prepare_child':
        return this.answer(command.id, { of: 'child', executionId: `exe_${command.instance.stepId}_${this.order}`, at: this.nowMs });
      case 'evaluate':
        return this.answer(command.id, this.evaluate(command));
      case 'segment':
        return command.recover === true ? this.recoverSegment(command.id, command.segment) : this.runSegment(command.id, command.segment);
      case 'store':
        return this.answer(command.id, { of: 'values', values: command.values.map((value) => this.keep(value)) });
      case 'recover':
        return this.recoverStep(command);
    }
  }

  /** The row has the last word: an end that was recorded before its answer was lost stands. */
  private recoverStep({ id, instance, stepType, settle }: Extract<ActivityCommand, { name: 'recover' }>): void {
    const row = this.rows.get(keyOf(instance));
    if (row?.status === 'cancelled') return this.answer(id, { of: 'step', answer: { ended: 'cancelled', at: this.nowMs } });
    if (row?.status === 'completed')
      return this.answer(id, { of: 'step', answer: { ended: 'completed', at: this.nowMs, output: row.output ?? { v: null } } });
    if (row?.status === 'failed' && row.error !== null)
      return this.answer(id, { of: 'step', answer: { ended: 'failed', at: this.nowMs, error: row.error } });
    this.settleRow(instance, stepType, settle);
    return this.answer(id, { of: 'step', answer: settle });
  }

  /** Segments at work, by name, and whose each call is. */
  readonly segments = new Map<string, RunningSegment>();
  private readonly inner = new Map<string, RunningSegment>();

  private runSegment(id: string, name: string): void {
    const given = this.state.segments?.[name]?.given;
    if (given === undefined) throw new Error(`No segment ${name}`);
    const machine = new SegmentMachine(this.plan, JSON.parse(JSON.stringify(given)) as EngineState);
    const segment: RunningSegment = { id, machine, inputs: [], late: [], isAborted: false };
    this.segments.set(name, segment);
    this.carryOutInner(segment, machine.begin());
  }

  private carryOutInner(segment: RunningSegment, { calls, cancels, events }: Moved): void {
    for (const event of events) this.record(event);
    for (const call of calls) {
      if (this.open.has(call.id)) throw new Error(`Activity ${call.id} ordered twice`);
      this.commands.push(call);
      this.open.set(call.id, call);
      this.inner.set(call.id, segment);
      this.doActivity(call);
    }
    for (const id of cancels) this.cancelActivity(id);
    this.endSegmentIfOver(segment);
  }

  private answerInner(input: Extract<Input, { kind: 'answered' }>): void {
    const segment = this.inner.get(input.id) as RunningSegment;
    this.inner.delete(input.id);
    if (input.result.of === 'lost') return this.loseSegment(segment);
    if (segment.isAborted) segment.late.push(input);
    else {
      segment.inputs.push(input);
      this.carryOutInner(segment, segment.machine.feed(input));
    }
    this.endSegmentIfOver(segment);
  }

  private endSegmentIfOver(segment: RunningSegment): void {
    const { id, machine, inputs, late, isAborted } = segment;
    const isOver = isAborted ? machine.inFlight().every((one) => late.some((answer) => answer.id === one)) : machine.isOver();
    if (!isOver || !this.open.has(id) || this.due.some(({ input }) => input.kind === 'answered' && input.id === id)) return;
    this.answer(id, { of: 'segment', inputs, hash: machine.hash(), late });
  }

  /** Its worker is gone: nobody hears of its calls any more. */
  private loseSegment(segment: RunningSegment): void {
    this.forgetInner(segment);
    this.deaf.add(segment.id);
    this.answer(segment.id, { of: 'lost', timedOut: false });
  }

  private forgetInner(segment: RunningSegment): void {
    for (const [id, owner] of this.inner) {
      if (owner !== segment) continue;
      this.inner.delete(id);
      this.open.delete(id);
      this.endings.delete(id);
      this.due = this.due.filter(({ input }) => !(input.kind === 'answered' && input.id === id));
    }
    for (const id of segment.machine.inFlight()) this.open.delete(id);
  }

  private recoverSegment(id: string, name: string): void {
    const { machine, inputs } = this.segments.get(name) as RunningSegment;
    this.answer(id, { of: 'segment', inputs, hash: machine.hash(), late: [], lost: true });
  }

  private abortSegment(segment: RunningSegment): void {
    segment.isAborted = true;
    for (const id of segment.machine.inFlight()) if (this.inner.has(id)) this.cancelActivity(id);
    this.endSegmentIfOver(segment);
  }

  /** A pause or hand-over: the segments start nothing more. */
  haltSegments(): this {
    for (const segment of this.segments.values()) {
      if (!this.open.has(segment.id) || segment.isAborted || this.deaf.has(segment.id)) continue;
      const input: SegmentInput = { kind: 'halt', at: this.nowMs };
      segment.inputs.push(input);
      this.carryOutInner(segment, segment.machine.feed(input));
    }
    return this;
  }

  /** Their workers die and others take them up: each comes from its journal to where it was. */
  crashSegments(): this {
    for (const [name, segment] of this.segments) {
      const given = this.state.segments?.[name]?.given;
      if (given === undefined || !this.open.has(segment.id)) continue;
      const { machine: dead, inputs } = segment;
      segment.machine = new SegmentMachine(this.plan, JSON.parse(JSON.stringify(given)) as EngineState);
      segment.machine.begin();
      for (const input of JSON.parse(JSON.stringify(inputs)) as SegmentInput[]) segment.machine.feed(input);
      if (segment.machine.hash() !== dead.hash() || segment.machine.inFlight().join() !== dead.inFlight().join())
        throw new Error(`Segment ${name} comes to another place than the attempt before: ${segment.machine.inFlight().join()}`);
    }
    return this;
  }

  /** What stands around agents. */
  readonly agents = new AgentWorld(
    {
      stepCall: (command) => this.beginStep(command),
      answer: (id, result, afterMs) => this.answer(id, result, afterMs),
      lose: (id) => {
        this.deaf.add(id);
        this.answer(id, { of: 'lost', timedOut: false });
      },
      openGate: (instance, approvalId) => {
        const known = this.gates.get(approvalId);
        const gate = known ?? {
          approvalId,
          status: 'pending',
          decidedBy: [],
          decidedAt: null,
          reason: null,
          answer: { v: null },
          instance,
        };
        this.gates.set(approvalId, gate);
        return gate;
      },
      script: () => this.options.agent,
      nowMs: () => this.nowMs,
    },
    START_MS,
  );

  /** Its input and what the script says, noted as the step's activity would. */
  private beginStep(command: StepCommand): { readonly call: Call; readonly reply: Reply } | { readonly error: StepError } {
    const { instance, stepType } = command;
    const step = this.stepOf(instance.stepId);
    const earlier = this.callsOf(instance.stepId).length;
    let input: Json;
    try {
      input = toDisplay(this.withValues((reader) => renderStepInput(step, reader, 'full'), command.scope, command.nowMs));
    } catch (thrown) {
      return { error: { code: 'expression_error', message: String(thrown), retryable: false } };
    }
    const call: Call = { ...instance, input, at: this.nowMs - START_MS, nth: earlier };
    this.calls.push(call);
    this.setRow(instance, stepType, { status: 'running' });
    this.noteActivityEvent('step.started', instance, stepType);
    const script = this.options.script?.[instance.stepId] ?? this.options.world ?? {};
    const reply =
      typeof script === 'function'
        ? script(call)
        : Array.isArray(script)
          ? ((script as Reply[])[Math.min(earlier, script.length - 1)] as Reply)
          : (script as Reply);
    return { call, reply };
  }

  private doStep(
    command: Extract<ActivityCommand, { name: 'agent_prompt_v1' }> | Extract<ActivityCommand, { name: 'tool' | 'bash' | 'notify' }>,
  ): void {
    const { instance, stepType } = command;
    const begun = this.beginStep(command);
    if ('error' in begun) return this.finishCall(command.id, instance, stepType, { ended: 'failed', at: this.nowMs, error: begun.error });
    const { reply } = begun;
    if (reply.never === true) return undefined;
    if (reply.lost === true) {
      this.deaf.add(command.id);
      return this.answer(command.id, { of: 'lost', timedOut: false }, reply.afterMs);
    }
    const timedOut = command.timeoutMs !== null && (reply.afterMs ?? 0) > command.timeoutMs;
    const answer = timedOut ? failedAnswer({ code: 'step_timeout', retryable: true }) : answerOf(reply);
    return this.finishCall(command.id, instance, stepType, answer, timedOut ? (command.timeoutMs ?? 0) : reply.afterMs);
  }

  private finishCall(id: string, instance: StepInstance, stepType: string, answer: StepAnswer, afterMs = 0): void {
    const at = this.nowMs + afterMs;
    this.at(at, { kind: 'answered', id, result: { of: 'step', answer: { ...answer, at } } });
    this.endings.set(id, () => this.settleRow(instance, stepType, answer));
  }

  /** Calls whose worker is gone, and children: they do not hear a cancel. */
  private readonly deaf = new Set<string>();

  private readonly endings = new Map<string, () => void>();

  private settleNow(id: string): void {
    this.endings.get(id)?.();
    this.endings.delete(id);
  }

  private cancelActivity(id: string): void {
    const command = this.open.get(id);
    if (command?.kind !== 'activity' || !('instance' in command) || this.deaf.has(id)) return undefined;
    const segment = command.name === 'segment' ? this.segments.get(command.segment) : undefined;
    if (segment !== undefined && command.name === 'segment' && command.recover !== true) return this.abortSegment(segment);
    const answered = this.due.find(({ input }) => input.kind === 'answered' && input.id === id);
    // An answer that is already on its way stands.
    if (answered !== undefined && answered.at <= this.nowMs) return undefined;
    this.due = this.due.filter((one) => one !== answered);
    this.endings.delete(id);
    if (command.name === 'evaluate')
      return this.answer(id, { of: 'fault', error: { code: 'internal_error', message: 'cancelled', retryable: false } });
    const agentAnswer = this.agents.cancelled(command);
    if (agentAnswer !== undefined) return this.answer(id, agentAnswer);
    const answer: StepAnswer = { ended: 'cancelled', at: this.nowMs };
    this.settleRow(command.instance, 'stepType' in command ? command.stepType : '', answer);
    return this.answer(id, { of: 'step', answer });
  }

  private scriptChild(executionId: string, stepId: string): void {
    const script = this.options.script?.[stepId] ?? this.options.world;
    if (script === undefined || Array.isArray(script)) return;
    const call: Call = { stepId, iterationPath: executionId, attempt: 1, input: null, at: this.nowMs - START_MS, nth: 0 };
    const reply = typeof script === 'function' ? script(call) : (script as Reply);
    const error = reply.error === undefined ? null : { message: reply.error.code, retryable: false, ...reply.error };
    const outcome = { status: error === null ? 'completed' : 'failed', output: { v: reply.output ?? null }, error } as const;
    if (reply.deaf === true) this.deaf.add(executionId);
    else if (reply.never !== true) this.at(this.nowMs + (reply.afterMs ?? 0), { kind: 'child_ended', executionId, outcome });
  }

  private evaluate({ site, scope, nowMs }: Extract<ActivityCommand, { name: 'evaluate' }>): ActivityResult {
    const source = sourceAt(this.plan, site);
    try {
      if (source.kind === 'items') return { of: 'value', value: this.chunk(scope['loop']?.['list'] ?? { v: null }, source.from) };
      if (source.kind === 'results')
        return { of: 'value', value: this.keepLarge(listValue(this.listsOf(scope['loop']?.['results'] ?? { v: [] }))) };
      const value = this.withValues(
        (reader) =>
          source.kind === 'template' ? render(source.source, reader, 'full') : (evaluate(source.source, reader, 'full') ?? { v: null }),
        scope,
        nowMs,
      );
      return { of: 'value', value: this.keepLarge(value) };
    } catch (thrown) {
      return {
        of: 'fault',
        error: { code: (thrown as { code?: string }).code ?? 'expression_error', message: String(thrown), retryable: false },
      };
    }
  }

  /** What the lists of a list hold. */
  private listsOf(lists: Value): Value[] {
    return itemsOf(lists).flatMap((list) => itemsOf(this.opened(list)));
  }

  private opened(value: Value): Value {
    const ref = value.refs?.[''];
    return ref === undefined ? value : (this.stored.get(ref.ref) ?? { v: null });
  }

  private chunk(list: Value, from: number): Value {
    const chunk = chunkOf(this.opened(list), from);
    if (chunk === undefined) throw Object.assign(new Error('no list'), { code: 'loop_over_not_array' });
    return chunkAnswer(
      chunk.length,
      chunk.items.map((item) => this.keepLarge(item)),
    );
  }

  private withValues<T>(
    work: (reader: ScopeReader) => T,
    scope: { readonly [root: string]: { readonly [name: string]: Value } },
    nowMs: number,
  ): T {
    try {
      return work(sliceReader(scope, nowMs, { resolve: (ref: Ref) => this.stored.get(ref.ref), secret: (name) => `secret-${name}` }));
    } catch (thrown) {
      if (thrown instanceof NeedsValues) throw new Error(thrown.message, { cause: thrown });
      throw thrown;
    }
  }

  private keepLarge(value: Value): Value {
    return isLarge(value) ? this.keep(value) : value;
  }

  keep(value: Value): Value {
    const ref = `val_${this.stored.size}`;
    this.stored.set(ref, value);
    return wholeRef({ ref, bytes: JSON.stringify(toDisplay(value)).length, sha256: 'x', preview: '' });
  }

  private stepOf(stepId: string) {
    const found = findStep(this.plan.steps, stepId);
    if (found === undefined) throw new Error(`No step ${stepId}`);
    return found as never;
  }

  // ---- rows, as the store would project them ----

  private record(event: EngineEvent): void {
    this.events.push(event);
    if (event.instance === null || event.stepType === undefined) return;
    const { record, instance, stepType } = event;
    const status = {
      'step.started': 'running',
      'step.completed': 'completed',
      'step.failed': 'failed',
      'step.skipped': 'skipped',
      'step.cancelled': 'cancelled',
      'step.waiting': 'waiting_event',
    }[event.kind as string];
    if (status === undefined) return;
    const before = this.rows.get(keyOf(instance));
    if (before !== undefined && ['completed', 'failed', 'skipped', 'cancelled'].includes(before.status))
      throw new Error(`Row ${keyOf(instance)} ended twice: ${before.status}, then ${event.kind}`);
    this.setRow(instance, stepType, {
      status,
      ...(record?.output === undefined ? {} : { output: record.output }),
      ...(record?.error === undefined ? {} : { error: record.error }),
      ...(record?.choice === undefined ? {} : { choice: record.choice }),
      seeded: record?.seeded === true,
    });
  }

  private noteActivityEvent(
    kind: 'step.started' | 'step.completed' | 'step.failed' | 'step.cancelled',
    instance: StepInstance,
    stepType: string,
  ): void {
    this.events.push({ kind, ordinal: '0', at: this.nowMs, instance, stepType: stepType as never, data: {} });
  }

  private settleRow(instance: StepInstance, stepType: string, answer: StepAnswer): void {
    const before = this.rows.get(keyOf(instance));
    if (before !== undefined && ['completed', 'failed', 'cancelled'].includes(before.status))
      throw new Error(`Row ${keyOf(instance)} settled twice`);
    this.noteActivityEvent(`step.${answer.ended}`, instance, stepType);
    this.setRow(instance, stepType, {
      status: answer.ended,
      ...(answer.ended === 'completed' ? { output: answer.output } : {}),
      ...(answer.ended === 'failed' ? { error: answer.error } : {}),
    });
  }

  private setRow(instance: StepInstance, stepType: string, fields: Partial<Row>): void {
    const before = this.rows.get(keyOf(instance)) ?? {
      ...instance,
      status: 'pending',
      stepType,
      output: null,
      error: null,
      choice: null,
      seeded: false,
    };
    this.rows.set(keyOf(instance), { ...before, ...fields });
  }
}

export const keyOf = ({ stepId, iterationPath, attempt }: StepInstance): string => `${iterationPath}|${stepId}#${attempt}`;

interface Nested {
  readonly id: string;
}

function findStep(block: readonly Nested[], id: string): Nested | undefined {
  const seen: unknown[] = [...block];
  while (seen.length > 0) {
    const one = seen.pop();
    if (typeof one !== 'object' || one === null) continue;
    if ('id' in one && one.id === id && 'type' in one) return one as Nested;
    seen.push(...Object.values(one));
  }
  return undefined;
}

function answerOf(reply: Reply): StepAnswer {
  if (reply.error !== undefined) return failedAnswer(reply.error);
  return { ended: 'completed', at: 0, output: reply.value ?? { v: reply.output ?? null } };
}

const failedAnswer = (error: Partial<StepError> & { readonly code: string }): StepAnswer => ({
  ended: 'failed',
  at: 0,
  error: { message: error.code, retryable: false, ...error },
});

export function startOf(plan: Plan, options: Options = {}): StartData {
  const execution = {
    id: 'exe_1',
    ownerId: 'usr_1',
    workflowId: 'wfl_1',
    workflowName: plan.name,
    version: plan.version,
    hash: plan.hash,
    sessionId: 'ses_1',
    triggerType: 'manual',
    depth: options.depth ?? 0,
    parent: null,
  };
  return {
    engineVersion: ENGINE_VERSION,
    plan,
    execution,
    variables: {},
    ...(options.seeds === undefined ? {} : { seeds: options.seeds }),
  };
}

const itemsOf = (list: Value): Value[] => (Array.isArray(list.v) ? list.v.map((_item, index) => itemAt(list, index)) : []);

/** Compiles, runs to rest. */
export const drive = (definition: { readonly [key: string]: unknown }, options: Options = {}): Driver =>
  new Driver(planOf(definition), { roundTrip: true, ...options }).run();
