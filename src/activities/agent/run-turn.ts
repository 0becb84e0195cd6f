/**
 * One model call of an agent loop, whoever's loop it is: asked once, whatever its activity's tries. A try that finds the call ended answers
 * with what is recorded; one that finds it cut off gives that turn up, counts what it has cost, and asks again.
 */
import { chargedTo, type AgentCharge } from './agent-charge.js';
import type { Json, Ref } from '../../definition/value.js';
import { privateRef } from '../../definition/private-ref.js';
import { wholeRef } from '../../definition/value.js';
import type { AgentTurn } from '../../engine/agent/types.js';
import type { StepInstance } from '../../engine/types.js';
import type { TurnPlace, TurnRecord } from '../../store/turn-record.js';
import { type AgentScope, type AgentTools, type PlannedCall, toModelResult } from '../../tools/index.js';
import { StepFault } from '../../tools/step-fault.js';
import type { ModelClient, ModelReply } from '../model/model-client.js';
import { isFailover } from '../model/model-fault.js';
import { charactersOfBlock, type ModelBlock, type ModelRequest } from '../model/model-message.js';
import { readStructuredReply } from '../model/structured-output.js';
import { persist } from '../persist.js';
import type { Redactor } from '../redaction.js';
import { redactedError, toStepError, tryAgain } from '../step-error.js';
import type { WorkControl } from '../step-attempt.js';
import type { TurnWriter } from '../turn-writer.js';
import type { ModelCall, Turns } from '../turns.js';
import { repairOf } from './model-messages.js';

export interface TurnParts {
  readonly turns: Turns;
  readonly model: ModelClient;
  readonly tools: AgentTools;
}

export interface TurnJob {
  /** `call`: the model turn; its repetitions have it in common. */
  readonly place: TurnPlace;
  readonly model: string;
  readonly maxTokens: number;
  /** Turn ids of this turn that the loop knows of. */
  readonly attempts: readonly string[];
  readonly scope: AgentScope;
  readonly schema?: Json | undefined;
  /** No other reply is asked for when this one does not fit. */
  readonly isLastReply: boolean;
  /** Names the place of an error; null in a conversation. */
  readonly instance: StepInstance;
  readonly redactor: Redactor;
  readonly putValue: (json: Json) => Promise<Ref>;
  request(): Promise<ModelRequest>;
}

/** What the log tells of the call. */
export interface TurnTold {
  readonly turnId: string | null;
  readonly attempt: number | null;
  readonly model: string;
  readonly stopReason: string;
}
/** A call that was answered at once: nothing ran. Without secrets. */
export interface RefusedCall {
  readonly turnId: string;
  readonly callId: string;
  readonly toolId: string;
  readonly summary: string | null;
  readonly error: { readonly code: string; readonly message: string };
}
export interface TurnDone {
  readonly turn: AgentTurn;
  readonly told: TurnTold;
  readonly refused: readonly RefusedCall[];
}

/** May repeat. @throws ApplicationFailure, retryable, when a later try has taken over or the worker stops; platform faults */
export async function runTurn(parts: TurnParts, job: TurnJob, control: WorkControl): Promise<TurnDone> {
  return await new TurnRun(parts, job, control, await parts.turns.claim(job.place)).run();
}

class TurnRun {
  private readonly charge: AgentCharge;
  private readonly turnIds: string[] = [];
  private readonly refused: RefusedCall[] = [];

  constructor(
    private readonly parts: TurnParts,
    private readonly job: TurnJob,
    private readonly control: WorkControl,
    private readonly call: ModelCall,
  ) {
    this.charge = chargedTo(job.model);
  }

  async run(): Promise<TurnDone> {
    const { done, earlier } = this.call;
    const lost = earlier.filter(({ id }) => !this.job.attempts.includes(id));
    for (const turn of [...lost, ...(done === null ? [] : [done])]) this.count(turn);
    const answered = done ?? lost.findLast(({ replay }) => replay !== null);
    if (answered !== undefined) return await this.recorded(answered);
    return await this.ask();
  }

  private count(turn: TurnRecord): void {
    this.turnIds.push(turn.id);
    if (turn.usage !== null) this.charge.add(turn.model ?? this.job.model, turn.usage);
  }

  /** The reply is there already: it was recorded by a try that could not say so. */
  private async recorded(turn: TurnRecord): Promise<TurnDone> {
    const blocks = (turn.replay?.blocks ?? []) as unknown as readonly ModelBlock[];
    const told = { turnId: turn.id, attempt: turn.attempt, model: turn.model ?? this.job.model, stopReason: turn.replay?.stopReason ?? '' };
    const calls = callsIn({ blocks, stopReason: told.stopReason });
    if (calls.length > 0) return this.done(told, await this.callsTurn(turn.id, blocks, await this.plan(calls)));
    return this.done(told, await this.replyTurn(turn.id, blocks, told.stopReason));
  }

  private async ask(): Promise<TurnDone> {
    const superseded = new AbortController();
    const writer = this.call.writer({
      model: this.job.model,
      redactor: this.job.redactor,
      onSuperseded: () => superseded.abort(tryAgain('superseded', 'A later try has this model call')),
    });
    const told = (stopReason: string): TurnTold => ({ turnId: writer.turnId, attempt: null, model: this.job.model, stopReason });
    try {
      const request = await this.job.request();
      const reply = await this.parts.model.call(request, {
        model: this.job.model,
        maxTokens: this.job.maxTokens,
        signal: AbortSignal.any([this.control.signal, superseded.signal]),
        onText: (delta) => writer.text(delta),
        onUsage: (usage) => {
          writer.usage(usage);
          this.charge.set(usage);
        },
      });
      this.control.finishWork();
      const { blocks, leftOut } = withinLimit(withOwnIds(reply.blocks, request));
      return this.done(told(reply.stopReason), await this.finished(writer, { ...reply, blocks }, leftOut));
    } catch (thrown) {
      if (superseded.signal.aborted) throw superseded.signal.reason;
      return this.done(told('error'), await this.failed(writer, thrown));
    }
  }

  private done(told: TurnTold, turn: AgentTurn): TurnDone {
    return { told, turn, refused: this.refused };
  }

  private async finished(writer: TurnWriter, reply: ModelReply, leftOut: number): Promise<AgentTurn> {
    const calls = callsIn(reply);
    if (calls.length > 0) return await this.finishedWithCalls(writer, reply, calls, leftOut);
    const text = textOf(reply.blocks);
    if (reply.stopReason === 'refusal') throw refusal(this.job.model);
    if (text.trim() === '') throw emptyReply(this.job.model, reply.stopReason);
    const { schema, isLastReply } = this.job;
    const misfit = schema === undefined ? undefined : misfitOf(text, schema);
    const replay = { stopReason: reply.stopReason, blocks: reply.blocks as unknown as Json };
    const end =
      misfit === undefined
        ? ({ status: 'end_turn', reason: reply.stopReason } as const)
        : isLastReply
          ? ({ status: 'error', reason: 'error', error: { code: 'agent_prompt_structured_output_invalid', message: misfit } } as const)
          : ({ status: 'canceled', reason: 'repair' } as const);
    const written = await writer.finish({ ...end, usage: this.charge.ofCall, replay });
    if (written === undefined) throw tryAgain('superseded', 'A later try has this model call');
    return await this.replyTurn(this.added(writer.turnId), reply.blocks, reply.stopReason);
  }

  private async finishedWithCalls(writer: TurnWriter, reply: ModelReply, calls: readonly ToolUse[], leftOut: number): Promise<AgentTurn> {
    const planned = await this.plan(calls);
    if (planned.some(({ plan }) => plan.kind === 'question')) throw question();
    for (const { callId, plan } of planned)
      if (plan.kind !== 'question') writer.toolCall({ callId, toolName: plan.toolId, args: plan.params });
    const replay = { stopReason: reply.stopReason, blocks: reply.blocks as unknown as Json, ...(leftOut === 0 ? {} : { leftOut }) };
    const written = await writer.awaitTools({ usage: this.charge.ofCall, replay });
    if (written === undefined) throw tryAgain('superseded', 'A later try has this model call');
    return await this.callsTurn(this.added(writer.turnId), reply.blocks, planned);
  }

  private added(turnId: string): string {
    this.turnIds.push(turnId);
    return turnId;
  }

  private plan(calls: readonly ToolUse[]): Promise<readonly Planned[]> {
    return Promise.all(
      calls.map(async ({ id, name, input }) => ({
        callId: id,
        plan: await persist(() => this.parts.tools.plan({ name, input }, this.job.scope)),
      })),
    );
  }

  /** Calls that are refused are answered here: nothing runs, and nobody is asked. */
  private async callsTurn(turnId: string, blocks: readonly ModelBlock[], planned: readonly Planned[]): Promise<AgentTurn> {
    let characters = lengthOf(blocks);
    for (const { callId, plan } of planned) if (plan.kind === 'refused') characters += await this.refuse(turnId, callId, plan);
    const calls = planned.map(({ callId, plan }) => ({
      callId,
      queue: plan.kind === 'run' ? plan.queue : ('core' as const),
      way: plan.kind !== 'run' ? ('refused' as const) : plan.needsApproval ? ('hold' as const) : ('run' as const),
    }));
    return { ...this.base(), got: 'calls', turnId, characters, calls };
  }

  private async refuse(turnId: string, callId: string, plan: Extract<PlannedCall, { kind: 'refused' }>): Promise<number> {
    const { toolId, summary, error } = plan;
    const { redactor, putValue } = this.job;
    const safe = { code: error.code, message: redactor.text(error.message) };
    this.refused.push({ turnId, callId, toolId, summary: summary === null ? null : redactor.text(summary), error: safe });
    const { content } = await toModelResult(toolId, { ok: false, error: { ...error, ...safe } }, putValue);
    await this.parts.turns.toolProgress(turnId, callId, { status: 'error', error: safe, reply: { content, isError: true } });
    return content.length;
  }

  private async replyTurn(turnId: string, blocks: readonly ModelBlock[], stopReason: string): Promise<AgentTurn> {
    const text = textOf(blocks);
    const { schema, redactor } = this.job;
    const read = schema === undefined ? ({ ok: true, value: text } as const) : readStructuredReply(text, schema);
    if (!read.ok && schema !== undefined)
      return { ...this.base(), got: 'misfit', turnId, characters: text.length + repairOf(text, schema).length, problem: read.error };
    const stored = await persist(() => this.job.putValue(redactor.json(read.ok ? read.value : null)));
    const output = wholeRef(privateRef(stored));
    const warnings = TRUNCATED.has(stopReason) ? [{ code: 'reply_truncated', message: `The reply was cut off (${stopReason})` }] : [];
    return { ...this.base(), got: 'reply', turnId, output, ...(warnings.length === 0 ? {} : { warnings }) };
  }

  /** The turn stays open for whoever decides what becomes of it: another model, a cancel, the step's failure. */
  private async failed(writer: TurnWriter, thrown: unknown): Promise<AgentTurn> {
    const isShown = writer.isOpen;
    await writer.letGo();
    if (isShown) this.turnIds.push(writer.turnId);
    if (this.control.isCancelRequested && this.control.signal.aborted) return { ...this.base(), got: 'cancelled' };
    const handOver = this.control.handOver();
    if (handOver !== undefined) throw handOver;
    if (!(thrown instanceof StepFault)) throw thrown;
    const error = redactedError(toStepError(thrown, this.job.instance), this.job.redactor);
    return { ...this.base(), got: 'fault', error, failover: isFailover(thrown) };
  }

  private base() {
    return { at: Date.now(), turnIds: this.turnIds, usage: this.charge.total };
  }
}

type ToolUse = Extract<ModelBlock, { type: 'tool_use' }>;
interface Planned {
  readonly callId: string;
  readonly plan: PlannedCall;
}

/** Tools run only when the model stopped for them: a reply that was cut off may hold half of a call (durability §14). */
const callsIn = ({ blocks, stopReason }: Pick<ModelReply, 'blocks' | 'stopReason'>): readonly ToolUse[] =>
  stopReason === 'tool_use' ? blocks.filter((block): block is ToolUse => block.type === 'tool_use') : [];

/** Calls of one reply beyond these are left out, and the model is told so: each call is an activity, a part of the message and a result to read. */
const MAX_CALLS = 64;

function withinLimit(blocks: readonly ModelBlock[]): { readonly blocks: readonly ModelBlock[]; readonly leftOut: number } {
  let calls = 0;
  const kept = blocks.filter((block) => block.type !== 'tool_use' || ++calls <= MAX_CALLS);
  return { blocks: kept, leftOut: blocks.length - kept.length };
}

/** A call's id names its gate and its key: one that was used before in what the model was told, or that no provider would take back, gets another. */
function withOwnIds(blocks: readonly ModelBlock[], { messages }: ModelRequest): readonly ModelBlock[] {
  const used = new Set(messages.flatMap(({ content }) => content.flatMap((block) => (block.type === 'tool_use' ? [block.id] : []))));
  return blocks.map((block) => {
    if (block.type !== 'tool_use') return block;
    const given = CALL_ID.test(block.id) ? block.id : 'call';
    let id = given;
    for (let nth = 2; used.has(id); nth += 1) id = `${given}-${nth}`;
    used.add(id);
    return { ...block, id };
  });
}

const CALL_ID = /^[A-Za-z0-9_-]{1,128}$/;

const textOf = (blocks: readonly ModelBlock[]): string => blocks.map((block) => (block.type === 'text' ? block.text : '')).join('');
const lengthOf = (blocks: readonly ModelBlock[]): number => blocks.reduce((sum, block) => sum + charactersOfBlock(block), 0);

const TRUNCATED: ReadonlySet<string> = new Set(['max_tokens', 'model_context_window_exceeded']);

function misfitOf(text: string, schema: Json): string | undefined {
  const read = readStructuredReply(text, schema);
  return read.ok ? undefined : read.error;
}

const refusal = (model: string): StepFault =>
  new StepFault('agent_prompt_model_error', `Model ${model} refused to answer`, { details: { status: null, type: 'refusal', model } });

const emptyReply = (model: string, stopReason: string): StepFault =>
  new StepFault('agent_prompt_empty_response', `Model ${model} answered without text (${stopReason})`, {
    retryable: true,
    details: { model, stopReason },
  });

const question = (): StepFault =>
  new StepFault('agent_prompt_question_not_supported', 'The model asked a question; nobody can answer one in a workflow');
