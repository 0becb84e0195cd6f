import { Driver, planOf, START_MS } from './support/driver.js';
import { gate, loop, parallel, set, tool, tries, wait } from './support/steps.js';

const started = (steps: readonly unknown[], options = {}) => new Driver(planOf({ steps }), { roundTrip: true, ...options });

describe('cancel', () => {
  it.each([
    ['a call', tool('x')],
    ['a turn', { type: 'agent_prompt', id: 'x', prompt: 'hi' }],
    ['a command', { type: 'bash', id: 'x', command: 'sleep' }],
    ['a wait', wait('x', { duration: '1h' })],
    ['a gate', gate('x')],
    ['an event', { type: 'wait_for_event', id: 'x', event: 'go' }],
    ['a child', { type: 'subworkflow', id: 'x', workflow: 'w' }],
    ['branches', parallel('q', { a: tool('x'), b: wait('w', { duration: '1h' }) })],
    ['concurrent passes', loop('l', [1, 2, 3], [tool('x')], { concurrency: 2 })],
  ])('D9 during %s ends cancelled and nothing else', (_what, step) => {
    const run = started([step, tool('after')], { script: { x: { never: true } } })
      .cancel(100)
      .cancel(101)
      .run();
    expect(run.outcome).toMatchObject({ status: 'cancelled', requested: true });
    expect([...run.rows.values()].filter(({ stepId }) => stepId === 'x').every(({ status }) => status === 'cancelled')).toBe(true);
    expect(run.callsOf('after')).toEqual([]);
  });

  it('is cancelling while the clean-up runs, for at most a minute', () => {
    const run = started([tries('y', [tool('x')], { finally: [tool('clean'), tool('more')] })], {
      script: { x: { never: true }, clean: { never: true } },
    })
      .cancel(100)
      .runUntil(200);
    expect(run.state.status).toBe('cancelling');
    run.run();
    expect(run.outcome?.status).toBe('cancelled');
    expect(run.nowMs).toBe(START_MS + 60_100);
    expect(run.callsOf('more')).toEqual([]);
  });

  it("during a failing run's finally turns the end to cancelled, and the finally goes on", () => {
    const run = started([tries('y', [tool('bad')], { finally: [tool('clean')] })], {
      script: { bad: { error: { code: 'x' } }, clean: { afterMs: 500 } },
    })
      .cancel(100)
      .run();
    expect(run.outcome?.status).toBe('cancelled');
    expect(run.row('clean', 'y:finally')?.status).toBe('completed');
  });

  it('during the clean-up of a stop turns the end to cancelled', () => {
    const body = tries('y', [{ type: 'stop', id: 's', outcome: 'failed' }], { finally: [tool('clean')] });
    expect(
      started([body], { script: { clean: { afterMs: 500 } } })
        .cancel(100)
        .run().outcome,
    ).toMatchObject({ status: 'cancelled', requested: true });
  });

  it('before the start ends cancelled without a step', () => {
    const run = started([tool('x')]);
    run.feed({ kind: 'cancel', reason: 'no', by: null, at: START_MS });
    expect(run.run().outcome).toMatchObject({ status: 'cancelled', reason: 'no' });
    expect(run.calls).toEqual([]);
  });

  it('takes what the row says: a call that had completed stays completed, and finally sees its output', () => {
    const run = started([tries('y', [tool('x'), tool('next')], { finally: [tool('clean', { x: '{{outputs.x}}' })] })], {
      script: { x: { output: 'done', afterMs: 100 } },
    })
      .cancel(100)
      .run();
    expect(run.row('x', 'y:try')?.status).toBe('completed');
    expect(run.callsOf('clean')[0]?.input).toMatchObject({ arguments: { x: 'done' } });
    expect(run.callsOf('next')).toEqual([]);
  });

  it('a stop inside the clean-up does not change how the run ends', () => {
    const run = started([tries('y', [tool('x')], { finally: [{ type: 'stop', id: 's', outcome: 'completed' }, tool('clean')] })], {
      script: { x: { never: true } },
    })
      .cancel(1)
      .run();
    expect(run.outcome?.status).toBe('cancelled');
    expect(run.callsOf('clean')).toHaveLength(1);
  });

  it('gives a clean-up 200 steps', () => {
    const run = started([tries('y', [tool('x')], { finally: [loop('l', '{{range(1000)}}', [set('s', { n: '{{item}}' })])] })], {
      script: { x: { never: true } },
    })
      .cancel(1)
      .run();
    expect(run.outcome?.status).toBe('cancelled');
    expect(run.rowsOf('s').length).toBeLessThanOrEqual(200);
  });

  it('runs the finally of every branch, and of the try around them last', () => {
    const branch = (id: string) => tries(`y${id}`, [tool(`x${id}`)], { finally: [tool(`f${id}`)] });
    const run = started([tries('out', [parallel('p', { a: branch('a'), b: branch('b') })], { finally: [tool('last')] })], {
      script: { xa: { never: true }, xb: { never: true }, fa: { afterMs: 10 }, fb: { afterMs: 20 } },
    })
      .cancel(1)
      .run();
    expect(run.calls.map(({ stepId, at }) => [stepId, at])).toEqual([
      ['xa', 0],
      ['xb', 0],
      ['fa', 1],
      ['fb', 1],
      ['last', 21],
    ]);
  });
});

describe('limits', () => {
  it('D7 ends the run behind maxSteps step instances, containers counted', () => {
    const run = new Driver(planOf({ steps: [loop('l', '{{range(100)}}', [set('s', { n: 1 })])], constraints: { maxSteps: 10 } }), {
      roundTrip: true,
    }).run();
    expect(run.outcome).toMatchObject({ status: 'failed', error: { code: 'max_steps_exceeded' } });
    expect(run.rowsOf('s')).toHaveLength(9);
  });

  it('is seen by no catch, onError or onItemError; finally runs', () => {
    const inner = loop('l', '{{range(100)}}', [tool('t')], { onItemError: 'continue', onError: 'continue', concurrency: 3 });
    const body = tries('y', [inner], { catch: [{ codes: ['*'], steps: [tool('h')] }], finally: [tool('clean')], onError: 'continue' });
    const run = new Driver(planOf({ steps: [body], constraints: { maxSteps: 10 } }), {
      roundTrip: true,
      script: { t: { afterMs: 3 } },
    }).run();
    expect(run.outcome?.error?.code).toBe('max_steps_exceeded');
    expect(run.callsOf('h')).toEqual([]);
    expect(run.callsOf('clean')).toHaveLength(1);
  });
});

describe('pause', () => {
  const four = ['s1', 's2', 's3', 's4'].map((id) => tool(id));
  const script = Object.fromEntries(four.map(({ id }) => [id, { output: id, afterMs: 100 }]));

  it('D14 lets the step in flight end, holds the next, and goes on at resume', () => {
    const run = started(four, { script }).later(150, { kind: 'pause', by: 'ana' }).runUntil(1_000);
    expect(run.state.status).toBe('paused');
    expect(run.row('s2')?.status).toBe('completed');
    expect(run.state.fibers['f0']?.frames[0]).toMatchObject({ scope: { outputs: { s2: { v: 's2' } } } });
    expect(run.row('s3')).toBeUndefined();
    run.later(2_000, { kind: 'resume', by: 'ana' }).run();
    expect(run.outcome?.status).toBe('completed');
    expect(run.callsOf('s3')[0]?.at).toBe(2_000);
    expect(run.kinds().filter((kind) => kind.startsWith('execution.'))).toEqual(['execution.paused', 'execution.resumed']);
  });

  it('twice, or a resume without one, changes nothing', () => {
    const run = started(four, { script })
      .later(10, { kind: 'resume', by: null })
      .later(50, { kind: 'pause', by: null })
      .later(60, { kind: 'pause', by: null })
      .later(200, { kind: 'resume', by: null })
      .run();
    expect(run.outcome?.status).toBe('completed');
    expect(run.kinds().filter((kind) => kind === 'execution.paused')).toHaveLength(1);
  });

  it('holds the end of the run', () => {
    const run = started([tool('s1')], { script })
      .later(50, { kind: 'pause', by: null })
      .runUntil(500);
    expect(run.outcome).toBeUndefined();
    expect(run.later(600, { kind: 'resume', by: null }).run().outcome?.status).toBe('completed');
  });

  it('keeps a decision made meanwhile; its consequence starts at resume', () => {
    const run = started([gate('g'), tool('s1')], { script })
      .later(10, { kind: 'pause', by: null })
      .decide(20, 'g', 'approved')
      .runUntil(100);
    expect(run.row('g')?.status).toBe('completed');
    expect(run.callsOf('s1')).toEqual([]);
    expect(run.later(200, { kind: 'resume', by: null }).run().outcome?.status).toBe('completed');
  });

  it('a denial that would end the run waits for resume', () => {
    const run = started([gate('g')])
      .later(10, { kind: 'pause', by: null })
      .decide(20, 'g', 'denied')
      .runUntil(100);
    expect(run.outcome).toBeUndefined();
    expect(run.row('g')?.status).toBe('failed');
    expect(run.later(200, { kind: 'resume', by: null }).run().outcome).toMatchObject({ status: 'cancelled', reason: 'approval_denied' });
  });

  it('a time limit that passed takes effect at resume', () => {
    const run = started([loop('l', [1], [tool('s1'), tool('s2')], { timeout: '1s' })], { script })
      .later(50, { kind: 'pause', by: null })
      .runUntil(2_000);
    expect(run.row('l')?.status).toBe('running');
    expect(run.later(3_000, { kind: 'resume', by: null }).run().outcome?.error?.code).toBe('step_timeout');
  });

  it('a retry that is due waits for resume', () => {
    const run = started([tool('s1', {}, { retry: { maxAttempts: 2, initialInterval: 100 } })], {
      script: { s1: [{ error: { code: 'x', retryable: true } }, { output: 1 }] },
    });
    run.later(50, { kind: 'pause', by: null }).runUntil(500);
    expect(run.callsOf('s1')).toHaveLength(1);
    expect(run.later(600, { kind: 'resume', by: null }).run().callsOf('s1')[1]?.at).toBe(600);
  });

  it('is ended by a cancel at once', () => {
    const run = started(four, { script }).later(50, { kind: 'pause', by: null }).cancel(60).run();
    expect(run.outcome?.status).toBe('cancelled');
    expect(run.nowMs).toBe(START_MS + 60);
  });

  it("is ended by the limit of the run's length", () => {
    const run = new Driver(planOf({ steps: four, constraints: { maxDuration: '1d' } }), { script })
      .later(50, { kind: 'pause', by: null })
      .run();
    expect(run.outcome?.error?.code).toBe('max_duration_exceeded');
  });

  it('holds what branches start, in the order in which they came to rest', () => {
    const run = started([parallel('p', { a: [tool('s1'), tool('s3')], b: [tool('s2'), tool('s4')] })], { script })
      .later(50, { kind: 'pause', by: null })
      .runUntil(500);
    expect(run.calls.map(({ stepId }) => stepId)).toEqual(['s1', 's2']);
    expect(
      run
        .later(600, { kind: 'resume', by: null })
        .run()
        .calls.map(({ stepId }) => stepId),
    ).toEqual(['s1', 's2', 's3', 's4']);
  });
});

describe('a clean-up', () => {
  const loser = (id: string, last: string) => tries(id, [tool('x')], { finally: [wait(`${id}w`, { duration: '50s' }), tool(last)] });

  it('that a pause holds has its minute afterwards', () => {
    const run = started([parallel('p', { a: tool('won'), b: loser('y', 'clean') }, { wait: 'any' })], {
      script: { x: { never: true }, won: { afterMs: 10 } },
    });
    run.later(20, { kind: 'pause', by: null }).later(300_000, { kind: 'resume', by: null }).run();
    expect(run.callsOf('clean')[0]?.at).toBe(300_000);
    expect(run.outcome?.status).toBe('completed');
  });

  it('of a lost branch shares the minute of a cancel that comes later', () => {
    const slow = tries('y', [tool('x')], { finally: [tool('clean')] });
    const run = started([parallel('p', { a: tool('won'), b: slow }, { wait: 'any' })], {
      script: { x: { never: true }, won: { afterMs: 10 }, clean: { never: true } },
    })
      .cancel(30_000)
      .run();
    expect(run.outcome?.status).toBe('cancelled');
    expect(run.nowMs).toBe(START_MS + 60_010);
  });

  it('of a step in a clean-up has a minute of its own only within that of the run', () => {
    const inner = loop('l', [1], [tries('z', [tool('x2')], { finally: [tool('never')] })], { timeout: '40s' });
    const run = started([tries('y', [tool('x')], { finally: [inner] })], {
      script: { x: { never: true }, x2: { never: true }, never: { never: true } },
    })
      .cancel(0)
      .run();
    expect(run.outcome?.status).toBe('cancelled');
    expect(run.nowMs).toBe(START_MS + 60_000);
  });
});
