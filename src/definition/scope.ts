/** What expressions read from. Pure; may run in the workflow. */
import type { Root } from './plan.js';
import type { Ref, Value } from './value.js';

/**
 * The names that an expression may read. `local` holds itemVar, indexVar and `as` names: a bare name is looked up as lambda
 * parameter, then in `local`, then in `variables`. `trigger.x` arrives as `variables._trigger.x`.
 */
export interface ScopeReader {
  get(root: Root, name: string): Value | undefined;
  names(root: Root): readonly string[];
  /** What `now()` says, in ms. */
  readonly nowMs: number;
  /** Told of each missing path, once per path and evaluation, as the author wrote it: `outputs.a.b`. */
  onMissing?(path: string): void;
  /** Mode `full`: a stored value, or undefined when it is not loaded yet (NeedsValues is thrown then). It may stand upon others itself. */
  resolve?(ref: Ref): Value | undefined;
  /** Mode `full`: a secret, or undefined when there is none of that name. */
  secret?(name: string): string | undefined;
}

/** The part of a scope that travels: values by root and name. */
export type ScopeSlice = { readonly [root: string]: { readonly [name: string]: Value } };

/** Reads a slice as a scope. */
export function sliceReader(
  slice: ScopeSlice,
  nowMs: number,
  extras: Pick<ScopeReader, 'onMissing' | 'resolve' | 'secret'> = {},
): ScopeReader {
  return {
    ...extras,
    nowMs,
    get: (root, name) => {
      const values = Object.hasOwn(slice, root) ? slice[root] : undefined;
      return values !== undefined && Object.hasOwn(values, name) ? values[name] : undefined;
    },
    names: (root) => (Object.hasOwn(slice, root) ? Object.keys(slice[root] as object) : []),
  };
}
