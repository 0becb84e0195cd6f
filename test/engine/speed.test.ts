import { advance, initialState } from '../../src/engine/index.js';
import type { Command, Input } from '../../src/engine/types.js';
import type { Plan } from '../../src/definition/runtime.js';
import { planOf, START_MS, startOf } from './support/driver.js';
import { loop, set } from './support/steps.js';

/** Runs a plan without activities to its end, in the chunks that the host would see. */
function runPure(plan: Plan): { chunks: number; ms: number; status: string | undefined; largest: number } {
  let state = initialState(startOf(plan));
  const before = Date.now();
  let chunks = 0;
  let largest = 0;
  let input: Input = { kind: 'start', at: START_MS };
  for (;;) {
    const result = advance(plan, state, input);
    state = result.state;
    chunks += 1;
    largest = Math.max(largest, result.events.length);
    const finish = result.commands.find((command) => command.kind === 'finish');
    if (finish !== undefined) return { chunks, ms: Date.now() - before, status: finish.outcome.status, largest };
    input = result.more ? { kind: 'continue', at: START_MS } : resultsOf(result.commands);
  }
}

/** Results over 32 KB are put together in one activity: the only one. */
function resultsOf(commands: readonly Command[]): Input {
  const [command] = commands.filter(({ kind }) => kind === 'activity');
  if (command?.kind !== 'activity' || command.name !== 'evaluate' || command.site.field !== 'results')
    throw new Error(`Not pure: ${JSON.stringify(command)}`);
  const value = { v: null, refs: { '': { ref: 'val_1', bytes: 50_000, sha256: 'x', preview: '' } } };
  return { kind: 'answered', id: command.id, result: { of: 'value', value }, at: START_MS };
}

describe('a pure stretch', () => {
  it('of 10 000 passes takes less than 2 s, in chunks of 1,000 steps', () => {
    const plan = planOf({
      steps: [loop('l', '{{range(10000)}}', [set('s', { n: '{{item + 1}}' })], { collect: 'n' })],
      constraints: { maxSteps: 20_001 },
    });
    const { chunks, ms, status, largest } = runPure(plan);
    expect(status).toBe('completed');
    expect(ms).toBeLessThan(2_000);
    expect(chunks).toBeGreaterThanOrEqual(10);
    expect(largest).toBeLessThanOrEqual(4_010);
  });

  it('of 2 000 passes of a while loop with branches takes less than 2 s', () => {
    const body = {
      type: 'parallel',
      id: 'p',
      branches: [
        { id: 'a', steps: [set('s', { n: '{{n + 1}}' })] },
        { id: 'b', steps: [set('t', { m: 1 })] },
      ],
    };
    const plan = planOf({
      steps: [set('i', { n: 0 }), { type: 'loop', id: 'l', while: 'n < 2000', steps: [body] }],
      constraints: { maxSteps: 50_000 },
    });
    const { ms, status } = runPure(plan);
    expect(status).toBe('completed');
    expect(ms).toBeLessThan(2_000);
  });
});
