import { Driver, planOf, START_MS } from './support/driver.js';
import { parallel, set, tool, tries, wait } from './support/steps.js';

const sub = (id: string, more = {}) => ({ type: 'subworkflow', id, workflow: 'double', input: { n: '{{n}}' }, ...more });
const started = (steps: readonly unknown[], options = {}) =>
  new Driver(planOf({ steps }), { roundTrip: true, variables: { n: 2 }, ...options });

describe('subworkflow', () => {
  it("L32 publishes the child's output", () => {
    const run = started([sub('s')], { script: { s: { output: 4, afterMs: 50 } } }).run();
    expect(run.output).toEqual({ s: 4 });
    expect(run.commands.find((command) => command.kind === 'activity')).toMatchObject({
      name: 'prepare_child',
      depth: 1,
      scope: { variables: { n: { v: 2 } } },
    });
  });

  it('L32 fails with subworkflow_failed, which can be caught', () => {
    const body = tries('y', [sub('s')], {
      catch: [
        {
          codes: ['subworkflow_failed'],
          as: 'e',
          steps: [set('h', { id: '{{e.details.executionId}}', code: '{{e.details.error.code}}' })],
        },
      ],
    });
    const run = started([body], { script: { s: { error: { code: 'http_500' } } } }).run();
    expect(run.output).toMatchObject({ h: { id: expect.stringMatching(/^exe_s_/), code: 'http_500' } });
  });

  it.each([
    [3, undefined],
    [4, 'depth_exceeded'],
  ])('L33 at depth %s of five', (depth, code) => {
    const run = started([sub('s')], { depth, script: { s: { output: 1 } } }).run();
    expect(run.outcome?.error?.code).toBe(code);
    expect(run.commands.some((command) => command.kind === 'start_child')).toBe(code === undefined);
  });

  it('L35 goes on at once with await false, and does not cancel the child later', () => {
    const run = started([sub('s', { await: false }), wait('w', { duration: '1h' })])
      .cancel(100)
      .run();
    expect(run.row('s')?.output?.v).toEqual({ executionId: expect.stringMatching(/^exe_s_/) });
    expect(run.childCancels).toEqual([]);
    expect(run.outcome?.status).toBe('cancelled');
  });

  it('L35 cancels an awaited child, and waits for its end', () => {
    const run = started([sub('s'), tool('after')])
      .cancel(100)
      .run();
    expect(run.childCancels).toHaveLength(1);
    expect(run.row('s')?.status).toBe('cancelled');
    expect(run.nowMs).toBe(START_MS + 101);
    expect(run.callsOf('after')).toEqual([]);
  });

  it('§9 has one minute for the end of a cancelled child, then goes without it', () => {
    const run = started([sub('s'), tool('after')], { script: { s: { deaf: true } } })
      .cancel(100)
      .run();
    expect(run.outcome?.status).toBe('cancelled');
    expect(run.nowMs).toBe(START_MS + 60_100);
    expect(run.childCancels).toHaveLength(1);
  });

  it('§9 lets no timer run on behind a cancelled child that ended in time', () => {
    const run = started([sub('s')])
      .cancel(100)
      .run();
    const timers = run.commands.filter(({ kind }) => kind === 'timer' || kind === 'cancel_timer').map(({ kind }) => kind);
    expect(timers.filter((kind) => kind === 'timer')).toHaveLength(timers.length / 2);
    expect(run.nowMs).toBe(START_MS + 101);
  });

  it("keeps a child's end that comes before its start was acknowledged", () => {
    const run = started([sub('s')]);
    run.step();
    run.step();
    const start = run.commands.find((command) => command.kind === 'start_child');
    if (start === undefined) throw new Error('no child');
    run.feed({
      kind: 'child_ended',
      at: START_MS,
      executionId: start.executionId,
      outcome: { status: 'completed', output: { v: 9 }, error: null },
    });
    expect(run.run().output).toEqual({ s: 9 });
  });

  it('ignores ends of children that it does not know, and repeated ones', () => {
    const run = started([sub('s'), wait('w', { duration: '1s' })], { script: { s: { output: 1 } } });
    run.endChild(5, 'exe_unknown', 'completed', 3).run();
    expect(run.state.earlyEnds).toEqual({});
    expect(run.output).toMatchObject({ s: 1 });
  });

  it('a child prepared for a step that is being aborted is cancelled, never started', () => {
    const run = started([parallel('p', { a: tool('t'), b: sub('s') }, { wait: 'any' })], { script: { t: {} } });
    run.run();
    expect(run.childCancels).toHaveLength(1);
    expect(run.commands.some((command) => command.kind === 'start_child')).toBe(false);
  });

  it('waits for a child, and the run is waiting_event', () => {
    expect(started([sub('s')]).runUntil(10).state.status).toBe('waiting_event');
    expect(
      started([sub('s')])
        .runUntil(10)
        .kinds(),
    ).toEqual(['step.started', 'step.waiting', 'execution.waiting']);
  });
});
