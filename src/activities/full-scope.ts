/** The scope of an activity: what travelled with the call, stored values and secrets loaded as an expression asks for them. */
import { NeedsValues } from '../definition/expression/faults.js';
import { sliceReader, type ScopeReader } from '../definition/scope.js';
import { replaceRefs, wholeRefOf } from '../definition/value-parts.js';
import { isPrivate } from '../definition/private-ref.js';
import { type Json, NULL_VALUE, type Ref, type Value } from '../definition/value.js';
import type { ScopeSlice, Warning } from '../engine/types.js';
import { StepFault } from '../tools/step-fault.js';

/** Reads a stored value of the owner; undefined when there is none or it is another's. */
export type GetValue = (ref: string) => Promise<Value | undefined>;

const MAX_WARNINGS = 50;
/** What one expression or input may read of stored values, together: a process holds it all at once. */
const MAX_READ_BYTES = 256 * 1024 * 1024;
/** Stored values fetched at the same time. */
const FETCHES_AT_ONCE = 8;

export class FullScope {
  private readonly loaded = new Map<string, Value>();
  private bytes = 0;
  private readonly missing = new Set<string>();
  private hasReadPrivate = false;
  private readonly reader: ScopeReader;

  constructor(
    slice: ScopeSlice,
    nowMs: number,
    private readonly getValue: GetValue,
    secrets: ReadonlyMap<string, string>,
  ) {
    this.reader = sliceReader(slice, nowMs, {
      onMissing: (path) => void this.missing.add(path),
      resolve: (ref) => this.loaded.get(ref.ref),
      secret: (name) => secrets.get(name),
    });
  }

  /** Runs a pure evaluation again for the stored values that it turns out to need. @throws as the evaluation, without NeedsValues */
  async run<T>(evaluation: (reader: ScopeReader) => T): Promise<T> {
    for (;;) {
      try {
        this.missing.clear();
        return evaluation(this.reader);
      } catch (error) {
        if (!(error instanceof NeedsValues)) throw error;
        await this.load(error.refs);
      }
    }
  }

  /** The value with every stored part in its place, and what they stand upon in theirs: for tools, which take plain JSON. */
  async plain(value: Value): Promise<Json> {
    await this.loadAll([value]);
    return this.plainOf(value);
  }

  /** The value itself when it is stored as a whole, with the references that stand in it. */
  async opened(value: Value): Promise<Value> {
    const ref = wholeRefOf(value);
    if (ref === undefined) return value;
    await this.load([ref]);
    return this.loaded.get(ref.ref) ?? NULL_VALUE;
  }

  /** Whether something was read that is kept out of histories: what was made of it is, too. */
  get isPrivate(): boolean {
    return this.hasReadPrivate;
  }

  /** Paths that the last evaluation found nothing at, once each. */
  get warnings(): readonly Warning[] {
    return [...this.missing].slice(0, MAX_WARNINGS).map((path) => ({ code: 'missing_reference', message: `${path} has no value` }));
  }

  private plainOf(value: Value): Json {
    return replaceRefs(value, (ref) => this.plainOf(this.loaded.get(ref.ref) ?? NULL_VALUE));
  }

  private async loadAll(values: readonly Value[]): Promise<void> {
    const refs = values.flatMap((value) => Object.values(value.refs ?? {}));
    if (refs.length === 0) return;
    await this.load(refs);
    await this.loadAll(refs.flatMap(({ ref }) => this.loaded.get(ref) ?? []));
  }

  private async load(refs: readonly Ref[]): Promise<void> {
    for (const ref of refs) this.hasReadPrivate ||= isPrivate(ref);
    const wanted = [...new Map(refs.filter(({ ref }) => !this.loaded.has(ref)).map((ref) => [ref.ref, ref])).values()];
    for (const { bytes } of wanted) this.bytes += bytes;
    if (this.bytes > MAX_READ_BYTES)
      throw new StepFault('expression_error', `More than ${MAX_READ_BYTES} bytes of stored values would have to be read at once`, {
        details: { limit: 'read', bytes: this.bytes },
      });
    for (let from = 0; from < wanted.length; from += FETCHES_AT_ONCE)
      await Promise.all(wanted.slice(from, from + FETCHES_AT_ONCE).map((ref) => this.fetch(ref)));
  }

  private async fetch({ ref }: Ref): Promise<void> {
    const value = await this.getValue(ref);
    if (value === undefined) throw new StepFault('internal_error', `Stored value ${ref} of this owner is gone`, { details: { ref } });
    this.loaded.set(ref, value);
  }
}
