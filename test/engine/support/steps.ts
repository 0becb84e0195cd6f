/** Steps as an author writes them, with no more than a test needs. */
export interface Written {
  readonly type: string;
  readonly id: string;
  readonly [field: string]: unknown;
}
type More = { readonly [field: string]: unknown };

export const set = (id: string, values: More): Written => ({ type: 'set', id, values });
export const tool = (id: string, args: More = {}, more: More = {}): Written => ({
  type: 'tool',
  id,
  tool: 'http:request',
  arguments: args,
  ...more,
});
export const gate = (id: string, more: More = {}): Written => ({ type: 'approval', id, ...more });
export const loop = (id: string, over: unknown, steps: readonly Written[], more: More = {}): Written => ({
  type: 'loop',
  id,
  over,
  steps,
  ...more,
});
export const tries = (id: string, steps: readonly Written[], more: More = {}): Written => ({ type: 'try', id, steps, ...more });
/** Branches by id, each one step or more. */
export const parallel = (id: string, branches: { readonly [id: string]: Written | readonly Written[] }, more: More = {}): Written => ({
  type: 'parallel',
  id,
  branches: Object.entries(branches).map(([id, steps]) => ({ id, steps: Array.isArray(steps) ? steps : [steps] })),
  ...more,
});
export const wait = (id: string, more: More): Written => ({ type: 'wait', id, ...more });
