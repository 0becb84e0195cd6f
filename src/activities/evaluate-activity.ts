import { evaluate } from '../definition/expression/evaluate.js';
import { render } from '../definition/template/render.js';
import { privateRef } from '../definition/private-ref.js';
import { listValue, wholeRefOf } from '../definition/value-parts.js';
import { LARGE_VALUE_BYTES, valueBytes } from '../definition/json-size.js';
import { NULL_VALUE, type Value, wholeRef } from '../definition/value.js';
import { chunkAnswer, chunkOf, itemAt } from '../engine/list-chunk.js';
import { sourceAt } from '../engine/sites.js';
import type { ActivityCommand, Warning } from '../engine/types.js';
import { StepFault } from '../tools/step-fault.js';
import type { Common } from './contract.js';
import { FullScope } from './full-scope.js';
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
async function valueAt(full: FullScope, facts: RunFacts, input: EvaluateCall, limitBytes: number): Promise<Value> {
  const site = sourceAt(facts.plan, input.site);
  const { field } = input.site;
  switch (site.kind) {
    case 'items':
      return await chunkAt(full, facts, input, site.from);
    case 'results':
      return await bounded(await kept(await joinedLists(full, input), full, facts, field), facts, limitBytes);
    case 'expression': {
      const value = await full.run((reader) => evaluate(site.source, reader, 'full') ?? NULL_VALUE);
      return await bounded(await kept(redacted(value, facts), full, facts, field), facts, limitBytes);
    }
    case 'template': {
      const value = await full.run((reader) => render(site.source, reader, 'full'));
      return await bounded(await kept(redacted(value, facts), full, facts, field), facts, limitBytes);
    }
    default:
      return site satisfies never;
  }
}

const redacted = (value: Value, { redactor }: RunFacts): Value => ({ ...value, v: redactor.json(value.v) });

/** Inline when it is small, else stored whole; stored values that it stands upon are not read for it. */
async function bounded(value: Value, { storeValue }: Pick<RunFacts, 'storeValue'>, limitBytes = LARGE_VALUE_BYTES): Promise<Value> {
  return valueBytes(value) > limitBytes && wholeRefOf(value) === undefined ? wholeRef(await storeValue(value)) : value;
}

/** Fields whose text the engine itself must see: a time, a name, the message of a `stop`. */
const READ_BY_ENGINE: ReadonlySet<string> = new Set(['duration', 'until_instant', 'event', 'message', 'thread']);

/** What was made of an agent's words is by reference too, whatever its size; a number or a truth tells nobody what was said. */
async function kept(value: Value, full: FullScope, { putValue }: RunFacts, field: string): Promise<Value> {
  if (!full.isPrivate || READ_BY_ENGINE.has(field) || wholeRefOf(value) !== undefined) return value;
  if (value.v === null || typeof value.v === 'number' || typeof value.v === 'boolean')
    return value.refs === undefined ? value : await hidden();
  return await hidden();

  async function hidden(): Promise<Value> {
    return wholeRef(privateRef(await putValue(await full.plain(value))));
  }
}

/** The results of a loop, whose earlier ones were stored in lists. */
async function joinedLists(full: FullScope, input: EvaluateCall): Promise<Value> {
  const lists = itemsOf(input.scope['loop']?.['results'] ?? NULL_VALUE);
  const opened: Value[] = [];
  for (const list of lists) opened.push(await full.opened(list));
  return listValue(opened.flatMap(itemsOf));
}

function itemsOf(list: Value): Value[] {
  return Array.isArray(list.v) ? list.v.map((_item, index) => itemAt(list, index)) : [];
}

async function chunkAt(full: FullScope, facts: RunFacts, input: EvaluateCall, from: number): Promise<Value> {
  const list = await full.opened(input.scope['loop']?.['list'] ?? NULL_VALUE);
  const chunk = chunkOf(list, from);
  if (chunk === undefined) {
    const type = list.v === null ? 'null' : typeof list.v;
    throw new StepFault('loop_over_not_array', `Loop ${input.site.stepId} can only go over a list, not ${type}`, { details: { type } });
  }
  const items = await Promise.all(chunk.items.map(async (item) => await kept(await bounded(item, facts), full, facts, 'items')));
  return chunkAnswer(chunk.length, items);
}

/** Stores values for the engine, whose inline state has grown too large; answers with references in the same order. */
export function createStoreActivity(facts: RunFactsSource, carry: CarryWriter): (input: StoreInput) => Promise<readonly Value[]> {
  return async (input) => {
    try {
      await carry.write(input);
      const { storeValue } = await facts.of(input);
      return await Promise.all(input.values.map(async (value) => wholeRef(await storeValue(value))));
    } catch (error) {
      throw toActivityFailure(error, input.instance, Date.now());
    }
  };
}
