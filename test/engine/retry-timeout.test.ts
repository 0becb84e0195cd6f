import { drive, Driver, planOf, START_MS } from './support/driver.js';
import { gate, loop, parallel, set, tool, tries, wait } from './support/steps.js';

const retry = { maxAttempts: 3, initialInterval: 100, backoff: 2 };
const unavailable = { error: { code: 'http_503', retryable: true } };

describe('retry', () => {
  it('L27 makes new attempts of one instance, each pause longer', () => {
    const run = drive({ steps: [tool('t', {}, { retry })] }, { script: { t: [unavailable, unavailable, { output: 'ok' }] } });
    expect(run.output).toEqual({ t: 'ok' });
    expect(run.rowsOf('t').map(({ attempt, status }) => [attempt, status])).toEqual([
      [1, 'failed'],
      [2, 'failed'],
      [3, 'completed'],
    ]);
    expect(
      run.events.filter(({ kind }) => kind === 'step.retrying').map(({ data, instance }) => [instance?.attempt, data['delayMs']]),
    ).toEqual([
      [1, 100],
      [2, 200],
    ]);
    expect(run.calls.map(({ at }) => at)).toEqual([0, 100, 300]);
  });

  it('fails after the last attempt', () => {
    const run = drive({ steps: [tool('t', {}, { retry: { ...retry, maxAttempts: 2 } })] }, { script: { t: unavailable } });
    expect(run.outcome?.error).toMatchObject({ code: 'http_503', attempt: 2 });
  });

  it.each([
    ['what is not marked retryable', {}, { error: { code: 'http_400' } }, [0]],
    ['a wish of the server', {}, { error: { code: 'http_429', retryable: true, retryAfterMs: 2_000 } }, [0, 2_000]],
    ['named codes', { on: ['http_5*'] }, { error: { code: 'http_503' } }, [0, 100]],
    ['other codes', { on: ['http_5*'] }, { error: { code: 'http_429', retryable: true } }, [0]],
  ])('L28 heeds %s', (_what, more, first, times) => {
    const run = drive({ steps: [tool('t', {}, { retry: { ...retry, ...more } })] }, { script: { t: [first, {}] } });
    expect(run.calls.map(({ at }) => at)).toEqual(times);
  });

  it('gives children of a retried container attempts above those used before', () => {
    const body = loop('l', [1], [tool('a', {}, { retry: { ...retry, maxAttempts: 2 } }), tool('b')], {
      retry: { ...retry, on: ['*'], maxAttempts: 2 },
    });
    const run = drive({ steps: [body] }, { script: { a: [unavailable, {}, {}], b: [{ error: { code: 'x' } }, { output: 1 }] } });
    expect(run.outcome?.status).toBe('completed');
    expect(run.rowsOf('a').map(({ attempt }) => attempt)).toEqual([1, 2, 3]);
    expect(run.rowsOf('b').map(({ attempt, status }) => [attempt, status])).toEqual([
      [1, 'failed'],
      [3, 'completed'],
    ]);
    expect(run.rowsOf('l').map(({ attempt, status }) => [attempt, status])).toEqual([
      [1, 'failed'],
      [2, 'completed'],
    ]);
  });

  it("retries a fiber's container likewise", () => {
    const run = drive(
      { steps: [parallel('p', { a: tool('a'), b: tool('b') }, { retry: { ...retry, on: ['*'] } })] },
      { script: { b: [{ error: { code: 'x' } }, { error: { code: 'x' } }, {}] } },
    );
    expect(run.rowsOf('a').map(({ attempt }) => attempt)).toEqual([1, 2, 3]);
    expect(run.rowsOf('p').map(({ status }) => status)).toEqual(['failed', 'failed', 'completed']);
  });

  it('counts attempts not as steps', () => {
    expect(
      drive({ steps: [tool('t', {}, { retry })], constraints: { maxSteps: 1 } }, { script: { t: [unavailable, unavailable, {}] } }).outcome
        ?.status,
    ).toBe('completed');
  });
});

describe('timeout', () => {
  it('L29 of a call is kept in its activity', () => {
    const run = drive({ steps: [tool('t', {}, { timeout: '1s' })] }, { script: { t: { afterMs: 5_000 } } });
    expect(run.outcome?.error).toMatchObject({ code: 'step_timeout', stepId: 't' });
    expect(run.commands.filter(({ kind }) => kind === 'timer')).toEqual([]);
  });

  it('L29 of a loop cancels what is inside', () => {
    const run = drive({ steps: [loop('l', [1, 2, 3], [tool('t')], { timeout: '1s' })] }, { script: { t: { afterMs: 700 } } });
    expect(run.outcome?.error).toMatchObject({ code: 'step_timeout', stepId: 'l', retryable: true });
    expect(run.rowsOf('t').map(({ status }) => status)).toEqual(['completed', 'cancelled']);
    expect(run.rowsOf('l').map(({ status }) => status)).toEqual(['failed']);
  });

  it('can be caught, and retried', () => {
    const body = parallel('p', { a: tool('t') }, { timeout: '1s', retry: { ...retry, maxAttempts: 2 } });
    const run = drive(
      { steps: [tries('y', [body], { catch: [{ codes: ['step_timeout'], steps: [set('h', { x: 1 })] }] })] },
      { script: { t: { never: true } } },
    );
    expect(run.outcome?.status).toBe('completed');
    expect(run.rowsOf('t').map(({ attempt, status }) => [attempt, status])).toEqual([
      [1, 'cancelled'],
      [2, 'cancelled'],
    ]);
  });

  it('of a try runs its finally, and its own handlers do not see it', () => {
    const body = tries('y', [tool('slow')], { timeout: '1s', catch: [{ codes: ['*'], steps: [tool('h')] }], finally: [tool('clean')] });
    const run = drive({ steps: [body] }, { script: { slow: { never: true } } });
    expect(run.outcome?.error).toMatchObject({ code: 'step_timeout', stepId: 'y' });
    expect(run.calls.map(({ stepId }) => stepId)).toEqual(['slow', 'clean']);
  });

  it('does not fire for a step that ended', () => {
    const run = drive({ steps: [loop('l', [1], [tool('t')], { timeout: '1s' }), wait('w', { duration: '5s' })] });
    expect(run.outcome?.status).toBe('completed');
  });

  it('of a wait and of a gate takes effect in the engine; the gate closes', () => {
    expect(drive({ steps: [wait('w', { duration: '1h', timeout: '1s' })] }).outcome?.error).toMatchObject({
      code: 'step_timeout',
      stepId: 'w',
    });
    const run = new Driver(planOf({ steps: [loop('l', [1], [gate('g')], { timeout: '1s' })] })).run();
    expect(run.outcome?.error).toMatchObject({ code: 'step_timeout', stepId: 'l' });
    expect([...run.gates.values()].map(({ status }) => status)).toEqual(['cancelled']);
    expect(run.row('g', 'l:i0')?.status).toBe('cancelled');
  });

  it('of an agent is the smaller of its two limits', () => {
    const run = drive({ steps: [{ type: 'agent_prompt', id: 'a', prompt: 'hi', timeout: '5s', await_timeout_ms: 60_000 }] });
    expect(run.commands.find(({ kind }) => kind === 'timer')).toMatchObject({ at: START_MS + 5_000, instance: { stepId: 'a' } });
  });
});
