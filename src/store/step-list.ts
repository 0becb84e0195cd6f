import type { Json, Value } from '../definition/value.js';
import type { StepError, StepInstance, TokenUsage, Warning } from '../engine/types.js';
import type { Step } from '../generated/prisma/client.js';
import type { Database } from './database.js';
import { iso } from './execution-record.js';
import { instanceKey } from './ids.js';
import type { StepStatus } from './step-change.js';
import { camelRow, statement } from './statement.js';

/** A step instance's row. Instants are ISO texts. */
export interface StepRecord extends StepInstance {
  readonly executionId: string;
  readonly type: string;
  readonly status: StepStatus;
  readonly input: Value | null;
  readonly output: Value | null;
  readonly error: StepError | null;
  /** What a container chose: branch, list, passes. */
  readonly choice: Json;
  readonly warnings: readonly Warning[];
  readonly usage: TokenUsage | null;
  readonly model: string | null;
  readonly turnIds: readonly string[];
  readonly seeded: boolean;
  readonly createdAt: string;
  readonly startedAt: string | null;
  readonly completedAt: string | null;
}

export const STEP_COLUMNS =
  'execution_id, step_id, iteration_path, attempt, type, status, input, output, error, choice, warnings, usage, model, turn_ids, seeded, created_at, started_at, completed_at';
const LIST = statement(
  'list_steps',
  `SELECT ${STEP_COLUMNS} FROM steps WHERE execution_id = $1 AND owner_id = $2 ORDER BY created_at, started_at NULLS FIRST, instance_key`,
);
const FIRST_FAILED = statement(
  'first_failed_step',
  `SELECT ${STEP_COLUMNS} FROM steps WHERE execution_id = $1 AND status = 'failed' ORDER BY completed_at, created_at, instance_key LIMIT 1`,
);
const GET = statement('get_step', `SELECT ${STEP_COLUMNS} FROM steps WHERE execution_id = $1 AND instance_key = $2`);

/** All step rows of an execution of this owner, in order of creation. Definition order is the caller's, who has the plan. */
export async function listSteps(db: Database, ownerId: string, executionId: string): Promise<StepRecord[]> {
  return mirrorContainers((await db.rows(LIST, [executionId, ownerId])).map(toStepRecord));
}

/** The step instance whose failure came first; undefined when none is recorded. */
export async function firstFailedStep(db: Database, executionId: string): Promise<StepRecord | undefined> {
  const [row] = await db.rows(FIRST_FAILED, [executionId]);
  return row === undefined ? undefined : toStepRecord(row);
}

const OPEN_STATUSES = ['running', 'waiting_approval', 'waiting_event'] as const;

/** An open container has the state of what is open in it: it waits when all of that waits, an approval before anything else. Pure. */
export function mirrorContainers(steps: readonly StepRecord[]): StepRecord[] {
  const inside = new Map<string, Set<StepStatus>>();
  for (const step of steps) {
    if (!CONTAINERS.has(step.type) && OPEN_STATUSES.some((status) => status === step.status)) {
      for (const container of containersOf(step.iterationPath))
        inside.set(container, (inside.get(container) ?? new Set()).add(step.status));
    }
  }
  return steps.map((step) => {
    const open = step.status === 'running' && CONTAINERS.has(step.type) ? inside.get(`${step.iterationPath} ${step.stepId}`) : undefined;
    const status = OPEN_STATUSES.find((each) => open?.has(each));
    return status === undefined ? step : { ...step, status };
  });
}

const CONTAINERS: ReadonlySet<string> = new Set(['conditional', 'switch', 'loop', 'parallel', 'try']);

/** `path id` of each container that an iteration path goes through. */
function containersOf(iterationPath: string): string[] {
  if (iterationPath === '') return [];
  const segments = iterationPath.split('/');
  return segments.map((segment, index) => `${segments.slice(0, index).join('/')} ${segment.slice(0, segment.lastIndexOf(':'))}`);
}

/** One step instance. */
export async function getStep(db: Database, executionId: string, instance: StepInstance): Promise<StepRecord | undefined> {
  const [row] = await db.rows(GET, [executionId, instanceKey(instance)]);
  return row === undefined ? undefined : toStepRecord(row);
}

/** A row as `pg` gives it. */
export function toStepRecord(raw: object): StepRecord {
  const row = camelRow<Step>(raw);
  return {
    executionId: row.executionId,
    stepId: row.stepId,
    iterationPath: row.iterationPath,
    attempt: row.attempt,
    type: row.type,
    status: row.status as StepStatus,
    input: row.input as unknown as Value | null,
    output: row.output as unknown as Value | null,
    error: row.error as unknown as StepError | null,
    choice: row.choice as Json,
    warnings: (row.warnings ?? []) as unknown as readonly Warning[],
    usage: row.usage as unknown as TokenUsage | null,
    model: row.model,
    turnIds: (row.turnIds ?? []) as readonly string[],
    seeded: row.seeded,
    createdAt: row.createdAt.toISOString(),
    startedAt: iso(row.startedAt),
    completedAt: iso(row.completedAt),
  };
}
