/** What answers the engine in a dry run: everything at once, by mocks, on a clock that jumps to the next timer. */
import {
  evaluate,
  ExpressionError,
  formatInstant,
  type Json,
  NULL_VALUE,
  type Plan,
  render,
  sliceReader,
  toDisplay,
  type Value,
} from '../../definition/runtime.js';
import { NO_USAGE } from '../agent/budget.js';
import type { AgentTurn } from '../agent/types.js';
import { stepError } from '../faults.js';
import { chunkAnswer, chunkOf } from '../list-chunk.js';
import { stepOf } from '../plan-index.js';
import { sourceAt } from '../sites.js';
import { renderStepInput } from '../step-input.js';
import type {
  ActivityCommand,
  ActivityResult,
  Command,
  EngineEvent,
  GateOutcome,
  Input,
  ScopeSlice,
  StepAnswer,
  StepError,
  StepInstance,
  Warning,
} from '../types.js';
import type { DryLog } from './dry-log.js';
import type { Mock, MockBook } from './mocks.js';

export type Happening = Input extends infer I ? (I extends Input ? Omit<I, 'at'> : never) : never;
type Named<N extends ActivityCommand['name']> = Extract<ActivityCommand, { readonly name: N }>;
interface Due {
  readonly at: number;
  readonly order: number;
  readonly happening: Happening;
}

const UNMOCKED: Warning = { code: 'unmocked', message: 'This step has no mock: its output is null' };

export class DryWorld {
  private due: Due[] = [];
  private order = 0;

  constructor(
    private readonly plan: Plan,
    private readonly mocks: MockBook,
    private readonly log: DryLog,
    public nowMs: number,
  ) {}

  /** The next thing that happens; the clock jumps there. */
  next(): Happening {
    const first = this.due.reduce<Due | undefined>((best, one) => (best === undefined || one.at < best.at ? one : best), undefined);
    if (first === undefined) throw new Error('A dry run came to rest with nothing to wait for');
    this.due = this.due.filter((one) => one !== first);
    this.nowMs = Math.max(this.nowMs, first.at);
    return first.happening;
  }

  soon(happening: Happening, at = this.nowMs): void {
    this.due.push({ at, order: (this.order += 1), happening });
  }

  carryOut(command: Exclude<Command, { kind: 'finish' }>): void {
    switch (command.kind) {
      case 'activity':
        return this.soon({ kind: 'answered', id: command.id, result: this.answer(command) });
      case 'cancel_activity':
        // Answers are recorded as they are given: the one on its way stands.
        return undefined;
      case 'timer':
        return this.soon({ kind: 'timer', id: command.id }, command.at);
      case 'cancel_timer':
        this.due = this.due.filter(({ happening }) => !(happening.kind === 'timer' && happening.id === command.id));
        return undefined;
      case 'start_child':
        this.soon({ kind: 'child_started', id: command.id });
        return this.endChild(command.executionId, command.instance);
      case 'cancel_child':
        return this.soon({
          kind: 'child_ended',
          executionId: command.executionId,
          outcome: { status: 'cancelled', output: NULL_VALUE, error: null },
        });
    }
  }

  /** A step that has begun to wait for an event gets one, unless its mock says that none comes. */
  notice({ kind, instance, data }: EngineEvent): void {
    if (kind !== 'step.waiting' || data['for'] !== 'event' || instance === null) return;
    const mock = this.mockOf(instance);
    if (mock !== undefined && 'error' in mock) return;
    if (mock === undefined) this.log.warn(instance, UNMOCKED);
    this.soon({
      kind: 'event',
      id: `dry_${this.order}`,
      event: typeof data['event'] === 'string' ? data['event'] : '',
      payload: { v: mock?.output ?? null },
    });
  }

  private answer(command: ActivityCommand): ActivityResult {
    switch (command.name) {
      case 'tool':
      case 'bash':
      case 'notify':
      case 'agent_prompt_v1':
        return { of: 'step', answer: this.runStep(command) };
      case 'agent_open':
        return this.openAgent(command);
      case 'agent_turn':
        return { of: 'agent_turn', turn: this.agentReply(command.instance) };
      case 'agent_close':
        return { of: 'agent_close' };
      case 'agent_tool':
      case 'open_call_gate':
        throw new Error('A mocked agent calls no tools');
      case 'open_gate':
        return this.openGate(command);
      case 'expire_gate':
        return { of: 'gate', gate: gateOf(command.instance, { status: command.to, decidedAt: formatInstant(this.nowMs) }) };
      case 'prepare_child':
        return { of: 'child', executionId: `exe_dry_${(this.order += 1)}`, at: this.nowMs };
      case 'evaluate':
        return this.evaluate(command);
      case 'store':
        return { of: 'values', values: command.values };
      case 'recover':
        return { of: 'step', answer: command.settle };
      case 'segment':
        throw new Error('A dry run has every step as a call of its own');
    }
  }

  private openAgent({ instance, scope, nowMs }: Named<'agent_open'>): ActivityResult {
    const input = this.inputOf(instance, scope, nowMs);
    if ('error' in input) return { of: 'step', answer: { ended: 'failed', at: nowMs, error: input.error } };
    this.log.started(instance, nowMs, input.json);
    for (const warning of input.warnings) this.log.warn(instance, warning);
    return { of: 'agent_open', at: nowMs, models: ['dry-run'], characters: 0 };
  }

  private agentReply(instance: StepInstance): AgentTurn {
    const mock = this.mockOf(instance);
    if (mock === undefined) this.log.warn(instance, UNMOCKED);
    const done = { at: this.nowMs, turnIds: [], usage: NO_USAGE };
    if (mock !== undefined && 'error' in mock) return { ...done, got: 'fault', error: errorOf(mock, instance), failover: false };
    return { ...done, got: 'reply', turnId: '', output: { v: mock?.output ?? null } };
  }

  private runStep({ instance, scope, nowMs }: Pick<Named<'agent_prompt_v1'>, 'instance' | 'scope' | 'nowMs'>): StepAnswer {
    const input = this.inputOf(instance, scope, nowMs);
    if ('error' in input) return this.end(instance, { ended: 'failed', at: nowMs, error: input.error }, []);
    this.log.started(instance, nowMs, input.json);
    const mock = this.mockOf(instance);
    const warnings = [...input.warnings, ...(mock === undefined ? [UNMOCKED] : [])];
    if (mock !== undefined && 'error' in mock)
      return this.end(instance, { ended: 'failed', at: nowMs, error: errorOf(mock, instance) }, warnings);
    return this.end(instance, { ended: 'completed', at: nowMs, output: { v: mock?.output ?? null } }, warnings);
  }

  private end(instance: StepInstance, answer: StepAnswer, warnings: readonly Warning[]): StepAnswer {
    const output = answer.ended === 'completed' ? { output: answer.output } : {};
    const error = answer.ended === 'failed' ? { error: answer.error } : {};
    this.log.ended(instance, this.nowMs, { status: answer.ended, ...output, ...error, warnings });
    return answer;
  }

  private openGate({ instance, scope, nowMs }: Named<'open_gate'>): ActivityResult {
    const input = this.inputOf(instance, scope, nowMs);
    if ('error' in input) return { of: 'step', answer: this.end(instance, { ended: 'failed', at: nowMs, error: input.error }, []) };
    this.log.started(instance, nowMs, input.json);
    const mock = this.mockOf(instance);
    const decidedAt = formatInstant(nowMs);
    if (mock !== undefined && 'error' in mock) {
      const status = mock.error.code === 'approval_denied' ? 'denied' : 'expired';
      return { of: 'gate', gate: gateOf(instance, { status, decidedAt, reason: mock.error.message ?? null }) };
    }
    const decision = asObject(mock?.output);
    const status = decision['decision'] === 'denied' || decision['decision'] === 'deny' ? 'denied' : 'approved';
    const reason = typeof decision['reason'] === 'string' ? decision['reason'] : null;
    return {
      of: 'gate',
      gate: gateOf(instance, { status, decidedAt, decidedBy: ['dry-run'], reason, answer: { v: decision['answer'] ?? null } }),
    };
  }

  private endChild(executionId: string, instance: StepInstance): void {
    const mock = this.mockOf(instance);
    if (mock === undefined) this.log.warn(instance, UNMOCKED);
    const error = mock !== undefined && 'error' in mock ? errorOf(mock, instance) : null;
    const output: Value = mock !== undefined && 'output' in mock ? { v: mock.output } : NULL_VALUE;
    this.soon({ kind: 'child_ended', executionId, outcome: { status: error === null ? 'completed' : 'failed', output, error } });
  }

  private mockOf({ stepId }: StepInstance): Mock | undefined {
    return this.mocks.next(stepId);
  }

  private inputOf(
    instance: StepInstance,
    scope: ScopeSlice,
    nowMs: number,
  ): { readonly json: Json; readonly warnings: readonly Warning[] } | { readonly error: StepError } {
    const missing: string[] = [];
    try {
      const value = renderStepInput(stepOf(this.plan, instance.stepId), dryReader(scope, nowMs, missing), 'full');
      return { json: toDisplay(value), warnings: missing.map((path) => ({ code: 'missing_reference', message: `${path} has no value` })) };
    } catch (thrown) {
      return { error: { ...faultOf(thrown), ...instance } };
    }
  }

  private evaluate({ site, scope, nowMs }: Named<'evaluate'>): ActivityResult {
    const source = sourceAt(this.plan, site);
    const reader = dryReader(scope, nowMs, []);
    try {
      switch (source.kind) {
        case 'expression':
          return { of: 'value', value: evaluate(source.source, reader, 'full') ?? NULL_VALUE };
        case 'template':
          return { of: 'value', value: render(source.source, reader, 'full') };
        case 'results':
          return { of: 'value', value: { v: flattened(scope['loop']?.['results']?.v) } };
        case 'items': {
          const chunk = chunkOf(scope['loop']?.['list'] ?? NULL_VALUE, source.from);
          return { of: 'value', value: chunk === undefined ? NULL_VALUE : chunkAnswer(chunk.length, chunk.items) };
        }
      }
    } catch (thrown) {
      return { of: 'fault', error: faultOf(thrown) };
    }
  }
}

function dryReader(scope: ScopeSlice, nowMs: number, missing: string[]) {
  return sliceReader(scope, nowMs, { secret: (name) => `secrets.${name}`, onMissing: (path) => missing.push(path) });
}

function faultOf(thrown: unknown): StepError {
  if (thrown instanceof ExpressionError) return stepError(thrown.code, thrown.message, { details: thrown.details });
  throw thrown;
}

function errorOf(mock: Extract<Mock, { error: unknown }>, instance: StepInstance): StepError {
  const { code, message = code, retryable = false, details } = mock.error;
  return { ...stepError(code, message, { retryable, ...(details === undefined ? {} : { details }) }), ...instance };
}

const flattened = (lists: Json | undefined): Json => (Array.isArray(lists) ? (lists as readonly Json[]).flat() : []);

const asObject = (json: Json | undefined): { readonly [key: string]: Json } =>
  typeof json === 'object' && json !== null && !Array.isArray(json) ? (json as { readonly [key: string]: Json }) : {};

function gateOf(instance: StepInstance, fields: Pick<GateOutcome, 'status' | 'decidedAt'> & Partial<GateOutcome>): GateOutcome {
  return {
    approvalId: `apr_dry_${instance.iterationPath}/${instance.stepId}#${instance.attempt}`,
    decidedBy: [],
    reason: null,
    answer: NULL_VALUE,
    ...fields,
  };
}
