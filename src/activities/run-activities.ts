/** Activities about the run as a whole: most are local, so they are short, may repeat, and have no heartbeat. */
import { toDisplay } from '../definition/value-parts.js';
import type { Json } from '../definition/value.js';
import type { ActivityCommand, ExecutionOutcome, StartData, StepAnswer } from '../engine/types.js';
import { getCommands, markDelivered } from '../store/commands.js';
import type { Database } from '../store/database.js';
import { beginCancel, settleExecution, type Settled } from '../store/end-execution.js';
import { isEnded, type ExecutionRecord } from '../store/execution-record.js';
import { claimRun, loadStart } from '../store/executions.js';
import { recordEvents } from '../store/projection.js';
import type { Common } from './contract.js';
import type { StepJournal } from './record-step.js';
import { answered } from './step-error.js';

type RecoverInput = Common & Omit<Extract<ActivityCommand, { name: 'recover' }>, 'kind' | 'id' | 'name'>;
export interface RunParts {
  readonly db: Database;
  readonly journal: StepJournal;
  /** Called for every end of a row that this process brought about: tells the parent, and whoever else has to know. */
  afterSettled(settled: Settled): void;
}

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
  async ({ executionId, carry }: Common): Promise<void> => {
    await recordEvents(db, executionId, carry);
  };

/** Ends the execution with its last events. The row decides: a cancel or the reconciler may have been first. */
export const createSettleActivity =
  (parts: RunParts) =>
  async ({
    executionId,
    carry,
    outcome,
  }: Common & { readonly outcome: ExecutionOutcome }): Promise<{ readonly outcome: ExecutionOutcome }> => {
    const settled = await settleExecution(parts.db, executionId, carry, outcome);
    if (settled === undefined) return { outcome };
    parts.afterSettled(settled);
    return { outcome: settled.outcome };
  };

/** The row goes to `cancelling` and its gates close, unless a cancel through the API has done so; then its reason and author stand. */
export const createBeginCancelActivity =
  (parts: RunParts) =>
  async (
    input: Common & { readonly reason: string | null },
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
  (db: Database) =>
  async (input: {
    readonly executionId: string | null;
    readonly triggerId?: string;
    readonly firstExecutionRunId: string;
  }): Promise<{ readonly start: StartData | null; readonly outcome?: Json }> => {
    const { executionId, firstExecutionRunId } = input;
    if (executionId === null) return { start: null, outcome: { status: 'error', reason: 'this deployment starts no scheduled runs' } };
    const claim = await claimRun(db, executionId, firstExecutionRunId);
    if (claim !== 'mine') return { start: null, outcome: { status: claim === 'other' ? 'duplicate' : 'not_found', executionId } };
    const loaded = await loadStart(db, executionId);
    if (loaded === undefined) return { start: null, outcome: { status: 'not_found', executionId } };
    return isEnded(loaded.execution.status) ? { start: null, outcome: endOf(loaded.execution) } : { start: loaded.start };
  };

const endOf = ({ id, status, reason }: ExecutionRecord): Json => ({ status, executionId: id, reason });
