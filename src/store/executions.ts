import { historyPlan } from '../engine/history-plan.js';
import type { ExecutionStatus, Seed, StartData } from '../engine/types.js';
import type { Database } from './database.js';
import { EXECUTION_COLUMNS, executionFromRow, toExecutionRecord, type ExecutionRecord, type TriggerType } from './execution-record.js';
import { behind, NEWEST_FIRST, toPage, type Page, type PageRequest } from './page.js';
import { getPlan } from './plans.js';
import { statement } from './statement.js';
import { addUsage } from './token-usage.js';

const GET = statement('get_execution', `SELECT ${EXECUTION_COLUMNS} FROM executions WHERE id = $1`);
const IDENTITY = statement(
  'run_identity',
  'SELECT owner_id AS "ownerId", session_id AS "sessionId", workflow_name AS "workflowName", hash AS "planHash", plan_format AS "planFormat" FROM executions WHERE id = $1',
);
const SEEDS = statement('execution_seeds', 'SELECT seeds FROM executions WHERE id = $1');
const CLAIM_RUN = statement(
  'claim_run',
  `UPDATE executions SET first_execution_run_id = coalesce(first_execution_run_id, $2) WHERE id = $1 RETURNING first_execution_run_id AS "runId"`,
);

/** An execution of this owner; null as owner: whoever's (the system itself, admins' own checks). Undefined when there is none. */
export async function getExecution(db: Database, ownerId: string | null, id: string): Promise<ExecutionRecord | undefined> {
  const [row] = await db.rows<{ owner_id: string }>(GET, [id]);
  return row === undefined || (ownerId !== null && row.owner_id !== ownerId) ? undefined : executionFromRow(row);
}

/** What of an execution never changes, for its activities; undefined when there is no such row. */
export async function getRunIdentity(
  db: Database,
  id: string,
): Promise<
  | {
      readonly ownerId: string;
      readonly sessionId: string;
      readonly workflowName: string;
      readonly planHash: string;
      readonly planFormat: number;
    }
  | undefined
> {
  const [row] = await db.rows<NonNullable<Awaited<ReturnType<typeof getRunIdentity>>>>(IDENTITY, [id]);
  return row;
}

export interface ExecutionFilter extends PageRequest {
  /** Null: of everybody. */
  readonly ownerId: string | null;
  readonly workflowId?: string;
  readonly status?: ExecutionStatus | readonly ExecutionStatus[];
  readonly triggerType?: TriggerType;
  /** ISO instants; `since` included, `until` not. */
  readonly since?: string;
  readonly until?: string;
  /** Part of the workflow's name, any case, or a whole id. */
  readonly q?: string;
  /** Live tests are left out unless asked for. */
  readonly includeTest?: boolean;
}

/** Newest first. */
export async function listExecutions(db: Database, filter: ExecutionFilter): Promise<Page<ExecutionRecord>> {
  const rows = await db.with((prisma) =>
    prisma.execution.findMany({
      where: { AND: [conditionOf(filter), behind(filter.cursor)] },
      orderBy: NEWEST_FIRST,
      take: filter.limit + 1,
      omit: { seeds: true },
    }),
  );
  return toPage(rows, filter.limit, toExecutionRecord);
}

function conditionOf(filter: ExecutionFilter): object {
  const { ownerId, workflowId, status, triggerType, since, until, q } = filter;
  const hidesTests = filter.includeTest !== true && triggerType !== 'test';
  return {
    ...(ownerId === null ? {} : { ownerId }),
    ...(workflowId === undefined ? {} : { workflowId }),
    ...(status === undefined ? {} : { status: { in: [status].flat() } }),
    ...(triggerType === undefined ? (hidesTests ? { triggerType: { not: 'test' } } : {}) : { triggerType }),
    createdAt: { ...(since === undefined ? {} : { gte: new Date(since) }), ...(until === undefined ? {} : { lt: new Date(until) }) },
    ...(q === undefined ? {} : { OR: [{ id: q }, { workflowName: { contains: q, mode: 'insensitive' } }] }),
  };
}

/** Subworkflows that an execution started, newest first. */
export async function listChildren(db: Database, ownerId: string, parentId: string, page: PageRequest): Promise<Page<ExecutionRecord>> {
  const rows = await db.with((prisma) =>
    prisma.execution.findMany({
      where: { AND: [{ ownerId, parentExecutionId: parentId }, behind(page.cursor)] },
      orderBy: NEWEST_FIRST,
      take: page.limit + 1,
      omit: { seeds: true },
    }),
  );
  return toPage(rows, page.limit, toExecutionRecord);
}

/** Executions that rerun this one, newest first. */
export async function listReruns(db: Database, ownerId: string, executionId: string): Promise<ExecutionRecord[]> {
  const rows = await db.with((prisma) =>
    prisma.execution.findMany({ where: { ownerId, rerunOf: executionId }, orderBy: NEWEST_FIRST, omit: { seeds: true } }),
  );
  return rows.map(toExecutionRecord);
}

/** The usage so far of an execution that is open; of an ended one its row has it. */
export async function currentUsage(db: Database, executionId: string): Promise<ExecutionRecord['usage']> {
  const rows = await db.with((prisma) =>
    prisma.step.findMany({
      where: { executionId, seeded: false },
      select: { usage: true },
      orderBy: [{ createdAt: 'asc' }, { instanceKey: 'asc' }],
    }),
  );
  return addUsage(rows.flatMap((row) => (row.usage === null ? [] : [row.usage as unknown as ExecutionRecord['usage']])));
}

/** What an execution starts from, as its workflow takes it; undefined when there is no such row. */
export async function loadStart(
  db: Database,
  id: string,
): Promise<{ readonly execution: ExecutionRecord; readonly start: StartData } | undefined> {
  const execution = await getExecution(db, null, id);
  if (execution === undefined) return undefined;
  const plan = await getPlan(db, execution.hash, execution.planFormat);
  if (plan === undefined) throw new Error(`Execution ${id} has no plan ${execution.hash} of format ${execution.planFormat}`);
  const seeds = await loadSeeds(db, id);
  const { parent } = execution;
  return {
    execution,
    start: {
      engineVersion: execution.engineVersion,
      plan: historyPlan(plan),
      execution: {
        id,
        ownerId: execution.ownerId,
        workflowId: execution.workflowId,
        workflowName: execution.workflowName,
        version: execution.version,
        hash: execution.hash,
        sessionId: execution.sessionId,
        triggerType: execution.trigger.type,
        depth: execution.depth,
        parent:
          parent === null
            ? null
            : { executionId: parent.executionId, stepId: parent.stepId, iterationPath: parent.iterationPath, awaited: parent.awaited },
      },
      variables: execution.variables,
      ...(seeds === undefined ? {} : { seeds }),
    },
  };
}

async function loadSeeds(db: Database, id: string): Promise<readonly Seed[] | undefined> {
  const [row] = await db.rows<{ seeds: readonly Seed[] | null }>(SEEDS, [id]);
  return row?.seeds ?? undefined;
}

/** The first Temporal run to claim an execution has it; the claim may be repeated by the same run. */
export async function claimRun(db: Database, id: string, firstExecutionRunId: string): Promise<'mine' | 'other' | 'not_found'> {
  const [row] = await db.rows<{ runId: string }>(CLAIM_RUN, [id, firstExecutionRunId]);
  if (row === undefined) return 'not_found';
  return row.runId === firstExecutionRunId ? 'mine' : 'other';
}
