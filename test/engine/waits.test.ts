import { drive, Driver, planOf, START_MS } from './support/driver.js';
import { loop, parallel, set, tool, tries, wait } from './support/steps.js';

const iso = (afterMs: number) => new Date(START_MS + afterMs).toISOString();
const DAY = 86_400_000;

describe('wait', () => {
  it('L36 resumes after a duration', () => {
    const run = drive({ steps: [wait('w', { duration: '1s' })] });
    expect(run.output).toEqual({ w: { until: iso(1_000) } });
    expect(run.nowMs).toBe(START_MS + 1_000);
  });

  it('L36 goes on at once when the instant has passed', () => {
    const run = drive({ steps: [wait('w', { until: '2020-01-01T00:00:00Z' })] });
    expect(run.output).toEqual({ w: { until: '2020-01-01T00:00:00.000Z' } });
    expect(run.commands.map(({ kind }) => kind)).toEqual(['finish']);
  });

  it('reads its duration from a template, and refuses what is none', () => {
    expect(drive({ steps: [wait('w', { duration: '{{1 + 1}}s' })] }).output).toEqual({ w: { until: iso(2_000) } });
    expect(drive({ steps: [wait('w', { duration: '{{"soon"}}' })] }).outcome?.error).toMatchObject({
      code: 'expression_error',
      stepId: 'w',
    });
  });

  it('L37 waits 30 days when the run may last that long', () => {
    expect(drive({ steps: [wait('w', { duration: '30d' })], constraints: { maxDuration: '31d' } }).output).toEqual({
      w: { until: iso(30 * DAY) },
    });
  });

  it('L37 fails at the limit of the run, which nothing catches; finally runs', () => {
    const body = tries('y', [wait('w', { duration: '30d' })], {
      catch: [{ codes: ['*'], steps: [tool('h')] }],
      finally: [tool('clean')],
      onError: 'continue',
    });
    const run = drive({ steps: [body] });
    expect(run.outcome).toMatchObject({ status: 'failed', error: { code: 'max_duration_exceeded' } });
    expect(run.nowMs).toBe(START_MS + 7 * DAY);
    expect(run.calls.map(({ stepId }) => stepId)).toEqual(['clean']);
  });

  it('looks at the limit with every input, and has a timer from the start when it is short', () => {
    const busy = drive(
      { steps: [loop('l', '{{range(10)}}', [tool('t')])], constraints: { maxDuration: '1h' } },
      { script: { t: { afterMs: 1_000_000 } } },
    );
    expect(busy.outcome?.error?.code).toBe('max_duration_exceeded');
    expect(busy.callsOf('t')).toHaveLength(4);
    const short = drive({ steps: [tool('t')], constraints: { maxDuration: '1m' } }, { script: { t: { never: true } } });
    expect(short.nowMs).toBe(START_MS + 60_000);
    expect(short.outcome?.error?.code).toBe('max_duration_exceeded');
  });

  it('ends at its limit when the answer of a call never comes: the host bounds every call by what is left', () => {
    const steps = [tries('y', [tool('t')], { catch: [{ codes: ['*'], steps: [tool('h')] }] })];
    const run = drive({ steps, constraints: { maxDuration: '1h' } }, { script: { t: { lost: true, afterMs: 3_605_000 } } });
    expect(run.outcome?.error?.code).toBe('max_duration_exceeded');
    expect(run.callsOf('h')).toEqual([]);
    expect(run.row('t', 'y:try')?.status).toBe('cancelled');
  });

  it('tells once that the run waits, and for what', () => {
    const run = drive({ steps: [parallel('p', { a: wait('w', { duration: '1s' }), b: wait('v', { duration: '2s' }) }), tool('t')] });
    const waiting = run.events.filter(({ kind }) => kind === 'execution.waiting');
    expect(waiting.map(({ data }) => data)).toEqual([
      {
        status: 'waiting_event',
        for: [
          { stepId: 'w', iterationPath: 'p:b0', for: 'timer', until: iso(1_000) },
          { stepId: 'v', iterationPath: 'p:b1', for: 'timer', until: iso(2_000) },
        ],
      },
    ]);
  });
});

describe('wait_for_event', () => {
  const paid = { type: 'wait_for_event', id: 'e', event: 'paid', match: 'event.payload.id == variables.id', timeout: '2s' };
  const started = (steps: readonly unknown[], variables = {}) =>
    new Driver(planOf({ steps }), { roundTrip: true, variables: { id: 7, ...variables } });

  it('L38 takes the event that fits; the other stays for others', () => {
    const run = started([paid, { type: 'wait_for_event', id: 'rest', event: 'paid' }])
      .event(100, 'paid', { id: 1 })
      .event(200, 'paid', { id: 7 })
      .run();
    expect(run.output).toEqual({ e: { id: 7 }, rest: { id: 1 } });
  });

  it('L38 fails with event_timeout', () => {
    expect(started([paid]).run().outcome?.error).toMatchObject({ code: 'event_timeout', stepId: 'e' });
  });

  it('L39 keeps an early event, and applies a repeated one once', () => {
    const run = started([wait('w', { duration: '1s' }), paid, { ...paid, id: 'f' }])
      .event(100, 'paid', { id: 7 }, 'evt_a')
      .event(200, 'paid', { id: 7 }, 'evt_a')
      .run();
    expect(run.row('e')?.status).toBe('completed');
    expect(run.row('f')?.error?.code).toBe('event_timeout');
  });

  it('gives one event to one waiter, first come first served', () => {
    const open = { type: 'wait_for_event', id: 'x', event: 'go' };
    const run = started([parallel('p', { a: open, b: { ...open, id: 'y' } })])
      .event(10, 'go', 1)
      .event(20, 'go', 2)
      .run();
    expect(run.output).toMatchObject({ x: 1, y: 2 });
  });

  it('evaluates match elsewhere when it looks inside a stored value', () => {
    const big = { refs: { '': { ref: 'val_big', bytes: 5_000_000, sha256: 'x', preview: '' } }, v: null };
    const steps = [{ type: 'wait_for_event', id: 'e', event: 'go', match: 'event.payload.id == variables.big.id' }];
    const run = new Driver(planOf({ steps }), { roundTrip: true, values: { big }, stored: { val_big: { id: 7 } } })
      .event(1, 'go', { id: 1 })
      .event(2, 'go', { id: 7 })
      .run();
    expect(run.output).toEqual({ e: { id: 7 } });
  });

  it('an event that came in time during a pause still counts', () => {
    const run = started([paid])
      .later(50, { kind: 'pause', by: 'ana' })
      .event(100, 'paid', { id: 7 })
      .later(5_000, { kind: 'resume', by: 'ana' })
      .run();
    expect(run.output).toEqual({ e: { id: 7 } });
  });

  it('is waiting_event; with an open gate beside it waiting_approval', () => {
    const steps = [parallel('p', { a: { type: 'wait_for_event', id: 'x', event: 'go' }, b: { type: 'approval', id: 'g' } })];
    const run = started(steps).runUntil(10);
    expect(run.state.status).toBe('waiting_approval');
    expect(run.decide(20, 'g', 'approved').runUntil(30).state.status).toBe('waiting_event');
  });

  it('has a value of its own also when its name is a template', () => {
    const run = started([set('s', { n: 'go' }), { type: 'wait_for_event', id: 'e', event: '{{n}}-1' }])
      .event(1, 'go-1', 5)
      .run();
    expect(run.output).toMatchObject({ e: 5 });
  });
});
