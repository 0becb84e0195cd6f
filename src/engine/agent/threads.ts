/**
 * Threads as lists of exchanges, each named by the step instance that had it. A scope holds what was added in it: a branch or
 * concurrent pass sees the thread as it was when it began, with its own turns behind, and adds them in branch order when it merges.
 */
import { instanceId } from '../run.js';
import type { Run } from '../run.js';
import { outward, own, put, scopeAt } from '../scopes.js';
import type { Fiber, Scope } from '../state.js';
import type { StepInstance } from '../types.js';

/**
 * An exchange: `path/step#attempt` of this execution, `exe_…!path/step#attempt` of another (a rerun's), or `@val_…`, the stored list
 * of many.
 */
export type ThreadEntry = string;

const SINGLE_USE = '@new';
export const DEFAULT_THREAD = 'default';

/** Null: a single-use one, which nothing comes before and nothing after. */
export function threadNamed(name: string): string | null {
  if (name === SINGLE_USE || name.startsWith(`${SINGLE_USE}:`)) return null;
  return name === '' ? DEFAULT_THREAD : name;
}

/** As chat shows it: a single-use one has a name of its own. */
export const shownThread = (name: string | null, instance: StepInstance): string => name ?? `${SINGLE_USE}:${instanceId(instance)}`;

export interface ThreadAt {
  readonly entries: readonly ThreadEntry[];
  /** How many of the last ones the scope itself has added: they may be bundled. */
  readonly own: number;
}

/** A thread as steps at this place see it. */
export function threadAt(run: Run, fiber: Fiber, name: string | null): ThreadAt {
  if (name === null) return { entries: [], own: 0 };
  const lists: (readonly ThreadEntry[])[] = [];
  let isInnermost = true;
  let ownCount = 0;
  outward(run, fiber, ({ scope }) => {
    if (scope === undefined) return undefined;
    const added = own(scope.threads, name) ?? [];
    if (isInnermost) ownCount = added.length;
    isInnermost = false;
    lists.push(added);
    return undefined;
  });
  return { entries: lists.toReversed().flat(), own: ownCount };
}

export const exchangeOf = (instance: StepInstance): ThreadEntry => instanceId(instance);
export const foreignExchange = (executionId: string, instance: StepInstance): ThreadEntry => `${executionId}!${instanceId(instance)}`;

export function addToThread(run: Run, fiber: Fiber, name: string, entry: ThreadEntry): void {
  appendEntries(scopeAt(run, fiber), name, [entry]);
}

/** The scope's own entries were stored as a list. */
export function bundleThread(run: Run, fiber: Fiber, name: string, { ref, count }: { readonly ref: string; readonly count: number }): void {
  const scope = scopeAt(run, fiber);
  const added = own(scope.threads, name) ?? [];
  if (added.length < count) return;
  put((scope.threads ??= {}), name, [`@${ref}`, ...added.slice(count)]);
}

/** Adds what these scopes have added, in order. */
export function joinThreads(into: Scope, added: Scope['threads']): void {
  for (const [name, entries] of Object.entries(added ?? {})) appendEntries(into, name, entries);
}

function appendEntries(scope: Scope, name: string, entries: readonly ThreadEntry[]): void {
  put((scope.threads ??= {}), name, [...(own(scope.threads, name) ?? []), ...entries]);
}
