import type { Plan, VariablePlan } from '../../definition/plan.js';
import { setOwn } from '../../definition/value-parts.js';
import type { Json, JsonObject } from '../../definition/value.js';
import type { TriggerRecord } from '../../store/triggers.js';
import type { GithubConfig } from './github-match.js';
import { parsePath } from './variable-mapping.js';

/** A payload in which every path of the mapping leads to a value that its variable takes. Pure. */
export function syntheticPayload(
  { type, config, variableMapping }: Pick<TriggerRecord, 'type' | 'config' | 'variableMapping'>,
  variables: Plan['variables'],
): JsonObject {
  const payload: { [key: string]: Json } = {};
  if (type === 'github') {
    const { repos, events } = config as unknown as GithubConfig;
    const action = events[0]?.split('.')[1];
    Object.assign(payload, {
      repository: { full_name: repos[0] ?? '' },
      sender: { login: 'test' },
      ...(action === undefined ? {} : { action }),
    });
  }
  if (type === 'webhook') payload['test'] = true;
  for (const [name, path] of Object.entries(variableMapping))
    put(payload, parsePath(path) ?? [], sampleOf(Object.hasOwn(variables, name) ? variables[name] : undefined));
  return payload;
}

function put(container: { [key: string]: Json } | Json[], [key, ...rest]: readonly (string | number)[], value: Json): void {
  if (key === undefined) return;
  const at = container as { [key: string]: Json };
  const name = String(key);
  const before = Object.hasOwn(at, name) ? at[name] : undefined;
  if (rest.length === 0) {
    if (before === undefined) setOwn(at, name, value);
    return;
  }
  const next =
    typeof before === 'object' && before !== null
      ? before
      : typeof rest[0] === 'number'
        ? Array.from({ length: Math.min(rest[0], MOST_ITEMS) }, () => null)
        : {};
  setOwn(at, name, next);
  put(next as { [key: string]: Json }, rest, value);
}

/** A made-up list is no longer than this. */
const MOST_ITEMS = 100;

function sampleOf(variable: VariablePlan | undefined): Json {
  if (variable?.default !== undefined && variable.default !== null) return variable.default;
  if (variable?.enum?.[0] !== undefined) return variable.enum[0];
  switch (variable?.type) {
    case 'number':
      return 1;
    case 'boolean':
      return true;
    case 'array':
      return [];
    case 'object':
      return {};
    case 'string':
    case undefined:
      return 'test';
  }
}
