/** Keeping the state small: above 128 KB of inline values the largest are stored and become references (durability §5). */
import { listValue, type Value, wholeRefOf } from '../definition/runtime.js';
import { fingerprint } from './fingerprint.js';
import { holdingsOf, type ResultChunk, resultChunksOf } from './inline-values.js';
import { roughBytes } from './rough-size.js';
import { type Run, wake } from './run.js';
import { type EngineState, ROOT_FIBER } from './state.js';
import type { ActivityResult } from './types.js';

/** Inline values of a state are together at most this; the largest go until what is left is a good way below. */
const INLINE_LIMIT_BYTES = 128 * 1024;
const INLINE_GOAL_BYTES = 64 * 1024;
/** The state is measured after this much has been published, and a value smaller than `SMALL` stays. */
const MEASURE_AFTER_BYTES = 16 * 1024;
const SMALL_BYTES = 512;
/** One order carries at most this much: an activity's arguments stay below 1 MB. */
const ORDER_LIMIT_BYTES = 768 * 1024;
/** A larger value goes alone, up to this: one payload is 2 MiB at most. */
const ALONE_LIMIT_BYTES = 1536 * 1024;

interface Candidate {
  readonly address: string;
  readonly value: Value;
  readonly bytes: number;
  readonly passes: number;
}

/** Notes what was published, so that a state is measured only when it may have grown. */
export function noteGrowth(state: EngineState, value: Value): void {
  state.grown += roughBytes(value);
}

/** Orders `store` for the largest inline values when there are too many. One order at a time. */
export function boundInlineValues(run: Run): void {
  const { state } = run;
  if (state.grown < MEASURE_AFTER_BYTES || state.storing !== null || state.ending !== null) return;
  state.grown = 0;
  const candidates = candidatesOf(state);
  const total = candidates.reduce((sum, { bytes }) => sum + bytes, 0);
  if (total <= INLINE_LIMIT_BYTES) return;
  const chosen = largest(candidates, total);
  if (chosen.length > 0) orderStore(run, chosen);
}

function candidatesOf(state: EngineState): Candidate[] {
  const held = holdingsOf(state).map(({ address, value }) => ({ address, value, bytes: roughBytes(value), passes: 0 }));
  const all = [...held, ...resultChunksOf(state).map(chunkCandidate)];
  if (state.segments === undefined) return all;
  // What a segment has with it comes back as it was.
  const away = new Set(Object.values(state.segments).map(({ given }) => given.segment?.fiber));
  return all.filter(({ address }) => !away.has(address.slice(0, address.indexOf('/'))));
}

/** As many of the passes as one order carries; the rest goes with a later one. */
function chunkCandidate({ address, loop, passes: most }: ResultChunk): Candidate {
  let [passes, bytes] = [0, 0];
  for (const result of loop.results.slice(0, most)) {
    const more = roughBytes(result);
    if (passes > 0 && bytes + more > ORDER_LIMIT_BYTES) break;
    bytes += more;
    passes += 1;
  }
  return { address, value: listValue(loop.results.slice(0, passes)), bytes, passes };
}

function largest(candidates: readonly Candidate[], total: number): Candidate[] {
  const chosen: Candidate[] = [];
  let [left, ordered] = [total, 0];
  for (const candidate of candidates.toSorted((a, b) => b.bytes - a.bytes)) {
    if (left <= INLINE_GOAL_BYTES || candidate.bytes < SMALL_BYTES) break;
    if (wholeRefOf(candidate.value) !== undefined) continue;
    const limit = chosen.length === 0 ? ALONE_LIMIT_BYTES : ORDER_LIMIT_BYTES;
    if (ordered + candidate.bytes > limit) continue;
    left -= candidate.bytes;
    ordered += candidate.bytes;
    chosen.push(candidate);
  }
  return chosen;
}

function orderStore(run: Run, chosen: readonly Candidate[]): void {
  const { state } = run;
  const id = `store.${run.nextSerial()}`;
  const instance = { stepId: '', iterationPath: '', attempt: 1 };
  state.calls[id] = { fiber: ROOT_FIBER, name: 'store', instance };
  state.storing = { id, places: chosen.map(({ address, value, passes }) => ({ address, passes, print: printOf(value) })) };
  run.order({ kind: 'activity', id, name: 'store', instance, values: chosen.map(({ value }) => value) });
}

/** Puts the references where the values still are as they were sent; what was overwritten meanwhile keeps its new value. */
export function takeStored(run: Run, id: string, result: ActivityResult): void {
  const { state } = run;
  const { storing } = state;
  if (storing?.id !== id) return;
  state.storing = null;
  if (result.of === 'values') {
    exchange(state, storing.places, result.values);
    // One order carries a part: what was published at once may be many times more.
    state.grown = Math.max(state.grown, MEASURE_AFTER_BYTES);
  }
  for (const fiber of Object.values(state.fibers)) if (fiber.wait?.on === 'store') wake(run, fiber);
  const root = run.fiber(ROOT_FIBER);
  if (root !== undefined && root.end !== null) wake(run, root);
}

function exchange(state: EngineState, places: NonNullable<EngineState['storing']>['places'], values: readonly Value[]): void {
  const held = new Map(holdingsOf(state).map((holding) => [holding.address, holding]));
  const chunks = new Map(resultChunksOf(state).map((chunk) => [chunk.address, chunk]));
  places.forEach(({ address, passes, print }, index) => {
    const stored = values[index];
    const [holding, chunk] = [held.get(address), chunks.get(address)];
    if (stored === undefined) return;
    if (holding !== undefined && printOf(holding.value) === print) holding.replace(stored);
    if (chunk === undefined || passes === 0) return;
    chunk.loop.results.splice(0, passes);
    chunk.loop.storedPasses += passes;
    chunk.loop.stored.push(stored);
  });
}

/** Whether a place still holds what was sent, without keeping it twice. */
const printOf = (value: Value): string => fingerprint(JSON.stringify(value));
