/** One evaluation: its scope, its budgets, and how stored values are held without being read. May run in the workflow. */
import type { ScopeReader } from '../scope.js';
import { partAt, replaceRefs, toDisplay, wholeRefOf } from '../value-parts.js';
import type { Json, Ref, Value } from '../value.js';
import { ExpressionError, NeedsActivity, NeedsValues } from './faults.js';

/** `host`: in the workflow, never reads stored values or secrets. `full`: in an activity. */
export type Mode = 'host' | 'full';

export const MAX_DEPTH = 64;
export const MAX_OPERATIONS = 100_000;
/** Characters (8 for an element of a list) that one expression may produce; beyond the host's share an activity does it. */
export const MAX_OUTPUT = 16 * 1_048_576;
const MAX_HOST_OUTPUT = 1_048_576;

/** A value with references in it (or that is one), inside the evaluator. Whatever passes it on unread keeps it so. */
export class Held {
  constructor(readonly value: Value) {}
}
/** What a part of an expression evaluates to. */
export type Operand = Json | undefined | Held;

export class Evaluation {
  #operations = 0;
  #output = 0;
  #reported: Set<string> | undefined;
  depth = 0;
  constructor(
    readonly scope: ScopeReader,
    readonly mode: Mode,
  ) {}

  spend(operations: number): void {
    this.#operations += operations;
    if (this.#operations > MAX_OPERATIONS)
      throw new ExpressionError(`The expression needs more than ${MAX_OPERATIONS} operations`, { limit: 'operations' });
  }

  /** To be told before a text or list of this size is made. */
  produce(characters: number): void {
    this.#output += characters;
    if (this.#output > MAX_OUTPUT)
      throw new ExpressionError(`The expression produces more than ${MAX_OUTPUT} characters`, { limit: 'output' });
    if (this.mode === 'host' && this.#output > MAX_HOST_OUTPUT) throw new NeedsActivity('size');
  }

  /** For a list of new elements, or one walked by a library function. */
  produceList(elements: number): void {
    this.produce(elements * 8);
    this.spend(elements >> 6);
  }

  missing(path: string): void {
    if (this.scope.onMissing === undefined || this.#reported?.has(path) === true) return;
    (this.#reported ??= new Set()).add(path);
    this.scope.onMissing(path);
  }

  /** The operand as JSON, stored values read, those inside them too. @throws NeedsActivity, NeedsValues with all that are missing */
  read(operand: Operand): Json | undefined {
    if (!(operand instanceof Held)) return operand;
    const missing: Ref[] = [];
    const json = this.readInto(operand.value, missing);
    if (missing.length > 0) throw new NeedsValues(missing);
    return json;
  }

  private readInto(value: Value, missing: Ref[]): Json {
    return replaceRefs(value, (ref) => {
      const stored = this.find(ref);
      if (stored !== undefined) return this.readInto(stored, missing);
      missing.push(ref);
      return null;
    });
  }

  /** @throws NeedsActivity in mode host */
  needActivity(reason: NeedsActivity['reason']): void {
    if (this.mode === 'host') throw new NeedsActivity(reason);
  }

  private find(ref: Ref): Value | undefined {
    this.needActivity('value');
    return this.scope.resolve?.(ref);
  }

  private load(ref: Ref): Value {
    const stored = this.find(ref);
    if (stored === undefined) throw new NeedsValues([ref]);
    return stored;
  }

  secret(name: string): string {
    this.needActivity('secret');
    const secret = this.scope.secret?.(name);
    if (secret === undefined) throw new ExpressionError(`There is no secret named ${name}`, { name }, 'secret_not_found');
    return secret;
  }

  /** The operand at a path inside another one; reads a stored value only if the path leads into it. */
  partOf(operand: Held, segments: readonly (string | number)[]): Operand {
    const part = partAt(operand.value, segments);
    if (part.at === 'missing') return undefined;
    if (part.at === 'value') return toOperand(part.value);
    return this.partOf(new Held(this.load(part.ref)), part.rest);
  }
}

export const toOperand = (value: Value): Operand => {
  if (value.refs === undefined) return value.v;
  for (const _ in value.refs) return new Held(value);
  return value.v;
};

export const toValue = (operand: Json | Held): Value => (operand instanceof Held ? operand.value : { v: operand });

/** Truthiness as in JavaScript; a stored value is true. */
export function isTrue(operand: Operand): boolean {
  return Boolean(operand);
}

/** A word for error messages: what kind of thing came. */
export function kindOf(operand: Operand): string {
  if (operand instanceof Held)
    return wholeRefOf(operand.value) === undefined ? kindOf(operand.value.v) : `stored value ${JSON.stringify(toDisplay(operand.value))}`;
  if (operand === undefined) return 'nothing (a missing value)';
  if (operand === null) return 'null';
  if (Array.isArray(operand)) return 'a list';
  return { string: 'a text', number: 'a number', boolean: 'a boolean', object: 'an object' }[
    typeof operand as 'string' | 'number' | 'boolean' | 'object'
  ];
}
