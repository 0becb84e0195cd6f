import type { Value } from '../../src/definition/value.js';
import type { ScopeSlice } from '../../src/engine/types.js';
import { packQueue, type Queued, unpackQueue } from '../../src/workflows/packed-queue.js';

const throughJson = <T>(value: T): T => JSON.parse(JSON.stringify(value)) as T;
const call = (pass: number, scope: ScopeSlice): Queued => {
  const instance = { stepId: 'a', iterationPath: `l:i${pass}`, attempt: 1 };
  return { kind: 'activity', id: `l:i${pass}/a#1`, name: 'tool', instance, stepType: 'tool', scope, nowMs: 1, timeoutMs: null };
};

describe('the queue that crosses a hand-over', () => {
  it('is the same on the other side, whatever the names and references in its scopes', () => {
    const ref: Value = { v: null, refs: { '': { ref: 'val_1', bytes: 40_000, sha256: '0', preview: '…' } } };
    const odd = JSON.parse('{"__proto__": {"v": 1}, "constructor": {"v": [1]}}') as ScopeSlice[string];
    const queue: Queued[] = [
      call(0, { variables: odd, outputs: { big: ref } }),
      call(1, { loop: { item: { v: null } } }),
      { kind: 'start_child', id: 's#1:child', executionId: 'exe_2', instance: { stepId: 's', iterationPath: '', attempt: 1 } },
    ];
    expect(JSON.stringify(unpackQueue(throughJson(packQueue(queue))))).toBe(JSON.stringify(reordered(queue)));
  });

  it('D23 holds a value once however many passes wait with it', () => {
    const shared: Value = { v: 'x'.repeat(30_000) };
    const queue = Array.from({ length: 50 }, (_one, pass) => call(pass, { variables: { a: shared, b: { v: ['y'.repeat(30_000)] } } }));
    expect(JSON.stringify(packQueue(queue)).length).toBeLessThan(100_000);
    expect(unpackQueue(throughJson(packQueue(queue)))).toEqual(queue);
  });
});

/** The scope comes last; nothing depends on that. */
function reordered(queue: readonly Queued[]): unknown[] {
  return queue.map((command) => {
    if (!('scope' in command)) return command;
    const { scope, ...rest } = command;
    return { ...rest, scope };
  });
}
