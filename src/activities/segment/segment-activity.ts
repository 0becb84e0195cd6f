import { Context } from '@temporalio/activity';
import type { EngineState } from '../../engine/index.js';
import type { ActivityCommand, SegmentResult } from '../../engine/types.js';
import type { Database } from '../../store/database.js';
import { recordEvents } from '../../store/projection.js';
import { haltSegments, recoverSegment } from '../../store/segments.js';
import type { ToolRegistry } from '../../tools/registry.js';
import type { Call, Common } from '../contract.js';
import { persist } from '../persist.js';
import type { RunFacts, RunFactsSource } from '../run-facts.js';
import { isPlatformFault, tryAgain } from '../step-error.js';
import { toolWork } from '../tool-activity.js';
import { CallSlots } from './call-slots.js';
import { FedMachine } from './fed-machine.js';
import { Interruption } from './interruption.js';
import { SegmentGoneError, SegmentRun } from './segment-run.js';

/** What the activity is told: the command, and the state that it runs. */
export type SegmentInputs = Common &
  Omit<Extract<ActivityCommand, { name: 'segment' }>, 'kind' | 'id' | 'name'> & { readonly state: EngineState };

export interface SegmentDependencies {
  readonly db: Database;
  readonly facts: RunFactsSource;
  readonly tools: ToolRegistry;
  /** Aborted when the worker begins to stop. */
  readonly stopping?: AbortSignal;
}

/** As many as a worker runs light activities. */
const CONCURRENT_CALLS = 100;

/**
 * Runs a stretch of light steps in place, with the engine that the host has too (durability §6). A retry goes on behind what the journal
 * holds; it completes normally also when it is halted or aborted.
 * @throws ApplicationFailure, retryable, for faults of the platform and when another attempt has the segment
 */
export function createSegmentActivity(dependencies: SegmentDependencies): (input: SegmentInputs) => Promise<SegmentResult> {
  const slots = new CallSlots(CONCURRENT_CALLS);
  return async (input) => {
    let run: SegmentRun | undefined;
    const interruption = new Interruption(dependencies.stopping, () => run?.nudge());
    try {
      const facts = await dependencies.facts.of(input);
      interruption.endAt(input.state.startedAt + facts.plan.constraints.maxDurationMs);
      if (input.endsAt !== undefined) interruption.limitAt(input.endsAt);
      if (input.recover === true) return await recover(dependencies.db, facts, input);
      const work = toolWork(dependencies.tools, input);
      run = new SegmentRun({ db: dependencies.db, facts, work, interruption, slots }, input, Context.current().info.attempt);
      return await run.run();
    } catch (error) {
      if (error instanceof SegmentGoneError) return gone(error);
      return again(error);
    } finally {
      interruption.close();
    }
  };
}

/** Asks segments to start nothing more; they see it with their next step. Writes what it carries, as every activity does. */
export const createHaltSegmentsActivity =
  (db: Database) =>
  async ({ executionId, carry, segments }: Call & { readonly segments: readonly string[] }): Promise<void> => {
    await haltSegments(db, executionId, segments);
    await recordEvents(db, executionId, carry);
  };

/** Fences every attempt off, and tells what they had been fed. */
async function recover(db: Database, facts: RunFacts, { executionId, segment, carry, state }: SegmentInputs): Promise<SegmentResult> {
  const journal = await persist(() => recoverSegment(db, { executionId, segment }, carry));
  if (journal === 'closed') return CLOSED;
  if (journal === undefined) return { of: 'segment', inputs: [], hash: null, late: [], lost: true };
  const fed = new FedMachine(facts.plan, state);
  fed.replay(journal);
  return { of: 'segment', inputs: journal, hash: fed.hash(), late: [], lost: true };
}

/** The execution's row has ended under the workflow, which is to end too. */
const CLOSED: SegmentResult = { of: 'segment', inputs: [], hash: null, late: [], closed: true };

function gone({ why }: SegmentGoneError): SegmentResult {
  if (why === 'closed') return CLOSED;
  throw tryAgain('superseded', 'A later attempt has the segment');
}

function again(error: unknown): never {
  if (isPlatformFault(error)) throw tryAgain('unavailable', (error as Error).message, error);
  throw error;
}
