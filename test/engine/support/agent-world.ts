/** The activities of agents for the pure driver: scripted models, tools and gates, and a count of what was asked for. */
import { instanceId } from '../../../src/engine/run.js';
import type { ActivityCommand, ActivityResult, GateOutcome, StepError, StepInstance, TokenUsage } from '../../../src/engine/types.js';
import type { AgentTurn } from '../../../src/engine/agent/types.js';
import type { Json, Value } from '../../../src/definition/runtime.js';
import type { Call, Reply, StepCommand } from './driver.js';

type Named<N extends ActivityCommand['name']> = Extract<ActivityCommand, { readonly name: N }>;
type AgentCommand = Named<'agent_open' | 'agent_turn' | 'agent_tool' | 'open_call_gate' | 'agent_close'>;

/** What a model call comes to. `calls`: ids of tool calls; those beginning with `held` wait for a person, with `refused` are refused at once. */
export interface ModelSays {
  readonly text?: Json;
  readonly value?: Value;
  readonly calls?: readonly string[];
  readonly misfit?: string;
  readonly fault?: Partial<StepError> & { readonly code: string; readonly failover?: boolean };
  readonly tokens?: { readonly input: number; readonly output: number };
  readonly afterMs?: number;
  readonly never?: true;
  readonly lost?: true;
}
export interface ModelCall {
  readonly stepId: string;
  readonly iterationPath: string;
  readonly attempt: number;
  readonly call: number;
  readonly turn: number;
  readonly model: string;
  readonly maxTokens: number;
  readonly thread: string;
  readonly entries: readonly string[];
  readonly misfits: readonly string[];
  readonly attempts: readonly string[];
  /** ms after the start of the run. */
  readonly at: number;
}
export interface AgentScript {
  readonly says: (call: ModelCall) => ModelSays;
  readonly models?: readonly string[];
  /** Of the first request. */
  readonly characters?: number;
  readonly tool?: (callId: string) => { readonly afterMs?: number; readonly never?: true; readonly lost?: true };
}

interface Around {
  stepCall(command: StepCommand): { readonly call: Call; readonly reply: Reply } | { readonly error: StepError };
  answer(id: string, result: ActivityResult, afterMs?: number): void;
  lose(id: string): void;
  openGate(instance: StepInstance, approvalId: string): GateOutcome;
  script(): AgentScript | undefined;
  nowMs(): number;
}

export class AgentWorld {
  readonly modelCalls: ModelCall[] = [];
  readonly toolCalls: { readonly callId: string; readonly queue: string; readonly approvalId: string | null }[] = [];
  readonly closings: { readonly step: string; readonly status: string }[] = [];
  /** Of model calls in flight, by command id: what stopping them costs. */
  private readonly inFlight = new Map<string, TokenUsage>();
  private readonly replies = new Map<string, Reply>();
  private readonly tools = new Set<string>();
  /** Most calls that were in flight at once. */
  mostTools = 0;

  constructor(
    private readonly around: Around,
    private readonly startMs: number,
  ) {}

  take(command: AgentCommand): void {
    switch (command.name) {
      case 'agent_open':
        return this.open(command);
      case 'agent_turn':
        return this.turn(command);
      case 'agent_tool':
        return this.tool(command);
      case 'open_call_gate': {
        const approvalId = `apr_${instanceId(command.instance)}:${command.callId}`;
        return this.around.answer(command.id, { of: 'gate', gate: this.around.openGate(command.instance, approvalId) });
      }
      case 'agent_close':
        this.closings.push({ step: instanceId(command.instance), status: command.status });
        return this.around.answer(command.id, { of: 'agent_close' });
    }
  }

  /** What a cancelled model call or tool answers; undefined: not one of these. */
  cancelled(command: ActivityCommand): ActivityResult | undefined {
    const at = this.around.nowMs();
    if (command.name === 'agent_turn') {
      const usage = this.inFlight.get(command.id) ?? NO_USAGE;
      return { of: 'agent_turn', turn: { got: 'cancelled', at, turnIds: [turnId(command)], usage } };
    }
    if (command.name === 'agent_tool') this.tools.delete(command.callId);
    return command.name === 'agent_tool' ? { of: 'agent_tool', end: { at, ended: 'cancelled', characters: 0 } } : undefined;
  }

  private open(command: Named<'agent_open'>): void {
    const begun = this.around.stepCall(command);
    if ('error' in begun)
      return this.around.answer(command.id, { of: 'step', answer: { ended: 'failed', at: this.around.nowMs(), error: begun.error } });
    this.replies.set(instanceId(command.instance), begun.reply);
    const { models = ['m1'], characters = 0 } = this.around.script() ?? {};
    this.around.answer(command.id, { of: 'agent_open', at: this.around.nowMs(), models, characters });
  }

  private turn(command: Named<'agent_turn'>): void {
    const { instance, call, turn, model, maxTokens, thread, entries, misfits, attempts } = command;
    const asked: ModelCall = {
      ...instance,
      call,
      turn,
      model,
      maxTokens,
      thread,
      entries,
      misfits,
      attempts,
      at: this.around.nowMs() - this.startMs,
    };
    this.modelCalls.push(asked);
    const says = this.around.script()?.says(asked) ?? saysOf(this.replies.get(instanceId(instance)) ?? {});
    const usage = usageOf(says, model);
    this.inFlight.set(command.id, { ...usage, estimated: true });
    if (says.never === true) return;
    if (says.lost === true) return this.around.lose(command.id);
    this.around.answer(command.id, { of: 'agent_turn', turn: turnOf(says, turnId(command), usage, this.around.nowMs()) }, says.afterMs);
  }

  private tool(command: Named<'agent_tool'>): void {
    const { callId, queue, approvalId } = command;
    this.toolCalls.push({ callId, queue, approvalId });
    this.tools.add(callId);
    this.mostTools = Math.max(this.mostTools, this.tools.size);
    const { afterMs, never, lost } = this.around.script()?.tool?.(callId) ?? {};
    if (never === true) return;
    if (lost === true) return this.around.lose(command.id);
    this.around.answer(command.id, { of: 'agent_tool', end: { at: this.around.nowMs(), ended: 'completed', characters: 30 } }, afterMs);
  }

  /** An answer is being fed. */
  answered(result: ActivityResult, command: ActivityCommand | undefined): void {
    if (result.of === 'agent_tool' && command?.name === 'agent_tool') this.tools.delete(command.callId);
  }
}

const NO_USAGE: TokenUsage = { inputTokens: 0, outputTokens: 0, cacheReadTokens: 0, models: [] };

const turnId = ({ instance, call }: Named<'agent_turn'>): string => `trn_${instanceId(instance)}.${call}`;

/** The scripts of other steps' tests: an output or an error. */
function saysOf({ output, value, error, afterMs, never, lost }: Reply): ModelSays {
  return {
    ...(value === undefined ? { text: output ?? null } : { value }),
    ...(error === undefined ? {} : { fault: error }),
    ...(afterMs === undefined ? {} : { afterMs }),
    ...(never === undefined ? {} : { never }),
    ...(lost === undefined ? {} : { lost }),
  };
}

function usageOf({ tokens }: ModelSays, model: string): TokenUsage {
  return { inputTokens: tokens?.input ?? 0, outputTokens: tokens?.output ?? 0, cacheReadTokens: 0, models: [model] };
}

function turnOf(says: ModelSays, id: string, usage: TokenUsage, at: number): AgentTurn {
  const base = { at, turnIds: [id], usage };
  if (says.fault !== undefined) {
    const { failover = false, ...error } = says.fault;
    return { ...base, got: 'fault', failover, error: { message: error.code, retryable: false, ...error } };
  }
  if (says.misfit !== undefined) return { ...base, got: 'misfit', turnId: id, characters: 60, problem: says.misfit };
  if (says.calls !== undefined) {
    const calls = says.calls.map((callId) => ({
      callId,
      queue: callId.includes('shell') ? ('shell' as const) : ('core' as const),
      way: callId.startsWith('held') ? ('hold' as const) : callId.startsWith('refused') ? ('refused' as const) : ('run' as const),
    }));
    return { ...base, got: 'calls', turnId: id, characters: 30, calls };
  }
  return { ...base, got: 'reply', turnId: id, output: says.value ?? { v: says.text ?? null } };
}
