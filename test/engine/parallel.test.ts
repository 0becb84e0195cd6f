import { drive } from './support/driver.js';
import { loop, parallel, set, tool, tries, wait } from './support/steps.js';

describe('parallel', () => {
  it('L16 opens all branches at once and merges in branch order whatever finishes first', () => {
    const branch = (v: string) => [tool(`t${v}`), { ...set(`s${v}`, { v }), outputVariable: 'k' }];
    const run = drive(
      { steps: [parallel('p', { a: branch('a'), b: branch('b'), c: branch('c') })] },
      { script: { ta: { afterMs: 30 }, tb: { afterMs: 20 }, tc: { afterMs: 10 } } },
    );
    expect(run.calls.map(({ at }) => at)).toEqual([0, 0, 0]);
    expect(run.output).toEqual({ p: { branches: { a: 'completed', b: 'completed', c: 'completed' } }, k: { v: 'c' } });
  });

  it('L17 lets each branch see the state before it; the later branch wins variables and outputs', () => {
    const branches = {
      a: [{ ...set('s1', { v: 1 }), outputVariable: 'k' }],
      b: [tool('t'), { ...set('s2', { saw: '{{v}}', v: 2 }), outputVariable: 'k' }],
    };
    const run = drive(
      { steps: [parallel('p', branches)], output: { v: '{{v}}', k: '{{outputs.k}}' } },
      { variables: { v: 0 }, script: { t: { afterMs: 5 } } },
    );
    expect(run.output).toEqual({ v: 2, k: { saw: 0, v: 2 } });
  });

  const failing = { script: { bad: { error: { code: 'http_500' } } } };
  const twoBranches = { a: [tool('bad')], b: [wait('w', { duration: '5s' }), tool('late')] };

  it('L18 fails fast: the other branch is cancelled and calls nothing', () => {
    const run = drive({ steps: [parallel('p', twoBranches)] }, failing);
    expect(run.outcome?.error).toMatchObject({ code: 'http_500', stepId: 'bad', iterationPath: 'p:b0' });
    expect(run.row('w', 'p:b1')?.status).toBe('cancelled');
    expect(run.row('p')?.status).toBe('failed');
    expect(run.callsOf('late')).toEqual([]);
  });

  it('L18 completes with onBranchError continue', () => {
    const run = drive({ steps: [parallel('p', twoBranches, { onBranchError: 'continue' })] }, failing);
    expect(run.output).toMatchObject({ p: { branches: { a: 'failed', b: 'completed' } } });
  });

  it('L19 wait any cancels the losers, who call nothing ever', () => {
    const slow = (id: string) => [wait(`w${id}`, { duration: '3s' }), tool(`t${id}`)];
    const run = drive({ steps: [parallel('p', { a: [wait('wa', { duration: '1s' })], b: slow('b'), c: slow('c') }, { wait: 'any' })] });
    expect(run.output).toMatchObject({ p: { branches: { a: 'completed', b: 'cancelled', c: 'cancelled' } } });
    expect(run.calls).toEqual([]);
    expect(run.nowMs - 1_700_000_000_000).toBe(1_000);
  });

  it('L20 wait any: the first success wins over an earlier failure', () => {
    const run = drive(
      { steps: [parallel('p', { a: tool('bad'), b: tool('ok'), c: tool('slow') }, { wait: 'any' })] },
      { script: { bad: { error: { code: 'x' } }, ok: { afterMs: 5 }, slow: { afterMs: 50 } } },
    );
    expect(run.output).toMatchObject({ p: { branches: { a: 'failed', b: 'completed', c: 'cancelled' } } });
  });

  it('L20 wait any fails when all fail', () => {
    const run = drive(
      { steps: [parallel('p', { a: tool('b1'), b: tool('b2') }, { wait: 'any' })] },
      { script: { b1: { error: { code: 'x' } }, b2: { error: { code: 'y' }, afterMs: 3 } } },
    );
    expect(run.outcome?.error).toMatchObject({ code: 'y' });
  });

  it('L20 wait 2 of 3 completes at the second success', () => {
    const run = drive(
      { steps: [parallel('p', { a: tool('t1'), b: tool('t2'), c: tool('t3') }, { wait: 2 })] },
      { script: { t1: { afterMs: 30 }, t2: { afterMs: 10 }, t3: { afterMs: 20 } } },
    );
    expect(run.output).toMatchObject({ p: { branches: { a: 'cancelled', b: 'completed', c: 'completed' } } });
  });

  it('L21 names branches of `steps` by the step', () => {
    const run = drive({ steps: [{ type: 'parallel', id: 'p', steps: [set('x', { a: 1 }), set('y', { a: 2 }), set('z', { a: 3 })] }] });
    expect(run.output).toMatchObject({ p: { branches: { x: 'completed', y: 'completed', z: 'completed' } } });
    expect(run.rowsOf('z')[0]?.iterationPath).toBe('p:b2');
  });

  it('a loser whose call completes all the same keeps its row and merges nothing', () => {
    const run = drive(
      { steps: [parallel('p', { a: tool('t1'), b: [tool('t2')] }, { wait: 'any' })] },
      { script: { t1: { output: 1, afterMs: 5 }, t2: { output: 2, afterMs: 5 } } },
    );
    expect(run.row('t2', 'p:b1')?.status).toBe('completed');
    expect(run.output).toEqual({ t1: 1, p: { branches: { a: 'completed', b: 'cancelled' } } });
  });

  it('waits for the clean-up of its losers before it goes on', () => {
    const loser = tries('y', [wait('w', { duration: '1h' })], { finally: [tool('clean')] });
    const run = drive(
      { steps: [parallel('p', { a: tool('t'), b: loser }, { wait: 'any' }), tool('next')] },
      { script: { clean: { afterMs: 500 } } },
    );
    expect(run.callsOf('next')[0]?.at).toBe(500);
    expect(run.row('y', 'p:b1')?.status).toBe('cancelled');
  });

  it('ends a clean-up that lasts longer than a minute', () => {
    const loser = tries('y', [wait('w', { duration: '1h' })], { finally: [tool('clean'), tool('clean2')] });
    const run = drive(
      { steps: [parallel('p', { a: tool('t'), b: loser }, { wait: 'any' }), tool('next')] },
      { script: { clean: { never: true } } },
    );
    expect(run.callsOf('next')[0]?.at).toBe(60_000);
    expect(run.row('clean', 'p:b1/y:finally')?.status).toBe('cancelled');
    expect(run.callsOf('clean2')).toEqual([]);
  });

  it('takes down nested branches and concurrent passes', () => {
    const nested = parallel('q', { x: loop('l', [1, 2, 3], [tool('t3')], { concurrency: 2 }), y: tool('t4') });
    const run = drive(
      { steps: [parallel('p', { a: [tool('t1')], b: nested }, { wait: 'any' })] },
      { script: { t1: { afterMs: 1 }, t3: { never: true }, t4: { never: true } } },
    );
    expect(run.outcome?.status).toBe('completed');
    expect(
      [...run.rows.values()]
        .filter(({ status }) => status === 'cancelled')
        .map(({ stepId }) => stepId)
        .toSorted(),
    ).toEqual(['l', 'q', 't3', 't3', 't4']);
  });
});
