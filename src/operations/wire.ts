/** Rows as api.md shows them: Execution, Step, Approval, Event. Pure; the one place that knows these shapes. */
import { toDisplay } from '../definition/value-parts.js';
import type { Json, Value } from '../definition/value.js';
import type { StepError } from '../engine/types.js';
import type { EventRecord } from '../store/event-log.js';
import type { ExecutionRecord, RerunLink } from '../store/execution-record.js';
import type { PostState } from '../store/gate-posts.js';
import type { GateRecord } from '../store/gate-record.js';
import type { StepRecord } from '../store/step-list.js';

const display = (value: Value | null): Json => (value === null ? null : toDisplay(value));

export type WireExecution = ReturnType<typeof toWireExecution>;

export function toWireExecution(row: ExecutionRecord) {
  const { parent, rerunOf } = row;
  return {
    id: row.id,
    workflowId: row.workflowId,
    workflowName: row.workflowName,
    version: row.version,
    hash: row.hash,
    status: row.status,
    trigger: row.trigger,
    variables: Object.fromEntries(Object.entries(row.variables).map(([name, value]) => [name, toDisplay(value)])),
    output: display(row.output),
    error: row.error === null ? null : toWireError(row.error),
    /** Why it was cancelled. */
    reason: row.reason,
    progress: row.progress,
    usage: row.usage,
    sessionId: row.sessionId,
    parent: parent === null ? null : { executionId: parent.executionId, stepId: parent.stepId, iterationPath: parent.iterationPath },
    rerunOf: rerunOf === null ? null : toWireRerunLink(rerunOf),
    createdAt: row.createdAt,
    startedAt: row.startedAt,
    completedAt: row.completedAt,
    durationMs: durationMs(row.startedAt ?? row.createdAt, row.completedAt),
  };
}

/** Without a step it is a rerun of the whole. */
export function toWireRerunLink({ executionId, stepId, iterationPath }: RerunLink) {
  return { executionId, ...(stepId === null ? {} : { stepId }), ...(iterationPath === null ? {} : { iterationPath }) };
}

/** An error as readers see it; how long a server wished to be left alone is the engine's business. */
export function toWireError({ retryAfterMs: _wish, ...error }: StepError) {
  return error;
}

export type WireStep = ReturnType<typeof toWireStep>;

/** `name` is the definition's. */
export function toWireStep(row: StepRecord, name: string | null) {
  return {
    stepId: row.stepId,
    name,
    type: row.type,
    iterationPath: row.iterationPath,
    attempt: row.attempt,
    status: row.status,
    input: display(row.input),
    output: display(row.output),
    error: row.error === null ? null : toWireError(row.error),
    warnings: [...row.warnings],
    startedAt: row.startedAt,
    completedAt: row.completedAt,
    durationMs: durationMs(row.startedAt, row.completedAt),
    model: row.model,
    usage: row.usage,
    turnIds: [...row.turnIds],
    seeded: row.seeded,
  };
}

export type WireApproval = ReturnType<typeof toWireApproval>;

export function toWireApproval(gate: GateRecord) {
  const { id, executionId, sessionId, toolCall, workflowName, stepId, iterationPath, attempt, prompt, status, quorum, form } = gate;
  return {
    id,
    executionId,
    sessionId,
    toolCall,
    workflowName,
    stepId,
    iterationPath,
    attempt,
    prompt,
    status,
    approvers: gate.approvers === null ? null : [...gate.approvers],
    quorum,
    form,
    votes: gate.votes.map(({ by, via, decision, reason, at }) => ({ by, via, decision, reason, at })),
    decidedBy: [...gate.decidedBy],
    decidedAt: gate.decidedAt,
    reason: gate.reason,
    answer: display(gate.answer),
    deadline: gate.deadline,
    createdAt: gate.createdAt,
    escalatedTo: [...gate.escalatedTo],
  };
}

export type WireNotice = ReturnType<typeof toWireNotice>;

/** How far a telling of a gate got. */
export function toWireNotice({ cause, target, isTold, isDue, isDropped, failure, createdAt }: PostState) {
  const status: 'told' | 'due' | 'failed' | 'dropped' = isTold ? 'told' : isDropped ? 'dropped' : isDue ? 'due' : 'failed';
  return { target: shownTarget(target), cause, status, failure, createdAt };
}

/** What follows a webhook's host is its credential. Pure. */
export const shownTarget = (target: string): string =>
  target.startsWith('webhook:') && URL.canParse(target.slice(8)) ? `webhook:${new URL(target.slice(8)).origin}` : target;

export type WireEvent = ReturnType<typeof toWireEvent>;

export function toWireEvent({ seq, executionId, kind, stepId, iterationPath, attempt, at, data }: EventRecord) {
  const place = stepId === null ? {} : { stepId, iterationPath: iterationPath ?? '', attempt: attempt ?? 1 };
  return { seq, executionId, kind, ...place, at, data };
}

export function durationMs(from: string | null, to: string | null): number | null {
  return from === null || to === null ? null : Math.max(0, Date.parse(to) - Date.parse(from));
}
