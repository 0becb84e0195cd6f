/** What an execution starts with: the caller's input, checked, with what its trigger says of it. */
import { checkInputs } from '../definition/index.js';
import type { Plan } from '../definition/plan.js';
import { setOwn } from '../definition/value-parts.js';
import type { Json, JsonObject, Value } from '../definition/value.js';
import { AppError } from '../errors.js';
import type { TriggerInfo } from '../store/execution-record.js';
import { storeIfLarge } from '../store/values.js';
import type { OperationDeps } from './deps.js';

/** `_trigger` and `_payload`: set last, never by callers. */
export interface FromTrigger {
  readonly _trigger: Json;
  readonly _payload: Json;
}

/** What the definition reads as `trigger`. Pure. */
export const triggerVariables = ({ type, id, name, deliveryId, scheduledAt }: TriggerInfo, at: Date, payload: Json = {}): FromTrigger => ({
  _trigger: {
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

/** The same as values: what is larger than 32 KB is stored first, and goes by reference. */
export async function storedVariables(
  deps: OperationDeps,
  ownerId: string,
  variables: JsonObject,
): Promise<{ readonly [name: string]: Value }> {
  const stored: { [name: string]: Json } = {};
  for (const [name, json] of Object.entries(variables))
    setOwn(stored, name, (await storeIfLarge(deps.db, ownerId, json)) as unknown as Json);
  return stored as unknown as { readonly [name: string]: Value };
}
