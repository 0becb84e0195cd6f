import type { Expr } from '../../src/definition/plan.js';
import { type ParseOptions, parseExpression } from '../../src/definition/expression/parse.js';
import type { ScopeReader } from '../../src/definition/scope.js';
import { sliceReader } from '../../src/definition/scope.js';
import { evaluate } from '../../src/definition/expression/evaluate.js';
import type { Mode } from '../../src/definition/expression/evaluation.js';
import type { Json, JsonObject, Ref, Value } from '../../src/definition/value.js';

export const NOW = Date.UTC(2026, 2, 1, 9, 5, 7, 8);

export interface ScopeParts {
  readonly variables?: { readonly [name: string]: Json | Value };
  readonly outputs?: { readonly [name: string]: Json | Value };
  readonly local?: { readonly [name: string]: Json | Value };
  readonly loop?: JsonObject;
  readonly execution?: JsonObject;
  readonly event?: JsonObject;
}

const isValue = (json: Json | Value): json is Value => typeof json === 'object' && json !== null && 'refs' in json;

/** A scope of plain JSON; an object with `refs` is taken as a Value. */
export function aScope(parts: ScopeParts = {}, extras: Pick<ScopeReader, 'onMissing' | 'resolve' | 'secret'> = {}): ScopeReader {
  const slice = Object.fromEntries(
    Object.entries(parts).map(([root, names]) => [
      root,
      Object.fromEntries(
        Object.entries(names as { [name: string]: Json | Value }).map(([name, json]) => [name, isValue(json) ? json : { v: json }]),
      ),
    ]),
  );
  return sliceReader(slice, NOW, extras);
}

export const aRef = (ref: string, bytes = 50_000): Ref => ({ ref, bytes, sha256: `sha-${ref}`, preview: `preview of ${ref}` });

export function anExpr(source: string, options: ParseOptions = {}): Expr {
  const result = parseExpression(source, options);
  if ('fault' in result) throw new Error(`${source}: ${result.fault.message} at ${result.fault.at}`);
  return result.expr;
}

/** The JSON that an expression gives; undefined when missing. */
export function valueOf(source: string, variables: { readonly [name: string]: Json } = {}, mode: Mode = 'full'): Json | undefined {
  return evaluate(anExpr(source), aScope({ variables }), mode)?.v;
}

export function faultOf(
  source: string,
  options: ParseOptions = {},
): { readonly message: string; readonly at: number; readonly suggestion?: string } {
  const result = parseExpression(source, options);
  if ('expr' in result) throw new Error(`${source} parsed`);
  return result.fault;
}
