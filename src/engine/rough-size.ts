import type { Value } from '../definition/runtime.js';

/** About how many bytes a value takes in the state, references in it too; exact enough for budgets. Pure. */
export function roughBytes({ v, refs }: Value): number {
  const ofRefs = refs === undefined ? 0 : JSON.stringify(refs).length;
  if (typeof v === 'string') return v.length + 2 + ofRefs;
  return (typeof v === 'object' && v !== null ? JSON.stringify(v).length : 8) + ofRefs;
}
