/** The list of a loop and the items of its passes. A list by reference is read in chunks; an inline one stays where it is. */
import { type Json, type LoopPlan, partAt, type Value, wholeRefOf } from '../../definition/runtime.js';
import { answerAt, orderEvaluation } from '../expression.js';
import { stepError, StepFault } from '../faults.js';
import type { At } from '../run.js';
import type { BlockFrame, LoopData } from '../state.js';
import type { StepError } from '../types.js';

/** What stands in `results` for a pass that failed. */
export const failedItem = ({ code, message }: StepError): Value => ({ v: { error: { code, message } } });

export const passOf = (index: number, item: Value | undefined): NonNullable<BlockFrame['pass']> =>
  item === undefined ? { index } : { index, item };

/** Finds out how many items there are. @throws StepFault loop_over_not_array; Suspended */
export function measure(at: At<LoopPlan>, data: LoopData, list: Value): void {
  if (Array.isArray(list.v)) data.count = list.v.length;
  else if (wholeRefOf(list) === undefined) throw new StepFault(notAList(at, list.v));
  else data.count = readChunk(at, data, list, 0);
}

/** The item of a pass when it has to be handed to it; undefined when the pass finds it in the list. @throws Suspended, StepFault */
export function readItem(at: At<LoopPlan>, data: LoopData, index: number): Value | undefined {
  const { list } = data;
  if (list === null || wholeRefOf(list) === undefined) return undefined;
  if (itemIn(data, index) === undefined) readChunk(at, data, list, index);
  return itemIn(data, index) ?? { v: null };
}

const itemIn = ({ chunk }: LoopData, index: number): Value | undefined => (chunk === null ? undefined : chunk.items[index - chunk.from]);

/** @returns the length of the whole list */
function readChunk(at: At<LoopPlan>, data: LoopData, list: Value, from: number): number {
  const site = { stepId: at.step.id, field: 'items', index: from } as const;
  const answer = answerAt(at, site) ?? orderEvaluation(at, site, { loop: { list } });
  delete at.frame.answers;
  const [length, items] = [partOf(answer, 'length'), partOf(answer, 'items')];
  if (typeof length?.v !== 'number' || !Array.isArray(items?.v)) throw new StepFault(notAList(at, null));
  data.chunk = { from, items: items.v.map((_item, index) => partOf(items, index) ?? { v: null }) };
  return length.v;
}

function partOf(value: Value, segment: string | number): Value | undefined {
  const part = partAt(value, [segment]);
  return part.at === 'value' ? part.value : undefined;
}

function notAList({ step }: At<LoopPlan>, v: Json): StepError {
  return stepError('loop_over_not_array', `Loop ${step.id} can only go over a list`, { details: { type: v === null ? 'null' : typeof v } });
}
