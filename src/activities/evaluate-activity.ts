import { evaluate } from '../definition/expression/evaluate.js';
import { render } from '../definition/template/render.js';
import { privateRef } from '../definition/private-ref.js';
import { listValue, objectValue, wholeRefOf } from '../definition/value-parts.js';
import { jsonBytes, LARGE_VALUE_BYTES } from '../definition/json-size.js';
import { type Json, NULL_VALUE, type Value, wholeRef } from '../definition/value.js';
import { chunkOf } from '../engine/list-chunk.js';
import { sourceAt } from '../engine/sites.js';
import type { ActivityCommand, Warning } from '../engine/types.js';
import { StepFault } from '../tools/step-fault.js';
import type { Common } from './contract.js';
import { FullScope } from './full-scope.js';
import { toInlineOrRef, type PutValue } from './large-values.js';
import type { RunFacts, RunFactsSource } from './run-facts.js';
import { redactingFaults, toActivityFailure } from './step-error.js';
import type { CarryWriter } from './carry-writer.js';

/** Which expression, and what it may see. */
export type EvaluateCall = Omit<Extract<ActivityCommand, { name: 'evaluate' }>, 'kind' | 'id' | 'name'>;
type EvaluateInput = Common & EvaluateCall;
type StoreInput = Common & Omit<Extract<ActivityCommand, { name: 'store' }>, 'kind' | 'id' | 'name'>;
export interface Evaluated {
  readonly value: Value;
  readonly warnings?: readonly Warning[];
}

/** Evaluates what the host may not. Its faults carry the step's error; repeats give the same, as times and scope are in the input. */
export function createEvaluateActivity(facts: RunFactsSource, carry: CarryWriter): (input: EvaluateInput) => Promise<Evaluated> {
  return async (input) => {
    try {
      await carry.write(input);
      const run = await facts.of(input);
      return await redactingFaults(run.redactor, input.instance, input.nowMs, () => evaluateSite(run, input));
    } catch (error) {
      throw toActivityFailure(error, input.instance, input.nowMs);
    }
  };
}

/**
 * Evaluates one expression of the plan, whatever it has to read; the same in an activity of its own and in a segment.
 * @throws the evaluation's faults, which may hold secrets, and faults of the platform
 */
export async function evaluateSite(run: RunFacts, call: EvaluateCall, limitBytes = LARGE_VALUE_BYTES): Promise<Evaluated> {
  const full = new FullScope(call.scope, call.nowMs, run.getValue, run.secrets);
  const value = await valueAt(full, run, call, limitBytes);
  const { warnings } = full;
  return { value, ...(warnings.length === 0 ? {} : { warnings }) };
}

/** At most so much inline, secrets out of it. */
async function valueAt(full: FullScope, { plan, redactor, putValue }: RunFacts, input: EvaluateCall, limitBytes: number): Promise<Value> {
  const site = sourceAt(plan, input.site);
  switch (site.kind) {
    case 'items':
      return await chunkAt(full, putValue, input, site.from);
    case 'results':
      return await kept({ v: await joinedLists(full, input) }, full, putValue, input.site.field).then((value) =>
        bounded(value, full, putValue, limitBytes),
      );
    case 'expression': {
      const value = await full.run((reader) => evaluate(site.source, reader, 'full') ?? NULL_VALUE);
      return await bounded(
        await kept({ ...value, v: redactor.json(value.v) }, full, putValue, input.site.field),
        full,
        putValue,
        limitBytes,
      );
    }
    case 'template': {
      const value = await full.run((reader) => render(site.source, reader, 'full'));
      return await bounded(
        await kept({ ...value, v: redactor.json(value.v) }, full, putValue, input.site.field),
        full,
        putValue,
        limitBytes,
      );
    }
    default:
      return site satisfies never;
  }
}

/** Inline when it is small, else stored whole: what is stored is plain JSON, so references in it are read first. */
async function bounded(value: Value, full: FullScope, put: PutValue, limitBytes: number): Promise<Value> {
  return jsonBytes(value.v) > limitBytes ? wholeRef(await put(await full.plain(value))) : value;
}

/** Fields whose text the engine itself must see: a time, a name, the message of a `stop`. */
const READ_BY_ENGINE: ReadonlySet<string> = new Set(['duration', 'until_instant', 'event', 'message', 'thread']);

/** What was made of an agent's words is by reference too, whatever its size; a number or a truth tells nobody what was said. */
async function kept(value: Value, full: FullScope, put: PutValue, field: string): Promise<Value> {
  if (!full.isPrivate || READ_BY_ENGINE.has(field) || wholeRefOf(value) !== undefined) return value;
  if (value.v === null || typeof value.v === 'number' || typeof value.v === 'boolean')
    return value.refs === undefined ? value : await hidden();
  return await hidden();

  async function hidden(): Promise<Value> {
    return wholeRef(privateRef(await put(await full.plain(value))));
  }
}

/** The results of a loop, whose earlier ones were stored in lists. */
async function joinedLists(full: FullScope, input: EvaluateCall): Promise<Json> {
  const lists = await full.plain(input.scope['loop']?.['results'] ?? NULL_VALUE);
  return (lists as readonly (readonly Json[])[]).flat();
}

async function chunkAt(full: FullScope, put: PutValue, input: EvaluateCall, from: number): Promise<Value> {
  const list = await full.plain(input.scope['loop']?.['list'] ?? NULL_VALUE);
  const chunk = chunkOf(list, from);
  if (chunk === undefined) {
    const type = list === null ? 'null' : typeof list;
    throw new StepFault('loop_over_not_array', `Loop ${input.site.stepId} can only go over a list, not ${type}`, { details: { type } });
  }
  const items = await Promise.all(chunk.items.map(async (item) => await kept(await toInlineOrRef(item, put), full, put, 'items')));
  return objectValue([
    ['length', { v: chunk.length }],
    ['items', listValue(items)],
  ]);
}

/** Stores values for the engine, whose inline state has grown too large; answers with references in the same order. */
export function createStoreActivity(facts: RunFactsSource, carry: CarryWriter): (input: StoreInput) => Promise<readonly Value[]> {
  return async (input) => {
    try {
      await carry.write(input);
      const { getValue, putValue } = await facts.of(input);
      const full = new FullScope({}, 0, getValue, new Map());
      return await Promise.all(input.values.map(async (value) => wholeRef(await putValue(await full.plain(value)))));
    } catch (error) {
      throw toActivityFailure(error, input.instance, Date.now());
    }
  };
}
