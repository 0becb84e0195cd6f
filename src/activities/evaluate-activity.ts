import { evaluate } from '../definition/expression/evaluate.js';
import { render } from '../definition/template/render.js';
import { listValue, objectValue } from '../definition/value-parts.js';
import { isLarge } from '../definition/json-size.js';
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

type EvaluateInput = Common & Omit<Extract<ActivityCommand, { name: 'evaluate' }>, 'kind' | 'id' | 'name'>;
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
      const full = new FullScope(input.scope, input.nowMs, run.getValue, run.secrets);
      const value = await redactingFaults(run.redactor, input.instance, input.nowMs, () => valueAt(full, run, input));
      const { warnings } = full;
      return { value, ...(warnings.length === 0 ? {} : { warnings }) };
    } catch (error) {
      throw toActivityFailure(error, input.instance, input.nowMs);
    }
  };
}

/** At most 32 KB inline, secrets out of it. */
async function valueAt(full: FullScope, { plan, redactor, putValue }: RunFacts, input: EvaluateInput): Promise<Value> {
  const site = sourceAt(plan, input.site);
  switch (site.kind) {
    case 'items':
      return await chunkAt(full, putValue, input, site.from);
    case 'results':
      return await toInlineOrRef(await joinedLists(full, input), putValue);
    case 'expression': {
      const value = await full.run((reader) => evaluate(site.source, reader, 'full') ?? NULL_VALUE);
      return await bounded({ ...value, v: redactor.json(value.v) }, full, putValue);
    }
    case 'template': {
      const value = await full.run((reader) => render(site.source, reader, 'full'));
      return await bounded({ ...value, v: redactor.json(value.v) }, full, putValue);
    }
    default:
      return site satisfies never;
  }
}

/** Inline when it is small, else stored whole: what is stored is plain JSON, so references in it are read first. */
async function bounded(value: Value, full: FullScope, put: PutValue): Promise<Value> {
  return isLarge(value.v) ? wholeRef(await put(await full.plain(value))) : value;
}

/** The results of a loop, whose earlier ones were stored in lists. */
async function joinedLists(full: FullScope, input: EvaluateInput): Promise<Json> {
  const lists = await full.plain(input.scope['loop']?.['results'] ?? NULL_VALUE);
  return (lists as readonly (readonly Json[])[]).flat();
}

async function chunkAt(full: FullScope, put: PutValue, input: EvaluateInput, from: number): Promise<Value> {
  const list = await full.plain(input.scope['loop']?.['list'] ?? NULL_VALUE);
  const chunk = chunkOf(list, from);
  if (chunk === undefined) {
    const type = list === null ? 'null' : typeof list;
    throw new StepFault('loop_over_not_array', `Loop ${input.site.stepId} can only go over a list, not ${type}`, { details: { type } });
  }
  const items = await Promise.all(chunk.items.map((item) => toInlineOrRef(item, put)));
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
