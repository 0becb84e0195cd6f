/** The scope of an activity: what travelled with the call, stored values and secrets loaded as an expression asks for them. */
import { NeedsValue } from '../definition/expression/faults.js';
import { sliceReader, type ScopeReader } from '../definition/scope.js';
import { replaceRefs, containsRefs } from '../definition/value-parts.js';
import { isPrivate } from '../definition/private-ref.js';
import type { Json, Ref, Value } from '../definition/value.js';
import type { ScopeSlice, Warning } from '../engine/types.js';
import { StepFault } from '../tools/step-fault.js';

/** Reads a stored value of the owner; undefined when there is none or it is another's. */
export type GetValue = (ref: string) => Promise<Json | undefined>;

const MAX_WARNINGS = 50;

export class FullScope {
  private readonly loaded = new Map<string, Json>();
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

  /** Runs a pure evaluation again for each stored value that it turns out to need. @throws as the evaluation, without NeedsValue */
  async run<T>(evaluation: (reader: ScopeReader) => T): Promise<T> {
    for (;;) {
      try {
        this.missing.clear();
        return evaluation(this.reader);
      } catch (error) {
        if (!(error instanceof NeedsValue)) throw error;
        await this.load(error.ref);
      }
    }
  }

  /** The value with every stored part in its place: for tools, which take plain JSON. */
  async plain(value: Value): Promise<Json> {
    if (!containsRefs(value)) return value.v;
    for (const ref of Object.values(value.refs ?? {})) await this.load(ref);
    return replaceRefs(value, (ref) => this.loaded.get(ref.ref) ?? null);
  }

  /** Whether something was read that is kept out of histories: what was made of it is, too. */
  get isPrivate(): boolean {
    return this.hasReadPrivate;
  }

  /** Paths that the last evaluation found nothing at, once each. */
  get warnings(): readonly Warning[] {
    return [...this.missing].slice(0, MAX_WARNINGS).map((path) => ({ code: 'missing_reference', message: `${path} has no value` }));
  }

  private async load(ref: Ref): Promise<void> {
    this.hasReadPrivate ||= isPrivate(ref);
    if (this.loaded.has(ref.ref)) return;
    const json = await this.getValue(ref.ref);
    if (json === undefined)
      throw new StepFault('internal_error', `Stored value ${ref.ref} of this owner is gone`, { details: { ref: ref.ref } });
    this.loaded.set(ref.ref, json);
  }
}
