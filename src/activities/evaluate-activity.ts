import { evaluate } from '../definition/expression/evaluate.js';
import type { ScopeReader } from '../definition/scope.js';
import { render } from '../definition/template/render.js';
import type { Json, Value } from '../definition/value.js';
import { NULL_VALUE } from '../definition/value.js';
import type { ActivityCommand, Warning } from '../engine/types.js';
import { StepFault } from '../tools/step-fault.js';
import type { Common } from './contract.js';
import { sourceAt, type SiteSource } from './expression-site.js';
import { FullScope } from './full-scope.js';
import { toInlineOrRef, type PutValue } from './large-values.js';
import type { RunFactsSource } from './run-facts.js';
import { toActivityFailure } from './step-error.js';
import type { CarryWriter } from './carry-writer.js';

type EvaluateInput = Common & Omit<Extract<ActivityCommand, { name: 'evaluate' }>, 'kind' | 'id' | 'name'>;
type StoreInput = Common & Omit<Extract<ActivityCommand, { name: 'store' }>, 'kind' | 'id' | 'name'>;
export interface Evaluated { readonly value: Value; readonly warnings?: readonly Warning[] }

/** Evaluates what the host may not. Its faults carry the step's error; repeats give the same, as times and scope are in the input. */
export function createEvaluateActivity(facts: RunFactsSource, carry: CarryWriter): (input: EvaluateInput) => Promise<Evaluated> {
  return async (input) => {
    try {
      await carry.write(input);
      const run = await facts.of(input);
      const full = new FullScope(input.scope, input.nowMs, run.getValue, run.secrets);
      const value = await valueAt(full, sourceAt(run.plan, input.site), input);
      const { warnings } = full;
      const safe = run.redactor.isIdle ? value : { ...value, v: run.redactor.json(value.v) };
      return { value: await bounded(safe, run.putValue), ...(warnings.length === 0 ? {} : { warnings }) };
    } catch (error) {
      throw toActivityFailure(error, input.instance, input.nowMs);
    }
  };
}

async function valueAt(full: FullScope, site: SiteSource, input: EvaluateInput): Promise<Value> {
  switch (site.kind) {
    case 'expression': return await full.run((reader) => evaluate(site.source, reader, 'full') ?? NULL_VALUE);
    case 'template': return await full.run((reader: ScopeReader) => render(site.source, reader, 'full'));
    case 'item': return { v: itemAt(await full.plain(input.scope['loop']?.['list'] ?? NULL_VALUE), site.index, input.site.stepId) };
  }
}

/** The n-th item of a loop's list, or for -1 its length. */
function itemAt(list: Json, index: number, stepId: string): Json {
  if (!Array.isArray(list)) throw new StepFault('loop_over_not_array', `Loop ${stepId} goes over ${list === null ? 'null' : typeof list}, not a list`, { details: { type: list === null ? 'null' : typeof list } });
  return index === -1 ? list.length : ((list as readonly Json[])[index] ?? null);
}

/** At most 32 KB inline. References inside stay: what is stored is plain JSON, so a value that holds some is never stored as a whole. */
const bounded = (value: Value, put: PutValue): Promise<Value> => (value.refs === undefined ? toInlineOrRef(value.v, put) : Promise.resolve(value));

/** Stores values for the engine, whose inline state has grown too large; answers with references in the same order. */
export function createStoreActivity(facts: RunFactsSource, carry: CarryWriter): (input: StoreInput) => Promise<readonly Value[]> {
  return async (input) => {
    try {
      await carry.write(input);
      const { putValue } = await facts.of(input);
      return await Promise.all(input.values.map(async (value): Promise<Value> => (value.refs === undefined ? { v: null, refs: { '': await putValue(value.v) } } : value)));
    } catch (error) {
      throw toActivityFailure(error, input.instance, Date.now());
    }
  };
}
