/**
 * What JSON may not hold although it parses: text that PostgreSQL cannot store, numbers that no double holds (1e400 would come back
 * as null), and nesting that recursive readers (JSON.stringify among them) do not survive. Walks with a stack of its own, so that no
 * input ends the process. Pure.
 */
import type { Problem } from './problem.js';

/** Far above any real payload, far below what JSON.stringify (about 4,000) and jsonb bear. */
export const MAX_JSON_DEPTH = 512;
const MAX_FAULTS = 50;
const MAX_POINTER = 300;

/** A container being walked; `at` is the entry that is looked at. */
interface Frame {
  readonly container: object;
  readonly keys: readonly string[] | null;
  at: number;
}

/** Every fault of a parsed JSON value, at most 50, each with its pointer below `base`. */
export function jsonFaults(value: unknown, base: string, maxDepth = MAX_JSON_DEPTH): Problem[] {
  const faults: Problem[] = [];
  const stack: Frame[] = [];
  const look = (found: unknown, key: string | number): void => {
    const message = stack.length > maxDepth ? `Nested deeper than ${maxDepth} levels` : faultOf(found, key);
    if (message !== undefined) faults.push({ code: 'invalid_field', severity: 'error', path: base + pointerOf(stack), message });
    else if (typeof found === 'object' && found !== null) stack.push(frameOf(found));
  };
  look(value, '');
  while (stack.length > 0 && faults.length < MAX_FAULTS) {
    const frame = stack[stack.length - 1] as Frame;
    const key = nextKey(frame);
    if (key === undefined) stack.pop();
    else look((frame.container as Record<string | number, unknown>)[key], key);
  }
  return faults;
}

const frameOf = (container: object): Frame => ({ container, keys: Array.isArray(container) ? null : Object.keys(container), at: -1 });

function nextKey(frame: Frame): string | number | undefined {
  frame.at++;
  if (frame.keys !== null) return frame.keys[frame.at];
  return frame.at < (frame.container as readonly unknown[]).length ? frame.at : undefined;
}

function faultOf(value: unknown, key: string | number): string | undefined {
  if (typeof key === 'string' && !isStorable(key)) return 'The key holds a NUL character or half of a surrogate pair';
  if (typeof value === 'string' && !isStorable(value)) return 'The text holds a NUL character or half of a surrogate pair';
  if (typeof value === 'number' && !Number.isFinite(value)) return 'The number is too large to be kept';
  return undefined;
}

/** Whether PostgreSQL can keep a text: no NUL, no lone surrogate. Pure. */
export const isStorable = (text: string): boolean => !text.includes('\0') && !/\p{Surrogate}/u.test(text);

function pointerOf(stack: readonly Frame[]): string {
  const pointer = stack.map((frame) => `/${pointerSegment(frame.keys?.[frame.at] ?? frame.at)}`).join('');
  // A pointer of hundreds of levels helps nobody.
  return pointer.length > MAX_POINTER ? `${pointer.slice(0, MAX_POINTER)}…` : pointer;
}

/** One segment of a JSON pointer (RFC 6901). Pure. */
export const pointerSegment = (key: PropertyKey): string => String(key).replaceAll('~', '~0').replaceAll('/', '~1');
