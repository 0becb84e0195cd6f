/** Any JSON value. Treated as immutable everywhere. */
export type Json = null | boolean | number | string | readonly Json[] | { readonly [key: string]: Json };
export type JsonObject = { readonly [key: string]: Json };

/** A stored value that is too large to travel: read it by `ref`, check it by `sha256`, show it by `preview`. */
export interface Ref {
  readonly ref: string;
  readonly bytes: number;
  readonly sha256: string;
  readonly preview: string;
}

/**
 * A JSON value in which some places may stand for stored values.
 * `refs` maps JSON pointers inside `v` ('' is the whole) to references; `v` holds null there. References are a node kind
 * of their own and never recognised by shape: data that looks like a reference has no entry and stays data.
 */
export interface Value {
  readonly v: Json;
  readonly refs?: { readonly [pointer: string]: Ref };
}

export const plain = (v: Json): Value => ({ v });
export const wholeRef = (ref: Ref): Value => ({ v: null, refs: { '': ref } });
export const NULL_VALUE: Value = { v: null };
