import type { EngineState } from '../engine/index.js';
import type { ExecutionInput } from '../engine/types.js';
import { packText, unpackText } from './packed-text.js';

type Input = ExecutionInput<EngineState>;
type Continued = Extract<Input, { readonly kind: 'continued' }>;

/** Temporal takes 2 MiB: of plan, state and what the host keeps together. Smaller ones stay readable in the history. */
const PACKED_ABOVE_CHARACTERS = 768 * 1024;

/** What the next run is given. Wide runs have thousands of fibers whose states are much alike. Pure. */
export function toHandOver(continued: Continued): Input {
  const text = JSON.stringify(continued);
  return text.length <= PACKED_ABOVE_CHARACTERS ? continued : { kind: 'packed', packed: packText(text) };
}

/** The same on the other side. Pure. */
export const fromHandOver = (input: Input): Exclude<Input, { readonly kind: 'packed' }> =>
  input.kind === 'packed' ? (JSON.parse(unpackText(input.packed)) as Continued) : input;
