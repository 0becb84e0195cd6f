/** What an execution starts with: the caller's input, checked, with what its trigger says of it. */
import { checkInputs } from '../definition/index.js';
import type { Plan } from '../definition/plan.js';
import { jsonBytes, LARGE_VALUE_BYTES } from '../definition/json-size.js';
import { setOwn } from '../definition/value-parts.js';
import { type Json, type JsonObject, type Value, wholeRef } from '../definition/value.js';
import { AppError } from '../errors.js';
import type { TriggerInfo } from '../store/execution-record.js';
import { privateRef } from '../definition/private-ref.js';
import { putValue, storeIfLarge } from '../store/values.js';
import type { OperationDeps } from './deps.js';

/** `_trigger` and `_payload`: set last, never by callers. */
export interface FromTrigger {
  readonly _trigger: Json;
  readonly _payload: Json;
}

/** What the definition reads as `trigger`, with what its kind adds (`facts`). Pure. */
export const triggerVariables = (
  { type, id, name, deliveryId, scheduledAt }: TriggerInfo,
  at: Date,
  payload: Json = {},
  facts: JsonObject = {},
): FromTrigger => ({
  _trigger: {
    ...facts,
    type,
    triggerId: id ?? null,
    name: name ?? null,
    timestamp: at.toISOString(),
    ...(deliveryId === undefined ? {} : { deliveryId }),
    ...(scheduledAt === undefined ? {} : { scheduledAt }),
  },
  _payload: payload,
});

/**
 * The variables of a new execution, defaults filled in. Pure.
 * @throws AppError validation_failed with every problem
 */
export function checkedVariables(plan: Plan, input: JsonObject, trigger: FromTrigger): JsonObject {
  const { values, problems } = checkInputs(plan.variables, input);
  if (problems.length > 0)
    throw new AppError(
      'validation_failed',
      problems
        .map(({ message }) => message)
        .join('; ')
        .slice(0, 1_000),
      { problems },
    );
  return { ...values, ...trigger };
}

/** Inline variables are together at most this: they are in the history and in the state of the run from its start. */
const INLINE_BYTES = 96 * 1024;

/** The same as values: what is larger than 32 KB is stored first, and goes by reference; so do the largest, when all together are too large. */
export async function storedVariables(
  deps: OperationDeps,
  ownerId: string,
  variables: JsonObject,
  { isPrivate = false }: { readonly isPrivate?: boolean } = {},
): Promise<{ readonly [name: string]: Value }> {
  const tooMany = largestBeyond(variables);
  const stored: { [name: string]: Json } = {};
  for (const [name, json] of Object.entries(variables)) {
    const value =
      isPrivate && saysSomething(name, json)
        ? wholeRef(privateRef(await putValue(deps.db, ownerId, json)))
        : tooMany.has(name)
          ? wholeRef(await putValue(deps.db, ownerId, json))
          : await storeIfLarge(deps.db, ownerId, json);
    setOwn(stored, name, value as unknown as Json);
  }
  return stored as unknown as { readonly [name: string]: Value };
}

/** Numbers and truths tell nobody's words; what begins with `_` is the trigger's. */
const saysSomething = (name: string, json: Json): boolean =>
  !name.startsWith('_') && json !== null && (typeof json === 'string' || typeof json === 'object');

/** The largest of those that could stay inline, until the rest is small enough. */
function largestBeyond(variables: JsonObject): ReadonlySet<string> {
  const inline = Object.entries(variables)
    .map(([name, json]) => ({ name, bytes: jsonBytes(json) }))
    .filter(({ bytes }) => bytes <= LARGE_VALUE_BYTES)
    .toSorted((a, b) => b.bytes - a.bytes);
  let left = inline.reduce((sum, { bytes }) => sum + bytes, 0);
  const beyond = new Set<string>();
  for (const { name, bytes } of inline) {
    if (left <= INLINE_BYTES) break;
    beyond.add(name);
    left -= bytes;
  }
  return beyond;
}
