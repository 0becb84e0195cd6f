/** The gate of a tool call that policy holds for a person. */
import type { AgentPromptPlan } from '../../definition/plan.js';
import type { ActivityCommand, GateOutcome } from '../../engine/types.js';
import { isEnded } from '../../store/execution-record.js';
import { getExecution } from '../../store/executions.js';
import { toGateOutcome } from '../../store/gate-record.js';
import { markGatesDelivered, openGate } from '../../store/gates.js';
import type { Common } from '../contract.js';
import type { AgentParts } from './agent-parts.js';
import { findCall } from './run-call.js';

type OpenCallGate = Common & Omit<Extract<ActivityCommand, { readonly name: 'open_call_gate' }>, 'kind' | 'id' | 'name'>;

/** Opens it once for step instance and call, and answers with its row. The owner's team decides. */
export async function openCallGate(parts: AgentParts, input: OpenCallGate): Promise<GateOutcome> {
  const { executionId, ownerId, sessionId, workflowName, instance, turnId, callId, deadlineAt, carry, nowMs } = input;
  const facts = await parts.facts.of(input);
  const step = facts.step(instance.stepId) as AgentPromptPlan;
  const { part, plan } = await findCall(parts, { turnId, callId, scope: { ownerId, allow: step.tools } });
  const { redactor } = facts;
  const reason = plan.kind === 'run' ? plan.reason : '';
  const summary = plan.kind === 'question' || plan.summary === null ? null : redactor.text(plan.summary);
  const opened = await openGate(parts.db, {
    ownerId,
    executionId,
    sessionId,
    workflowName,
    instance,
    callKey: `${turnId}:${callId}`,
    toolCall: { callId, toolId: part.toolName, args: redactor.json(part.args), summary },
    prompt: [summary ?? `Call ${part.toolName}`, reason].filter((text) => text !== '').join(' - '),
    approvers: null,
    quorum: 1,
    deadlineAt,
    carry,
    at: Math.max(Date.now(), nowMs),
  });
  if (opened.kind === 'closed') return await closedGate(parts, executionId);
  const { gate } = opened;
  if (gate.status !== 'pending' && gate.deliveredAt === null) await markGatesDelivered(parts.db, [gate.id]);
  return toGateOutcome(gate);
}

/** No gate opens in a clean-up: the run is being cancelled, or has ended under its workflow. */
async function closedGate({ db }: AgentParts, executionId: string): Promise<GateOutcome> {
  const execution = await getExecution(db, null, executionId);
  const isOver = execution !== undefined && isEnded(execution.status);
  return {
    approvalId: '',
    status: 'cancelled',
    decidedBy: [],
    decidedAt: null,
    reason: null,
    answer: { v: null },
    ...(isOver ? { closed: true as const } : {}),
  };
}
