/** `variableMapping`: which part of a payload becomes which input. Own properties only, to any depth. Pure. */
import type { ProblemData } from '../../errors.js';
import type { Json, JsonObject } from '../../definition/value.js';
import { setOwn } from '../../definition/value-parts.js';

/** Input name → path such as `$.pull_request.labels[0].name`. */
export type VariableMapping = { readonly [name: string]: string };

const SEGMENT = /\.([^.[\]]+)|\[(\d{1,9})\]|\.?\["([^"\]]+)"\]/y;

/** The keys of a path in order, undefined when it is none: it begins with `$.`, as a payload is an object; `$.["x.y"]` names a key with dots. */
export function parsePath(path: string): readonly (string | number)[] | undefined {
  if (!path.startsWith('$.')) return undefined;
  const keys: (string | number)[] = [];
  for (let at = 1; at < path.length; at = SEGMENT.lastIndex) {
    SEGMENT.lastIndex = at;
    const match = SEGMENT.exec(path);
    if (match === null) return undefined;
    const [, name, index, quoted] = match;
    keys.push(index === undefined ? (name ?? quoted ?? '') : Number(index));
  }
  return keys;
}

/** What is wrong with a mapping, each with its pointer. */
export function mappingProblems(mapping: VariableMapping): ProblemData[] {
  return Object.entries(mapping).flatMap(([name, path]) => {
    const at = `/variableMapping/${name.replaceAll('~', '~0').replaceAll('/', '~1')}`;
    const invalid = (message: string): ProblemData[] => [{ code: 'invalid_field', severity: 'error', path: at, message }];
    if (name.startsWith('_')) return invalid('Names that begin with _ are the trigger’s own');
    return parsePath(path) === undefined
      ? invalid(`Expected a path into the payload such as $.a.b[0], not ${JSON.stringify(path.slice(0, 100))}`)
      : [];
  });
}

/** The inputs that a payload gives. What is not there is left out, so that defaults apply. */
export function mapPayload(mapping: VariableMapping, payload: Json): JsonObject {
  const values: { [name: string]: Json } = {};
  for (const [name, path] of Object.entries(mapping)) {
    const value = readPath(payload, parsePath(path) ?? []);
    if (value !== undefined) setOwn(values, name, value);
  }
  return values;
}

/** What stands at a path, undefined when nothing does. */
export function readPath(payload: Json, keys: readonly (string | number)[]): Json | undefined {
  let value: Json | undefined = payload;
  for (const key of keys) {
    if (typeof value !== 'object' || value === null) return undefined;
    // A list has a length of its own, which is no element of the payload.
    if (Array.isArray(value) && !/^\d+$/.test(String(key))) return undefined;
    value = Object.hasOwn(value, key) ? (value as { readonly [key: string | number]: Json })[key] : undefined;
  }
  return value;
}
