import { drive, Driver, planOf } from './support/driver.js';
import { loop, set, tool, tries } from './support/steps.js';

const notFound = { bad: { error: { code: 'http_404', message: 'gone', details: { status: 404 } } } };

describe('try', () => {
  it("L22 runs the handler with the error under its name; its last output is the try's", () => {
    const body = tries('y', [tool('bad')], {
      catch: [
        {
          codes: ['http_404'],
          as: 'e',
          steps: [set('h', { code: '{{e.code}}', message: '{{e.message}}', stepId: '{{e.stepId}}', path: '{{e.iterationPath}}' })],
        },
      ],
    });
    const run = drive({ steps: [body] }, { script: notFound });
    const told = { code: 'http_404', message: 'gone', stepId: 'bad', path: 'y:try' };
    expect(run.output).toEqual({ h: told, y: told });
    expect(run.row('h', 'y:catch0')?.status).toBe('completed');
  });

  it.each([
    [['http_5*'], 'failed'],
    [['*'], 'completed'],
    [['http_5*', 'http_404'], 'completed'],
  ])('L23 codes %j: %s', (codes, status) => {
    const run = drive({ steps: [tries('y', [tool('bad')], { catch: [{ codes, steps: [set('h', { x: 1 })] }] })] }, { script: notFound });
    expect(run.outcome?.status).toBe(status);
    if (status === 'failed') expect(run.outcome?.error).toMatchObject({ code: 'http_404', stepId: 'bad', iterationPath: 'y:try' });
  });

  it('L24 a handler that fails tells what it was to handle', () => {
    const run = drive(
      { steps: [tries('y', [tool('bad')], { catch: [{ codes: ['*'], steps: [{ type: 'bash', id: 'b', command: 'x' }] }] })] },
      { script: { ...notFound, b: { error: { code: 'bash_exit_code' } } } },
    );
    expect(run.outcome?.error).toMatchObject({ code: 'bash_exit_code', details: { cause: { code: 'http_404' } } });
  });

  it('L25 recovers one pass of a loop', () => {
    const body = tries('y', [tool('t')], { catch: [{ codes: ['*'], steps: [set('h', { fallback: true })] }] });
    const run = drive(
      { steps: [loop('l', [1, 2, 3], [body])] },
      { script: { t: ({ nth }) => (nth === 1 ? { error: { code: 'x' } } : { output: 'ok' }) } },
    );
    expect(run.output).toMatchObject({ l: { iterations: 3, failed: 0, results: ['ok', { fallback: true }, 'ok'] } });
  });

  const marked = (steps: Parameters<typeof tries>[1]) => tries('y', steps, { finally: [tool('marker')] });

  it.each([
    ['success', [set('a', { x: 1 })], 'completed'],
    ['failure', [tool('bad')], 'failed'],
    ['stop', [{ type: 'stop', id: 's', outcome: 'failed', message: 'no' }], 'failed'],
  ])('L26 runs finally once on %s', (_how, steps, status) => {
    const run = drive({ steps: [marked(steps)] }, { script: notFound });
    expect(run.callsOf('marker')).toHaveLength(1);
    expect(run.outcome?.status).toBe(status);
  });

  it('L26 runs finally on cancel, and ends cancelled', () => {
    const run = new Driver(planOf({ steps: [marked([tool('slow')])] }), {
      roundTrip: true,
      script: { slow: { afterMs: 10_000 }, marker: { afterMs: 50 } },
    })
      .cancel(100)
      .run();
    expect(run.callsOf('marker')).toHaveLength(1);
    expect(run.outcome).toMatchObject({ status: 'cancelled', requested: true, reason: 'cancel_requested' });
    expect(run.row('slow', 'y:try')?.status).toBe('cancelled');
    expect(run.row('y')?.status).toBe('cancelled');
  });

  it('a finally that fails replaces the end and tells of the first failure', () => {
    const run = drive(
      { steps: [tries('y', [tool('bad')], { finally: [tool('worse')] })] },
      { script: { ...notFound, worse: { error: { code: 'http_500' } } } },
    );
    expect(run.outcome?.error).toMatchObject({ code: 'http_500', details: { cause: { code: 'http_404' } } });
  });

  it('runs finally when a handler fails, and rolls nothing back', () => {
    const body = tries('y', [set('a', { x: 'kept' }), tool('bad')], {
      catch: [{ codes: ['*'], steps: [tool('worse')] }],
      finally: [tool('marker', { x: '{{x}}' })],
      onError: 'continue',
    });
    const run = drive({ steps: [body], output: '{{x}}' }, { script: { ...notFound, worse: { error: { code: 'http_500' } } } });
    expect(run.callsOf('marker')[0]?.input).toMatchObject({ arguments: { x: 'kept' } });
    expect(run.output).toBe('kept');
  });

  it('nests: the inner finally runs before the outer handler', () => {
    const inner = tries('in', [tool('bad')], { finally: [tool('f1')] });
    const run = drive(
      { steps: [tries('out', [inner], { catch: [{ codes: ['*'], steps: [tool('h')] }], finally: [tool('f2')] })] },
      { script: notFound },
    );
    expect(run.calls.map(({ stepId }) => stepId)).toEqual(['bad', 'f1', 'h', 'f2']);
  });
});
