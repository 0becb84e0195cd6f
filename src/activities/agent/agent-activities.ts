/** The activities of an agent step: opened, its model calls, its tool calls and their gates, closed. */
import type { AgentPromptPlan } from '../../definition/plan.js';
import type { Json } from '../../definition/value.js';
import type { AgentOpened, AgentToolEnd, AgentTurn } from '../../engine/agent/types.js';
import type { ActivityCommand, EngineEvent, GateOutcome, StepInstance } from '../../engine/types.js';
import { recordEvents } from '../../store/projection.js';
import { getTurn } from '../../store/turns.js';
import { turnText } from '../../store/turn-record.js';
import { quoted, readStructuredReply } from '../model/structured-output.js';
import { persist } from '../persist.js';
import type { Common } from '../contract.js';
import { toActivityFailure } from '../step-error.js';
import { WorkingCall } from '../working-call.js';
import { authorOf } from './agent-author.js';
import { openCallGate } from './call-gate.js';
import { type AgentCallInput, placeOf } from './agent-place.js';
import { openAgent, type OpenInput } from './open-agent.js';
import { agentRequest } from './agent-request.js';
import type { AgentParts } from './agent-parts.js';
import { runCall } from './run-call.js';
import { type RefusedCall, runTurn, type TurnTold } from './run-turn.js';

type InputOf<N extends ActivityCommand['name']> = Common & Omit<Extract<ActivityCommand, { readonly name: N }>, 'kind' | 'id' | 'name'>;
export type AgentTurnInput = InputOf<'agent_turn'>;
type AgentToolInput = InputOf<'agent_tool'>;

export interface AgentStepActivities {
  readonly open: (input: OpenInput) => Promise<AgentOpened & { readonly bundle?: string; readonly closed?: true }>;
  readonly turn: (input: AgentTurnInput) => Promise<{ readonly turn: AgentTurn; readonly closed?: true }>;
  readonly tool: (input: AgentToolInput) => Promise<{ readonly end: AgentToolEnd; readonly closed?: true }>;
  readonly openGate: (input: InputOf<'open_call_gate'>) => Promise<GateOutcome>;
  readonly close: (input: InputOf<'agent_close'>) => Promise<{ readonly closed?: true }>;
}

export function createAgentStepActivities(parts: AgentParts): AgentStepActivities {
  return {
    open: (input) => failing(input, () => openAgent(parts, input)),
    turn: (input) => working(input, (call) => turn(parts, input, call)),
    tool: (input) => working(input, (call) => tool(parts, input, call)),
    openGate: (input) => failing(input, () => openCallGate(parts, input)),
    close: (input) => failing(input, () => close(parts, input)),
  };
}

/** Platform faults are tried again; what else is thrown fails the step. */
async function failing<T>(
  { instance, nowMs = Date.now() }: { readonly instance: StepInstance; readonly nowMs?: number },
  work: () => Promise<T>,
): Promise<T> {
  try {
    return await work();
  } catch (error) {
    throw toActivityFailure(error, instance, nowMs);
  }
}

async function working<T>(input: AgentCallInput, work: (call: WorkingCall) => Promise<T>): Promise<T> {
  const call = new WorkingCall();
  try {
    return await failing(input, () => work(call));
  } finally {
    call.close();
  }
}

const CANCELLED = { ended: 'cancelled', characters: 0 } as const;

async function turn(
  parts: AgentParts,
  input: AgentTurnInput,
  call: WorkingCall,
): Promise<{ readonly turn: AgentTurn; readonly closed?: true }> {
  const { closed } = await recordEvents(parts.db, input.executionId, input.carry);
  const nothing: AgentTurn = {
    got: 'cancelled',
    at: Date.now(),
    turnIds: [],
    usage: { inputTokens: 0, outputTokens: 0, cacheReadTokens: 0, models: [] },
  };
  if (closed) return { turn: nothing, closed: true };
  if (call.isCancelRequested) return { turn: nothing };
  const facts = await parts.facts.of(input);
  const step = facts.step(input.instance.stepId) as AgentPromptPlan;
  await tellRepair(parts, input, step);
  const done = await runTurn(
    parts,
    {
      place: { ...placeOf(input, authorOf(step)), call: `turn${input.turn}` },
      model: input.model,
      maxTokens: input.maxTokens,
      attempts: input.attempts,
      scope: { ownerId: input.ownerId, allow: step.tools },
      schema: step.outputSchema,
      isLastReply: input.misfits.length >= LAST_REPAIR,
      instance: input.instance,
      redactor: facts.redactor,
      putValue: facts.putValue,
      request: () => agentRequest(parts, facts, input),
    },
    call,
  );
  const told = [turnEvent(input, done.told, done.turn), ...done.refused.map((call) => refusedEvent(input.instance, done.turn.at, call))];
  await persist(() => recordEvents(parts.db, input.executionId, null, told));
  return { turn: done.turn };
}

/** Replies that did not fit before the last one that is asked for. */
const LAST_REPAIR = 2;

function turnEvent(input: AgentTurnInput, told: TurnTold, done: AgentTurn): EngineEvent {
  const { instance, turn: nth, call } = input;
  return {
    kind: 'agent.turn',
    ordinal: `${call}:${told.turnId ?? ''}`,
    at: done.at,
    instance,
    stepType: 'agent_prompt',
    data: {
      turn: nth,
      call,
      turnId: told.turnId,
      model: told.model,
      result: done.got,
      stopReason: told.stopReason,
      usage: done.usage as unknown as Json,
      toolCalls: done.got === 'calls' ? done.calls.length : 0,
      error: done.got === 'fault' ? { code: done.error.code, message: done.error.message } : null,
    },
  };
}

/** A repair quotes what was wrong with the reply before it. */
async function tellRepair(
  parts: AgentParts,
  { executionId, instance, turn: nth, attempts, misfits }: AgentTurnInput,
  step: AgentPromptPlan,
): Promise<void> {
  const bad = attempts.at(-1);
  if (bad === undefined || !misfits.includes(bad) || step.outputSchema === undefined) return;
  const found = await getTurn(parts.db, bad);
  if (found === undefined) return;
  const reply = turnText(found.turn.parts);
  const read = readStructuredReply(reply, step.outputSchema);
  const data = { turn: nth, attempt: misfits.length, turnId: bad, error: read.ok ? '' : read.error, reply: quoted(reply) };
  await recordEvents(parts.db, executionId, null, [
    { kind: 'agent.repair', ordinal: bad, at: Date.now(), instance, stepType: 'agent_prompt', data },
  ]);
}

async function tool(
  parts: AgentParts,
  input: AgentToolInput,
  call: WorkingCall,
): Promise<{ readonly end: AgentToolEnd; readonly closed?: true }> {
  const { executionId, instance, turnId, callId, approvalId, ownerId, sessionId } = input;
  const { closed } = await recordEvents(parts.db, executionId, input.carry);
  if (closed) return { end: { ...CANCELLED, at: Date.now() }, closed: true };
  if (call.isCancelRequested) return { end: { ...CANCELLED, at: Date.now() } };
  const facts = await parts.facts.of(input);
  const step = facts.step(instance.stepId) as AgentPromptPlan;
  const startedAt = Date.now();
  const done = await runCall(
    parts,
    {
      turnId,
      callId,
      approvalId,
      scope: { ownerId, allow: step.tools },
      executionId,
      sessionId,
      idempotencyKey: [executionId, instance.stepId, instance.iterationPath, callId].filter((part) => part !== '').join('/'),
      redactor: facts.redactor,
      putValue: facts.putValue,
    },
    call,
  );
  if (done.told === null) return { end: done.end };
  const { toolId, summary, error } = done.told;
  const data = { turnId, callId, toolId, summary, status: done.end.ended, error, durationMs: done.end.at - startedAt };
  await persist(() => recordEvents(parts.db, executionId, null, [toolEvent(instance, done.end.at, data)]));
  return { end: done.end };
}

const refusedEvent = (instance: StepInstance, at: number, call: RefusedCall): EngineEvent =>
  toolEvent(instance, at, { ...call, status: 'error', error: { ...call.error }, durationMs: 0 });

function toolEvent(
  instance: StepInstance,
  at: number,
  data: { readonly turnId: string; readonly callId: string; readonly [field: string]: Json },
): EngineEvent {
  return { kind: 'agent.tool_call', ordinal: `${data.turnId}:${data.callId}`, at, instance, stepType: 'agent_prompt', data };
}

async function close(
  parts: AgentParts,
  { executionId, instance, carry, status, error }: InputOf<'agent_close'>,
): Promise<{ readonly closed?: true }> {
  const { closed } = await recordEvents(parts.db, executionId, carry);
  const shown = error === null ? {} : { error: { code: error.code, message: error.message } };
  await parts.turns.closeOpen({ executionId, instance }, { status, reason: status === 'error' ? 'error' : 'cancelled', ...shown });
  return closed ? { closed: true } : {};
}
