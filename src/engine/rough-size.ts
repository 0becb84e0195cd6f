import type { Json } from '../definition/runtime.js';

/** About how many bytes a value takes in the state; exact enough for budgets. Pure. */
export function roughBytes(json: Json): number {
  if (typeof json === 'string') return json.length + 2;
  return typeof json === 'object' && json !== null ? JSON.stringify(json).length : 8;
}
