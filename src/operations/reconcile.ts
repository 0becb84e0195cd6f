/**
 * Repairs what a crash, an absence or an operator's hand can leave behind (durability §2, §10, §15). Every part may run anywhere, any
 * number of times, at once: the rows arbitrate, and Temporal takes a start or a command twice without harm.
 */
import type { CommandRecord } from '../store/commands.js';
import { getExecution } from '../store/executions.js';
import { closeGate } from '../store/gates.js';
import {
  overdueGates,
  pendingExecutions,
  staleExecutions,
  strayTurns,
  undeliveredCommands,
  undeliveredGates,
} from '../store/reconcile-queries.js';
import { finishTurn } from '../store/turns.js';
import { closeLost } from './close-lost.js';
import { deliverCommand, deliverGate, type Delivery } from './deliver.js';
import type { OperationDeps } from './deps.js';
import type { RepeatMemory } from './repeat-memory.js';
import { startInTemporal } from './temporal-start.js';

/** What a signal or start gets before it is repeated. */
const GRACE_MS = 5_000;
const UNTOUCHED_MS = 60_000;
const BATCH = 500;
const PARALLEL = 10;
/** Visibility lags behind; what was seen before is seen again, harmlessly. */
const VISIBILITY_LAG_MS = 5 * 60_000;

/** `pending` without a workflow → started. One whose workflow has come and gone without a word is closed. */
export async function startPending(deps: OperationDeps, memory: RepeatMemory): Promise<void> {
  const ids = await pendingExecutions(deps.db, GRACE_MS, BATCH);
  await repeatDue(
    memory,
    ids.map((id) => [{ id }]),
    async ({ id }) => {
      const execution = await getExecution(deps.db, null, id);
      if (execution?.status !== 'pending') return 'sent';
      const { kind } = await startInTemporal(deps, execution, { kind: 'load', executionId: id });
      deps.log.info({ executionId: id, outcome: kind }, 'Started a pending execution again');
      if (kind === 'unavailable') return 'away';
      if (Date.parse(execution.createdAt) < Date.now() - UNTOUCHED_MS) await closeIfClosed(deps, [id]);
      return 'sent';
    },
  );
}

/** Commands and settled gates that their workflow has not confirmed → told again. */
export async function repeatCommands(deps: OperationDeps, memory: RepeatMemory): Promise<void> {
  for (let after: CommandRecord | undefined; ; ) {
    const commands = await undeliveredCommands(deps.db, GRACE_MS, BATCH, after);
    // One target's commands in their order: pause and resume do not commute.
    const told = await repeatDue(memory, byTarget(commands), (command) => deliverCommand(deps, command));
    after = commands.at(-1);
    if (told === 'away' || commands.length < BATCH) break;
  }
  const gates = await undeliveredGates(deps.db, GRACE_MS, BATCH);
  await repeatDue(
    memory,
    gates.map((gate) => [gate]),
    (gate) => deliverGate(deps, gate),
  );
}

function byTarget(commands: readonly CommandRecord[]): CommandRecord[][] {
  const groups = new Map<string, CommandRecord[]>();
  for (const command of commands) {
    const group = groups.get(command.targetId);
    if (group === undefined) groups.set(command.targetId, [command]);
    else group.push(command);
  }
  return [...groups.values()];
}

/** Gates past their deadline → expired, also while no worker is up; their workflow follows when one is. */
export async function expireGates(deps: OperationDeps): Promise<void> {
  await inParallel(await overdueGates(deps.db, BATCH), async (approvalId) => {
    const gate = await closeGate(deps.db, { approvalId, to: 'expired' });
    if (gate?.status === 'expired') await deliverGate(deps, gate);
  });
}

/** What a terminated execution left streaming in the chat → given up. */
export async function closeStrayTurns(deps: OperationDeps): Promise<void> {
  await inParallel(await strayTurns(deps.db, BATCH), async (turnId) => {
    await finishTurn(deps.db, turnId, { status: 'canceled', reason: 'execution_ended' });
  });
}

/** Executions that Temporal says were terminated or timed out since then. @returns whether it answered */
export async function closeReported(deps: OperationDeps, sinceMs: number): Promise<boolean> {
  const closed = await deps.temporal.listClosed(sinceMs - VISIBILITY_LAG_MS);
  if (closed === undefined) return false;
  for (const executionId of closed) await closeLost(deps, executionId);
  return true;
}

/** Open rows that nothing has touched for a minute, whose workflow is closed or unknown → failed `execution_terminated`. */
export async function closeForgotten(deps: OperationDeps): Promise<void> {
  for (let after = ''; ; ) {
    const ids = await staleExecutions(deps.db, UNTOUCHED_MS, after, BATCH);
    await closeIfClosed(deps, ids, 'or unknown');
    const last = ids.at(-1);
    if (last === undefined || ids.length < BATCH) return;
    after = last;
  }
}

async function closeIfClosed(deps: OperationDeps, ids: readonly string[], orUnknown?: 'or unknown'): Promise<void> {
  if (ids.length === 0) return;
  const lives = await deps.temporal.describe(ids);
  for (const id of ids) {
    const life = lives.get(id);
    if (life === 'closed' || (life === 'unknown' && orUnknown !== undefined)) await closeLost(deps, id);
  }
}

/**
 * Repeats what is due, a group's in its order, until Temporal turns out to be away: each further call would only wait for its own
 * deadline. What did not get through is due again with the next pass, so that it goes on as soon as Temporal is back.
 * @returns whether it went away
 */
async function repeatDue<T extends { readonly id: string }>(
  memory: RepeatMemory,
  groups: readonly (readonly T[])[],
  work: (item: T) => Promise<Delivery>,
): Promise<'done' | 'away'> {
  let isAway = false;
  await inParallel(groups, async (group) => {
    for (const item of group) {
      if (isAway || !memory.isDue(item.id)) continue;
      if ((await work(item)) !== 'away') continue;
      isAway = true;
      memory.forget(item.id);
    }
  });
  return isAway ? 'away' : 'done';
}

async function inParallel<T>(items: readonly T[], work: (item: T) => Promise<unknown>): Promise<void> {
  const queue = [...items];
  const workers = Array.from({ length: Math.min(PARALLEL, queue.length) }, async () => {
    for (let item = queue.shift(); item !== undefined; item = queue.shift()) await work(item);
  });
  await Promise.all(workers);
}
