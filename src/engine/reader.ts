/** A place of a running fiber as the scope that expressions read, and the slice of it that travels to an activity. */
import { collectReads, type Expr, type Root, type ScopeReader, type Template, type Value } from '../definition/runtime.js';
import type { Run } from './run.js';
import { loopLocal, namesAt, outputAt, own, put, variableAt } from './scopes.js';
import type { EngineState, Fiber } from './state.js';
import type { ScopeSlice } from './types.js';

/** Loop and catch names are answered under `variables` (an assignment inside the pass hides them), so `local` stays empty. */
export class FiberReader implements ScopeReader {
  readonly nowMs: number;

  constructor(
    private readonly run: Run,
    private readonly fiber: Fiber,
    private readonly extra: ScopeSlice = {},
    private readonly told?: (path: string) => void,
  ) {
    this.nowMs = run.state.nowMs;
  }

  get(root: Root, name: string): Value | undefined {
    switch (root) {
      case 'variables':
        return variableAt(this.run, this.fiber, name);
      case 'outputs':
        return outputAt(this.run, this.fiber, name);
      case 'loop':
        return loopLocal(this.run, this.fiber, name);
      case 'execution':
        return own(executionFacts(this.run.state), name);
      case 'event':
        return own(this.extra['event'], name);
      case 'trigger':
      case 'local':
      case 'secrets':
        return undefined;
    }
  }

  names(root: Root): readonly string[] {
    switch (root) {
      case 'variables':
      case 'outputs':
        return namesAt(this.run, this.fiber, root);
      case 'loop':
        return ['item', 'index'].filter((name) => this.get('loop', name) !== undefined);
      case 'execution':
        return Object.keys(executionFacts(this.run.state));
      case 'event':
        return Object.keys(this.extra['event'] ?? {});
      case 'trigger':
      case 'local':
      case 'secrets':
        return [];
    }
  }

  onMissing(path: string): void {
    this.told?.(path);
  }
}

function executionFacts({ execution, startedAt }: EngineState): Readonly<Record<string, Value>> {
  return {
    id: { v: execution.id },
    workflowId: { v: execution.workflowId },
    workflowName: { v: execution.workflowName },
    version: { v: execution.version },
    startedAt: { v: new Date(startedAt).toISOString() },
    sessionId: { v: execution.sessionId },
  };
}

/** Only what the expressions name: by root, then name. Secrets stay behind, as only an activity has them. */
export function sliceFor(reader: ScopeReader, sources: readonly (Expr | Template)[]): ScopeSlice {
  const slice: Record<string, Record<string, Value>> = {};
  for (const { root, name } of collectReads(...sources)) {
    const names = name === '*' ? reader.names(root) : [name];
    for (const one of names) {
      const value = reader.get(root, one);
      if (value !== undefined) put((slice[root] ??= {}), one, value);
    }
  }
  return slice;
}
