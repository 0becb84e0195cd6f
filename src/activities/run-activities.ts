/** Activities about the run as a whole: most are local, so they are short, may repeat, and have no heartbeat. */
import { activityInfo } from '@temporalio/activity';
import { jsonBytes } from '../definition/json-size.js';
import { toDisplay } from '../definition/value-parts.js';
import type { Json } from '../definition/value.js';
import type { ActivityCommand, ExecutionOutcome, Seed, StartData, StepAnswer } from '../engine/types.js';
import { getCommands, markDelivered } from '../store/commands.js';
import type { Database } from '../store/database.js';
import { beginCancel, settleExecution, type Settled } from '../store/end-execution.js';
import { isEnded, type ExecutionRecord } from '../store/execution-record.js';
import { claimRun, loadStart } from '../store/executions.js';
import { recordEvents } from '../store/projection.js';
import type { Call, CoreActivities } from './contract.js';
import type { StepJournal } from './record-step.js';
import { answered } from './step-error.js';

type RecoverInput = Call & Omit<Extract<ActivityCommand, { name: 'recover' }>, 'kind' | 'id' | 'name'>;
export interface RunParts {
  readonly db: Database;
  readonly journal: StepJournal;
  /** Called for every end of a row that this process brought about: tells the parent, and whoever else has to know. */
  afterSettled(settled: Settled): void;
}

/** Claims the tick of a run that a Schedule has started (operations/triggers/start-tick.ts). */
export type StartTick = (tick: {
  readonly triggerId: string;
  readonly workflowId: string;
  readonly firstExecutionRunId: string;
}) => Promise<{ readonly kind: 'start'; readonly executionId: string } | { readonly kind: 'nothing'; readonly outcome: Json }>;

/** Who asked, when Temporal's own cancel came without ours. */
const OPERATOR: Json = { id: 'operator', name: 'Temporal operator' };

/** Fences off a step whose activity gave no answer, and says how its row stands. */
export const createRecoverActivity =
  (journal: StepJournal) =>
  async (input: RecoverInput): Promise<StepAnswer> => {
    const { executionId, carry, instance, stepType, settle } = input;
    const error = settle.ended === 'failed' ? { ...settle.error, ...instance } : undefined;
    const answer: StepAnswer = settle.ended === 'failed' && error !== undefined ? { ...settle, error } : settle;
    return answered(await journal.recover({ executionId, carry, instance, stepType, answer, data: dataOf(answer) }));
  };

function dataOf(answer: StepAnswer): { readonly [key: string]: Json } {
  if (answer.ended === 'failed') return { error: answer.error as unknown as Json };
  return answer.ended === 'completed' ? { output: toDisplay(answer.output) } : {};
}

export const createFlushActivity =
  (db: Database) =>
  async ({ executionId, carry }: Call): Promise<{ readonly closed: boolean }> => {
    const { closed } = await recordEvents(db, executionId, carry);
    return { closed };
  };

/** Ends the execution with its last events. The row decides: a cancel or the reconciler may have been first. */
export const createSettleActivity =
  (parts: RunParts) =>
  async ({
    executionId,
    carry,
    outcome,
  }: Call & { readonly outcome: ExecutionOutcome }): Promise<{ readonly outcome: ExecutionOutcome }> => {
    const settled = await settleExecution(parts.db, executionId, carry, outcome);
    if (settled === undefined) return { outcome };
    parts.afterSettled(settled);
    return { outcome: settled.outcome };
  };

/** The row goes to `cancelling` and its gates close, unless a cancel through the API has done so; then its reason and author stand. */
export const createBeginCancelActivity =
  (parts: RunParts) =>
  async (
    input: Call & { readonly reason: string | null },
  ): Promise<{ readonly proceed: boolean; readonly reason: string | null; readonly by: Json }> => {
    const { executionId, carry, reason } = input;
    // First what has happened: a row that was never seen to run would end at once, without its clean-up.
    await recordEvents(parts.db, executionId, carry);
    const result = await beginCancel(parts.db, executionId, { ownerId: null, by: OPERATOR, reason });
    if (result.kind === 'cancelled') {
      parts.afterSettled(result);
      await markDelivered(parts.db, [result.commandId]);
    }
    if (result.kind !== 'cancelling') return { proceed: false, reason, by: OPERATOR };
    const [command] = await getCommands(parts.db, [result.commandId]);
    await markDelivered(parts.db, [result.commandId]);
    return { proceed: true, reason: result.execution.reason, by: command?.by ?? OPERATOR };
  };

/** What a child, rerun or scheduled run starts from. A row that has ended, or that another Temporal run has claimed, starts nothing. */
export const createLoadActivity =
  (db: Database, startTick: StartTick): CoreActivities['load'] =>
  async ({ executionId: given, triggerId = '', firstExecutionRunId, seedsFrom }) => {
    // A Schedule names its runs by itself: the execution's id is the workflow's.
    const tick = given === null ? await startTick({ triggerId, workflowId: workflowIdOfActivity(), firstExecutionRunId }) : undefined;
    if (tick?.kind === 'nothing') return { start: null, outcome: tick.outcome };
    const executionId = tick?.executionId ?? given ?? '';
    const claim = await claimRun(db, executionId, firstExecutionRunId);
    if (claim !== 'mine') return { start: null, outcome: { status: claim === 'other' ? 'duplicate' : 'not_found', executionId } };
    const loaded = await loadStart(db, executionId);
    if (loaded === undefined) return { start: null, outcome: { status: 'not_found', executionId } };
    // Also where the row has ended meanwhile: the run has begun to load, and finds out by itself.
    if (seedsFrom !== undefined) return { start: null, ...seedPage(loaded.start.seeds ?? [], seedsFrom, ANSWER_BYTES) };
    if (isEnded(loaded.execution.status)) return { start: null, outcome: endOf(loaded.execution) };
    return withFirstSeeds(loaded.start);
  };

const workflowIdOfActivity = (): string => activityInfo().workflowExecution?.workflowId ?? '';

/** One answer is one payload: Temporal takes 2 MiB. */
const ANSWER_BYTES = 1024 * 1024;

function withFirstSeeds(start: StartData): { readonly start: StartData; readonly nextSeed?: number } {
  if (start.seeds === undefined) return { start };
  const { seeds, ...rest } = start;
  const page = seedPage(seeds, 0, ANSWER_BYTES - jsonBytes(rest as unknown as Json));
  return { start: { ...rest, seeds: page.seeds }, ...(page.nextSeed === undefined ? {} : { nextSeed: page.nextSeed }) };
}

/** As many seeds from there on as fit, one at least where there is room for any. Each is some 100 KB at most. Pure. */
export function seedPage(
  all: readonly Seed[],
  from: number,
  bytes: number,
): { readonly seeds: readonly Seed[]; readonly nextSeed?: number } {
  let left = bytes;
  let end = from;
  for (const seed of all.slice(from)) {
    left -= jsonBytes(seed as unknown as Json);
    if (left < 0 && (end > from || bytes <= 0)) break;
    end += 1;
  }
  return end < all.length ? { seeds: all.slice(from, end), nextSeed: end } : { seeds: all.slice(from) };
}

const endOf = ({ id, status, reason }: ExecutionRecord): Json => ({ status, executionId: id, reason });
