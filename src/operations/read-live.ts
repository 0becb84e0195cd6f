/** What a reader of a session or an execution begins with: the rows, and the seq of the log that they are at least as new as. */
import { stepsById } from '../engine/index.js';
import { streamState } from '../store/event-log.js';
import type { ExecutionRecord } from '../store/execution-record.js';
import { isEnded } from '../store/execution-record.js';
import { currentUsage } from '../store/executions.js';
import type { MessageRecord } from '../store/messages.js';
import { getPlan } from '../store/plans.js';
import {
  executionsOfSession,
  gatesOfExecution,
  gatesOfSession,
  messagesOfExecution,
  newestMessages,
  newestSteps,
} from '../store/session-view.js';
import type { StepRecord } from '../store/step-list.js';
import { authorize } from './authorize.js';
import { shownExecutions, shownSteps } from '../store/private-values.js';
import type { OperationDeps } from './deps.js';
import type { Principal } from './principal.js';
import { ownExecution } from './read-executions.js';
import { ownSession } from './sessions.js';
import { inDefinitionOrder } from './step-order.js';
import { toWireSession } from './wire-session.js';
import { toWireApproval, toWireExecution, toWireStep } from './wire.js';

/** How much of everything a snapshot holds; older rows are read over HTTP. */
const MESSAGES = 500;
const EXECUTIONS = 20;
const STEPS = 1_000;
const GATES = 200;
const RUN_MESSAGES = 10_000;

/** `{ session, messages, steps, approvals, execution? }`, the newest of each, oldest first; `execution` is the newest that it shows. */
export async function readSessionSnapshot(deps: OperationDeps, principal: Principal, id: string) {
  authorize(principal, 'read');
  const session = toWireSession(await ownSession(deps, principal, id));
  const cursor = await lastSeq(deps, id);
  const executions = await executionsOfSession(deps.db, principal.userId, id, EXECUTIONS);
  const [messages, steps, gates] = await Promise.all([
    newestMessages(deps.db, principal.userId, id, MESSAGES),
    newestSteps(
      deps.db,
      executions.map((execution) => execution.id),
      STEPS,
    ),
    gatesOfSession(deps.db, id, GATES),
  ]);
  const newest = executions[0];
  const data = {
    session,
    messages: messages as readonly MessageRecord[],
    steps: (await wireSteps(deps, executions, steps)).map((step) => ({ ...step, sessionId: id })),
    approvals: gates.map(toWireApproval),
    ...(newest === undefined ? {} : { execution: await wireExecution(deps, newest) }),
  };
  return { cursor, data };
}

/** `{ execution, steps, approvals }`. Steps in definition order; of more than a thousand, the newest. */
export async function readExecutionSnapshot(deps: OperationDeps, principal: Principal, id: string) {
  authorize(principal, 'read');
  await ownExecution(deps, principal, id);
  const cursor = await lastSeq(deps, id);
  const execution = await ownExecution(deps, principal, id);
  const plan = await getPlan(deps.db, execution.hash, execution.planFormat);
  const [steps, gates] = await Promise.all([newestSteps(deps.db, [id], STEPS), gatesOfExecution(deps.db, id, GATES)]);
  return {
    cursor,
    data: {
      execution: await wireExecution(deps, execution),
      steps: await wireSteps(deps, [execution], inDefinitionOrder(plan, steps)),
      approvals: gates.map(toWireApproval),
    },
  };
}

/** What a run has said so far, and how it ended if it has. The cursor is the session's. @throws AppError not_found */
export async function readRunSnapshot(deps: OperationDeps, principal: Principal, id: string) {
  authorize(principal, 'read');
  const { sessionId } = await ownExecution(deps, principal, id);
  const cursor = await lastSeq(deps, sessionId);
  // The row first: what an ended run has said is then all there.
  const row = await ownExecution(deps, principal, id);
  const steps = await wireSteps(deps, [row], await newestSteps(deps.db, [id], STEPS));
  const messages = await messagesOfExecution(deps.db, row, RUN_MESSAGES);
  return { cursor, execution: await wireExecution(deps, row), steps, messages };
}

const lastSeq = async (deps: OperationDeps, id: string): Promise<number> => (await streamState(deps.db, id))?.lastSeq ?? 0;

async function wireExecution({ db }: OperationDeps, row: ExecutionRecord) {
  const [shown = row] = await shownExecutions(db, [row]);
  return toWireExecution(isEnded(row.status) ? shown : { ...shown, usage: await currentUsage(db, row.id) });
}

/** Steps with the name that the definition of their execution gives them, and with their execution. */
async function wireSteps(deps: OperationDeps, executions: readonly ExecutionRecord[], steps: readonly StepRecord[]) {
  const names = new Map<string, (stepId: string) => string | null>();
  for (const { id, hash, planFormat } of executions) {
    if (!steps.some((step) => step.executionId === id)) continue;
    const plan = await getPlan(deps.db, hash, planFormat);
    const byId = plan === undefined ? undefined : stepsById(plan);
    names.set(id, (stepId) => byId?.get(stepId)?.name ?? null);
  }
  return (await shownSteps(deps.db, steps)).map((step) => ({
    ...toWireStep(step, names.get(step.executionId)?.(step.stepId) ?? null),
    executionId: step.executionId,
  }));
}
