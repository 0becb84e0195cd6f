/**
 * Commands that wait across a hand-over. Fifty passes may wait with the same values in their scopes: each value is written once, so that
 * the next run's input stays about as large as the state (notes §7: 2 MiB). Pure.
 */
import type { Value } from '../definition/value.js';
import type { ActivityCommand, Command } from '../engine/types.js';

/** What the host issues when it may. */
export type Queued = ActivityCommand | Extract<Command, { kind: 'start_child' }>;

/** A scope with places in `values` instead of the values. */
type PackedScope = { readonly [root: string]: { readonly [name: string]: number } };

export interface PackedQueue {
  readonly commands: readonly { readonly command: object; readonly scope?: PackedScope }[];
  readonly values: readonly Value[];
}

export function packQueue(queue: readonly Queued[]): PackedQueue {
  const values: Value[] = [];
  const places = new Map<string, number>();
  const placeOf = (value: Value): number => {
    const text = JSON.stringify(value);
    const known = places.get(text);
    if (known !== undefined) return known;
    places.set(text, values.length);
    return values.push(value) - 1;
  };
  const commands = queue.map((command) => {
    if (!('scope' in command)) return { command };
    const { scope, ...rest } = command;
    return { command: rest, scope: mapScope(scope, placeOf) };
  });
  return { commands, values };
}

export function unpackQueue({ commands, values }: PackedQueue): Queued[] {
  return commands.map(({ command, scope }) => {
    const whole = scope === undefined ? command : { ...command, scope: mapScope(scope, (place) => values[place] as Value) };
    return whole as Queued;
  });
}

function mapScope<A, B>(
  scope: { readonly [root: string]: { readonly [name: string]: A } },
  by: (slot: A) => B,
): { readonly [root: string]: { readonly [name: string]: B } } {
  return Object.fromEntries(
    Object.entries(scope).map(([root, names]) => [root, Object.fromEntries(Object.entries(names).map(([name, slot]) => [name, by(slot)]))]),
  );
}
