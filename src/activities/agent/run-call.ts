/**
 * One tool call of a model, whoever's loop it is. It is made once: a try that finds its result answers with that; one that finds it cut off
 * makes it again only where the tool says that this does no harm.
 */
import { toDisplay } from '../../definition/value-parts.js';
import type { Json, Ref } from '../../definition/value.js';
import type { AgentToolEnd } from '../../engine/agent/types.js';
import type { Database } from '../../store/database.js';
import { getGate } from '../../store/gates.js';
import type { ToolCallPart, ToolReply } from '../../store/turn-record.js';
import { getTurn } from '../../store/turns.js';
import {
  type AgentScope,
  type AgentTools,
  deniedResult,
  outcomeUnknown,
  type PlannedCall,
  toModelResult,
  type ToolRequest,
  type ToolResult,
} from '../../tools/index.js';
import { StepFault } from '../../tools/step-fault.js';
import type { ModelBlock } from '../model/model-message.js';
import { persist } from '../persist.js';
import type { Redactor } from '../redaction.js';
import type { WorkControl } from '../step-attempt.js';
import type { Turns } from '../turns.js';

export interface CallParts {
  readonly db: Database;
  readonly turns: Pick<Turns, 'toolProgress'>;
  readonly tools: AgentTools;
}

export interface CallJob {
  readonly turnId: string;
  readonly callId: string;
  /** Its gate: the call is made only when that row says approved. */
  readonly approvalId: string | null;
  readonly scope: AgentScope;
  readonly executionId: string | null;
  readonly sessionId: string;
  /** The same for every repetition of this call. */
  readonly idempotencyKey: string;
  readonly redactor: Redactor;
  readonly putValue: (json: Json) => Promise<Ref>;
}

export interface CallDone {
  readonly end: AgentToolEnd;
  /** For the log, the same each time; null: it was cancelled. */
  readonly told: {
    readonly toolId: string;
    readonly summary: string | null;
    readonly error: { code: string; message: string } | null;
  } | null;
}

/** A call as the transcript has it, and what the tools make of it now. @throws StepFault when there is none: it was closed meanwhile */
export async function findCall(
  { db, tools }: Pick<CallParts, 'db' | 'tools'>,
  { turnId, callId, scope }: Pick<CallJob, 'turnId' | 'callId' | 'scope'>,
): Promise<FoundCall> {
  const found = await getTurn(db, turnId);
  const blocks = (found?.turn.replay?.blocks ?? []) as unknown as readonly ModelBlock[];
  const block = blocks.find((one) => one.type === 'tool_use' && one.id === callId);
  const part = found?.turn.parts.find((one): one is ToolCallPart => one.type === 'tool-call' && one.callId === callId);
  if (found === undefined || part === undefined || block?.type !== 'tool_use')
    throw new StepFault('internal_error', `Turn ${turnId} has no call ${callId}`);
  const plan = await tools.plan({ name: block.name, input: block.input }, scope);
  return { part, plan, reply: found.turn.replay?.results[callId] };
}

export interface FoundCall {
  readonly part: ToolCallPart;
  readonly plan: PlannedCall;
  /** What the model was told of it, once it has ended. */
  readonly reply: ToolReply | undefined;
}

/** May repeat. @throws platform faults; what `control.handOver` says when the worker stops */
export async function runCall(parts: CallParts, job: CallJob, control: WorkControl): Promise<CallDone> {
  const call = await findCall(parts, job);
  if (call.part.status === 'completed' || call.part.status === 'error')
    return ended(call.part.status, lengthOf(call.reply), {
      toolId: call.part.toolName,
      summary: summaryOf(call.plan),
      error: call.part.error,
    });
  try {
    const result = await resultOf(parts, job, call, control);
    control.finishWork();
    return await told(parts, job, call, result);
  } catch (thrown) {
    if (control.isCancelRequested && control.signal.aborted)
      return { end: { at: Date.now(), ended: 'cancelled', characters: 0 }, told: null };
    throw control.handOver() ?? thrown;
  }
}

async function resultOf(parts: CallParts, job: CallJob, { part, plan }: FoundCall, control: WorkControl): Promise<ToolResult> {
  if (plan.kind === 'refused') return { ok: false, error: plan.error };
  if (plan.kind === 'question') return { ok: false, error: { code: 'tool_denied', message: 'Nobody can answer a question here' } as never };
  const verdict = job.approvalId === null ? 'approved' : await verdictOf(parts.db, job.approvalId, part.toolName);
  if (verdict !== 'approved' && verdict !== 'nobody_asked') return verdict;
  if (part.status === 'running' && !plan.mayRepeat) return outcomeUnknown(plan.toolId);
  await parts.turns.toolProgress(job.turnId, job.callId, { status: 'running' });
  return await make(parts.tools, plan, job, control, job.approvalId !== null);
}

/** What the gate's row says; anything but approved is the model's answer. */
async function verdictOf(db: Database, approvalId: string, toolId: string): Promise<'approved' | 'nobody_asked' | ToolResult> {
  const gate = await getGate(db, approvalId);
  if (gate?.status === 'approved') return 'approved';
  const how = gate?.status === 'denied' || gate?.status === 'cancelled' ? gate.status : 'expired';
  return deniedResult(toolId, how, gate?.decidedBy.map(({ name }) => name) ?? [], gate?.reason ?? null);
}

function make(tools: AgentTools, request: ToolRequest, job: CallJob, control: WorkControl, isApproved: boolean): Promise<ToolResult> {
  const { scope, executionId, sessionId, idempotencyKey, redactor } = job;
  return tools.run(request, scope, {
    idempotencyKey,
    signal: control.signal,
    executionId,
    sessionId,
    redact: (text) => redactor.text(text),
    isApproved,
  });
}

async function told({ turns }: CallParts, job: CallJob, { part, plan }: FoundCall, result: ToolResult): Promise<CallDone> {
  const { redactor, putValue, turnId, callId } = job;
  const safe = redactedResult(result, redactor);
  const { content, isError, recorded } = await persist(() => toModelResult(part.toolName, safe, putValue));
  const reply = { content, isError };
  const error = safe.ok ? null : { code: safe.error.code, message: safe.error.message };
  await turns.toolProgress(
    turnId,
    callId,
    error === null ? { status: 'completed', result: toDisplay(recorded), reply } : { status: 'error', error, reply },
  );
  const summary = summaryOf(plan);
  return ended(error === null ? 'completed' : 'error', content.length, {
    toolId: part.toolName,
    summary: summary === null ? null : redactor.text(summary),
    error,
  });
}

function redactedResult(result: ToolResult, redactor: Redactor): ToolResult {
  if (redactor.isIdle) return result;
  if (result.ok) return { ok: true, output: redactor.json(result.output) };
  return { ok: false, error: redactor.json(result.error as unknown as Json) as unknown as typeof result.error };
}

const ended = (how: 'completed' | 'error', characters: number, told: CallDone['told']): CallDone => ({
  end: { at: Date.now(), ended: how, characters },
  told,
});

const summaryOf = (plan: PlannedCall): string | null => (plan.kind === 'question' ? null : plan.summary);

const lengthOf = (reply: ToolReply | undefined): number => (typeof reply?.content === 'string' ? reply.content.length : 0);
