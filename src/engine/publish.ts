import { type Value, wholeRefOf } from '../definition/runtime.js';
import type { At } from './run.js';
import { put, scopeAt } from './scopes.js';
import { noteGrowth } from './store-values.js';

/** With `outputVariable`: that name only. Without: the step's id, when not null (design §3.3). */
export function publish({ run, fiber, step }: At, output: Value): void {
  const isNull = output.v === null && wholeRefOf(output) === undefined;
  if (isNull && step.outputVariable === undefined) return;
  noteGrowth(run.state, output);
  put(scopeAt(run, fiber).outputs, step.outputVariable ?? step.id, output);
}
