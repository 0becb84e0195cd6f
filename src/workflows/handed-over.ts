import { deflateSync, inflateSync, strFromU8, strToU8 } from 'fflate/browser';
import type { EngineState } from '../engine/index.js';
import type { ExecutionInput } from '../engine/types.js';

type Input = ExecutionInput<EngineState>;
type Continued = Extract<Input, { readonly kind: 'continued' }>;
type Packed = Extract<Input, { readonly kind: 'packed' }>;
/** The arguments of the execution workflow. */
export type HandedOver = [continued: Continued] | [packed: Packed, bytes: Uint8Array];

/** Temporal takes 2 MiB: of plan, state and what the host keeps together. Smaller ones stay readable in the history. */
const PACKED_ABOVE_CHARACTERS = 768 * 1024;

/** What the next run is given. Wide runs have thousands of fibers whose states are much alike, and deflate well. Pure. */
export function toHandOver(continued: Continued): HandedOver {
  const text = JSON.stringify(continued);
  return text.length <= PACKED_ABOVE_CHARACTERS ? [continued] : [{ kind: 'packed' }, deflateSync(strToU8(text))];
}

/** The same on the other side. Pure. */
export function fromHandOver(input: Input, bytes?: Uint8Array): Exclude<Input, Packed> {
  if (input.kind !== 'packed') return input;
  if (bytes === undefined) throw new Error('A packed hand-over came without its bytes');
  return JSON.parse(strFromU8(inflateSync(bytes))) as Continued;
}
