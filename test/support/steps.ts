/** Builders of steps: each test names just the fields that it is about. */
import type { StepJson } from './service-shapes.js';
import type { StubServer } from './stub-server.js';

type Fields = { readonly [field: string]: unknown };

/** A call of the stub: `tool` `http:request`. */
export const call = (id: string, stub: StubServer, path: string, fields: Fields = {}, args: Fields = {}): StepJson => ({
  id,
  type: 'tool',
  tool: 'http:request',
  arguments: { url: `${stub.url}${path}`, method: 'POST', ...args },
  ...fields,
});
export const set = (id: string, values: Fields): StepJson => ({ id, type: 'set', values });
export const gate = (id: string, fields: Fields = {}): StepJson => ({ id, type: 'approval', prompt: 'Go on?', ...fields });
export const wait = (id: string, duration: string): StepJson => ({ id, type: 'wait', duration });
export const loop = (id: string, fields: Fields, steps: readonly StepJson[]): StepJson => ({ id, type: 'loop', ...fields, steps });
export const parallel = (id: string, branches: { readonly [branch: string]: readonly StepJson[] }, fields: Fields = {}): StepJson => ({
  id,
  type: 'parallel',
  branches: Object.entries(branches).map(([branch, steps]) => ({ id: branch, steps })),
  ...fields,
});
