import { drive } from './support/driver.js';
import { set, tool } from './support/steps.js';

describe('set', () => {
  it('L1 assigns typed values and publishes them under its id', () => {
    const cfg = { n: 1, f: { c: 'red' } };
    const run = drive(
      {
        variables: { cfg: { type: 'object' } },
        steps: [set('a', { shape: 'circle', copy: '{{variables.cfg}}', t: 'n={{variables.cfg.n}}' })],
      },
      { variables: { cfg } },
    );
    expect(run.output).toEqual({ a: { shape: 'circle', copy: cfg, t: 'n=1' } });
  });

  it('lets all values of one set see the state before it', () => {
    const run = drive({ steps: [set('a', { x: 1, y: 2 }), set('b', { x: '{{y}}', y: '{{x}}' })], output: ['{{x}}', '{{y}}'] });
    expect(run.output).toEqual([2, 1]);
  });

  it('L2 runs steps in author order, not in the order of their ids, also three conditionals deep', () => {
    const steps = (prefix: string) => [
      set(`${prefix}_9`, { t: 'r' }),
      set(`${prefix}_10`, { t: '{{t}}g' }),
      set(`${prefix}_1`, { t: '{{t}}b' }),
    ];
    const nested = {
      type: 'conditional',
      id: 'c1',
      condition: 'true',
      then: [
        {
          type: 'conditional',
          id: 'c2',
          condition: 'true',
          then: [{ type: 'conditional', id: 'c3', condition: 'true', then: steps('d') }],
        },
      ],
    };
    const run = drive({ steps: [...steps('s'), set('flat', { flat: '{{t}}' }), nested], output: ['{{flat}}', '{{t}}'] });
    expect(run.output).toEqual(['rgb', 'rgb']);
    expect(run.row('d_1', 'c1:then/c2:then/c3:then')?.status).toBe('completed');
  });

  it('X11 fails on arithmetic that has no result', () => {
    const run = drive({ steps: [set('a', { x: '{{1 / 0}}' })] });
    expect(run.outcome).toMatchObject({
      status: 'failed',
      error: { code: 'expression_error', stepId: 'a', iterationPath: '', attempt: 1 },
    });
    expect(run.kinds('a')).toEqual(['step.started', 'step.failed']);
  });

  it('X12 reads one time in a step', () => {
    const run = drive({ steps: [set('a', { x: '{{now()}}', y: '{{now()}}' })] });
    const { x, y } = (run.output as { a: { x: string; y: string } }).a;
    expect(x).toBe(y);
  });
});

describe('conditional', () => {
  const steps = (condition: string, more = {}) => [{ type: 'conditional', id: 'c', condition, then: [set('a', { p: 1 })], ...more }];
  const orElse = { else: [set('b', { p: 2 })] };

  it.each([
    ['red', 'then', 'a'],
    ['blue', 'else', 'b'],
  ])('L3 takes one branch for %s', (x, branch, ran) => {
    const run = drive({ variables: { x: { type: 'string' } }, steps: steps("variables.x == 'red'", orElse) }, { variables: { x } });
    expect(run.output).toMatchObject({ c: { condition: branch === 'then', branch } });
    expect([...run.rows.values()].map(({ stepId }) => stepId)).toEqual(['c', ran]);
  });

  it('L4 completes without a branch when there is no else', () => {
    expect(drive({ steps: steps("'blue' == 'red'") }).output).toEqual({ c: { condition: false, branch: null } });
  });

  it.each([
    ['yes', 'then'],
    ['', 'else'],
    [0, 'else'],
    [[], 'then'],
  ])('L5 takes %j as JavaScript would', (s, branch) => {
    expect(drive({ steps: steps('variables.s', orElse) }, { variables: { s } }).output).toMatchObject({ c: { branch } });
  });
});

describe('when', () => {
  it('L6 skips a step, which then publishes nothing; reading it gives null and a warning', () => {
    const run = drive({ steps: [{ ...set('m', { y: 1 }), when: 'false' }, set('n', { x: '{{outputs.m}}' })] });
    expect(run.output).toEqual({ n: { x: null } });
    expect(run.row('m')?.status).toBe('skipped');
    expect(run.events.find(({ kind, instance }) => kind === 'step.completed' && instance?.stepId === 'n')?.record?.warnings).toEqual([
      { code: 'missing_reference', message: 'outputs.m has no value' },
    ]);
  });

  it('fails the step when the condition itself fails', () => {
    expect(drive({ steps: [{ ...set('m', { y: 1 }), when: '1 / 0 > 1' }] }).outcome?.error).toMatchObject({
      code: 'expression_error',
      stepId: 'm',
    });
  });
});

describe('switch', () => {
  const cases = [
    { when: "variables.x == 'a'", steps: [set('one', { p: 1 })] },
    { when: "variables.x == 'b'", steps: [set('two', { p: 2 })] },
  ];
  it.each([
    ['b', { default: [set('three', { p: 3 })] }, 1, ['s:c1']],
    ['z', { default: [set('three', { p: 3 })] }, 'default', ['s:default']],
    ['z', {}, null, []],
  ])('L7 takes the first case that holds (%s)', (x, more, taken, paths) => {
    const run = drive({ steps: [{ type: 'switch', id: 's', cases, ...more }] }, { variables: { x } });
    expect(run.output).toMatchObject({ s: { case: taken } });
    expect([...run.rows.values()].filter(({ stepId }) => stepId !== 's').map(({ iterationPath }) => iterationPath)).toEqual(paths);
  });
});

describe('publication and output', () => {
  it('L30 goes on behind a failed step with onError continue, which publishes nothing', () => {
    const run = drive(
      { steps: [{ ...tool('t'), onError: 'continue' }, set('a', { x: 1 })] },
      { script: { t: { error: { code: 'http_400' } } } },
    );
    expect(run.outcome?.status).toBe('completed');
    expect(run.row('t')?.status).toBe('failed');
    expect(run.output).toEqual({ a: { x: 1 } });
  });

  it('L31 gives the root output typed, or all outputs; outputVariable replaces the id', () => {
    const steps = [{ ...set('a', { x: 1 }), outputVariable: 'v' }];
    expect(drive({ steps, output: '{{outputs.v}}' }).output).toEqual({ x: 1 });
    expect(drive({ steps }).output).toEqual({ v: { x: 1 } });
  });

  it('fails the run when the root output fails', () => {
    expect(drive({ steps: [set('a', { x: 1 })], output: '{{1 / 0}}' }).outcome).toMatchObject({
      status: 'failed',
      error: { code: 'expression_error' },
    });
  });
});

describe('stop', () => {
  it('L40 fails with its message; later steps have no rows', () => {
    const run = drive({ steps: [{ type: 'stop', id: 's', outcome: 'failed', message: 'no' }, set('a', { x: 1 })] });
    expect(run.outcome).toMatchObject({ status: 'failed', error: { code: 'stopped', message: 'no', stepId: 's' } });
    expect([...run.rows.keys()]).toEqual(['|s#1']);
  });

  it('L40 completes with its output, also from inside a branch, whose siblings are taken down', () => {
    const branches = [
      { id: 'a', steps: [{ type: 'stop', id: 's', outcome: 'completed', output: { r: '{{1 + 1}}' } }] },
      { id: 'b', steps: [tool('slow'), tool('never')] },
    ];
    const run = drive({ steps: [{ type: 'parallel', id: 'p', branches }] }, { script: { slow: { afterMs: 5_000 } } });
    expect(run.outcome).toMatchObject({ status: 'completed', output: { v: { r: 2 } } });
    expect(run.row('slow', 'p:b1')?.status).toBe('cancelled');
    expect(run.callsOf('never')).toEqual([]);
  });

  it('L40 is seen by no catch and no onError', () => {
    const body = {
      type: 'try',
      id: 'y',
      onError: 'continue',
      steps: [{ type: 'stop', id: 's', outcome: 'cancelled', message: 'enough' }],
      catch: [{ codes: ['*'], steps: [set('h', { x: 1 })] }],
    };
    const run = drive({ steps: [body] });
    expect(run.outcome).toMatchObject({ status: 'cancelled', reason: 'enough', requested: false });
    expect(run.row('h', 'y:catch0')).toBeUndefined();
  });
});
