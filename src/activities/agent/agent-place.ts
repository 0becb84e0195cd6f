/** Where an agent's exchange stands in a run, and what a thread's entries point to. */
import type { StepInstance } from '../../engine/types.js';
import type { Database } from '../../store/database.js';
import { getRunIdentity } from '../../store/executions.js';
import type { TranscriptRef } from '../../store/transcript.js';
import type { TurnPlace } from '../../store/turn-record.js';
import type { Common } from '../contract.js';
import type { GetValue } from '../full-scope.js';

/** An activity of an agent step. */
export interface AgentCallInput extends Common {
  readonly instance: StepInstance;
  readonly nowMs: number;
  readonly thread: string;
  readonly entries: readonly string[];
}

/** The turns of an agent step are its author's: the step's name. */
export function placeOf(input: Omit<AgentCallInput, 'entries' | 'nowMs'>, author: string): Omit<TurnPlace, 'call'> {
  const { ownerId, sessionId, executionId, instance, thread } = input;
  return { ownerId, sessionId, thread, author, of: { executionId, instance } };
}

/** A thread's exchanges in order, stored lists read. `sessionId` is where each was shown. */
export async function exchangesOf(
  db: Database,
  input: Pick<AgentCallInput, 'executionId' | 'sessionId' | 'ownerId' | 'entries'>,
  getValue: GetValue,
): Promise<readonly (TranscriptRef & { readonly sessionId: string })[]> {
  const names = await expanded(input.entries, getValue);
  const sessions = new Map<string, string>([[input.executionId, input.sessionId]]);
  const found: (TranscriptRef & { readonly sessionId: string })[] = [];
  for (const name of names) {
    const ref = toRef(name, input.executionId);
    const sessionId = sessions.get(ref.executionId) ?? (await sessionOf(db, input.ownerId, ref.executionId));
    sessions.set(ref.executionId, sessionId);
    found.push({ ...ref, sessionId });
  }
  return found;
}

/** Another owner's, or a deleted, execution has said nothing. */
async function sessionOf(db: Database, ownerId: string, executionId: string): Promise<string> {
  const run = await getRunIdentity(db, executionId);
  return run === undefined || run.ownerId !== ownerId ? '' : run.sessionId;
}

/** The entries with stored lists in their place. */
export async function expanded(entries: readonly string[], getValue: GetValue): Promise<readonly string[]> {
  const lists = await Promise.all(
    entries.map(async (entry) =>
      entry.startsWith('@') ? expanded(((await getValue(entry.slice(1)))?.v ?? []) as string[], getValue) : [entry],
    ),
  );
  return lists.flat();
}

/** `path/step#attempt`, with `exe_…!` before it when it is another execution's. Pure. */
function toRef(entry: string, executionId: string): TranscriptRef {
  const mark = entry.indexOf('!');
  const place = entry.slice(mark + 1);
  const hash = place.lastIndexOf('#');
  const slash = place.lastIndexOf('/', hash);
  return {
    executionId: mark < 0 ? executionId : entry.slice(0, mark),
    stepId: place.slice(slash + 1, hash),
    iterationPath: slash < 0 ? '' : place.slice(0, slash),
    attempt: Number(place.slice(hash + 1)),
  };
}
