import { advance, type EngineState, SEGMENT_STEPS, SegmentMachine } from '../../src/engine/index.js';
import type { ActivityCommand } from '../../src/engine/types.js';
import { Driver, type Options, planOf } from './support/driver.js';

type Step = { readonly [field: string]: unknown };
const tool = (id: string, fields: Step = {}): Step => ({ id, type: 'tool', tool: 'http:request', arguments: {}, ...fields });
const set = (id: string, values: Step): Step => ({ id, type: 'set', values });
const loop = (id: string, fields: Step, steps: readonly Step[]): Step => ({ id, type: 'loop', ...fields, steps });
const parallel = (id: string, branches: readonly (readonly Step[])[], fields: Step = {}): Step => ({
  id,
  type: 'parallel',
  branches: branches.map((steps, index) => ({ id: `b${index}`, steps })),
  ...fields,
});

const aRun = (steps: readonly Step[], options: Options & { readonly definition?: Step } = {}): Driver =>
  new Driver(planOf({ steps, ...options.definition }, { light: true }), { roundTrip: true, ...options });
const names = (run: Driver): string[] =>
  run.commands.filter((command): command is ActivityCommand => command.kind === 'activity').map(({ name, id }) => `${name} ${id}`);
/** Activities that the host would order: not the calls that its segments carry out. */
const ordered = (run: Driver): string[] => names(run).filter((name) => !/^(tool|evaluate) /.test(name));

describe('which steps run in segments', () => {
  it.each<[string, Step[], string[]]>([
    ['a stretch of light steps, as one', [tool('a'), set('s', { x: 1 }), tool('b')], ['segment a#1:segment.s1']],
    ['none that forbids its repetition', [tool('a', { onCrash: 'fail' })], []],
    ['none whose own limit is above 30 s', [tool('a', { arguments: { timeoutMs: 31_000 } })], []],
    ['none whose own limit is known only at run', [tool('a', { arguments: { timeoutMs: '{{ 5 }}' } })], []],
    ['one with a short limit of its own', [tool('a', { arguments: { timeoutMs: 30_000 } })], ['segment a#1:segment.s1']],
    ['no pure stretch', [set('a', { x: 1 }), loop('l', { over: [1, 2] }, [set('b', { x: 2 })])], []],
    [
      'stretches around a step that is none',
      [tool('a'), { id: 'n', type: 'notify', target: 'chat', content: 'hi' }, tool('b')],
      ['segment a#1:segment.s1', 'notify n#1', 'segment b#1:segment.s2'],
    ],
    [
      'a loop around a step that is none, pass by pass',
      [loop('l', { over: [1, 2] }, [tool('a'), { id: 'n', type: 'notify', target: 'chat', content: 'hi' }])],
      ['segment l:i0/a#1:segment.s2', 'notify l:i0/n#1', 'segment l:i1/a#1:segment.s3', 'notify l:i1/n#1'],
    ],
    ['a parallel whose branches are light, whole', [parallel('p', [[tool('a')], [tool('b')]])], ['segment p#1:segment.s1']],
    [
      'passes of a loop with more at once than fit into one, each by itself',
      [
        loop(
          'l',
          { over: [1, 2], concurrency: 50 },
          [1, 2, 3, 4].map((n) => tool(`a${n}`)),
        ),
      ],
      ['segment l:i0/a1#1:segment.s4', 'segment l:i1/a1#1:segment.s5'],
    ],
    [
      'branches of another parallel each by itself',
      [parallel('p', [[tool('a')], [{ id: 'w', type: 'wait', duration: '1s' }]])],
      ['segment p:b0/a#1:segment.s4'],
    ],
    [
      'a container with a time limit from within',
      [{ id: 'c', type: 'conditional', timeout: '5s', condition: 'true', then: [tool('a')] }],
      ['segment c:then/a#1:segment.s2'],
    ],
    [
      'a try with its handler',
      [{ id: 't', type: 'try', steps: [tool('a')], catch: [{ codes: ['*'], steps: [tool('b')] }] }],
      ['segment t:try/a#1:segment.s2'],
    ],
  ])('%s', (_name, steps, expected) => {
    const run = aRun(steps).run();
    expect(run.outcome?.status).toBe('completed');
    expect(ordered(run)).toEqual(expected);
  });

  it('none for a run of an older engine', () => {
    const plan = planOf({ steps: [tool('a')] }, { light: true });
    const driver = new Driver(plan);
    driver.state = { ...driver.state, engineVersion: 1 };
    expect(names(driver.run())).toEqual(['tool a#1']);
  });
});

describe('what a segment does', () => {
  it('goes on where it stopped after its steps are used up, and counts each step once', () => {
    const run = aRun([loop('l', { over: 'range(500)', collect: 'outputs.a' }, [tool('a')])], {
      script: { a: ({ nth }) => ({ output: nth }) },
      definition: { constraints: { maxSteps: 501 } },
    }).run();
    expect(run.outcome?.status).toBe('completed');
    expect(run.output).toMatchObject({ l: { iterations: 500 } });
    expect(run.state.steps).toBe(501);
    expect(ordered(run).filter((name) => name.startsWith('segment'))).toHaveLength(Math.ceil(501 / SEGMENT_STEPS));
  });
  it('stops the run at maxSteps, wherever that falls', () => {
    const run = aRun([loop('l', { over: 'range(500)' }, [tool('a')])], { definition: { constraints: { maxSteps: 250 } } }).run();
    expect(run.outcome).toMatchObject({ status: 'failed', error: { code: 'max_steps_exceeded' } });
    expect(run.callsOf('a')).toHaveLength(249);
  });
  it('ends concurrent passes that it has begun before it stops, so that the next one has them all again', () => {
    const run = aRun([loop('l', { over: 'range(300)', concurrency: 20 }, [tool('a'), set('s', { i: '{{ loop.index }}' })])], {
      script: { a: ({ nth }) => ({ output: nth, afterMs: 1 + (nth % 7) }) },
    }).run();
    expect(run.output).toMatchObject({ l: { iterations: 300, failed: 0 } });
    expect(ordered(run).every((name) => name.startsWith('segment l#1:'))).toBe(true);
    expect(ordered(run).length).toBeLessThanOrEqual(4);
  });
  it('ends at a delay of a retry, which is the host timer, while the other branches end their calls', () => {
    const run = aRun([parallel('p', [[tool('a', { retry: { maxAttempts: 2, initialInterval: '5s' } })], [tool('b'), tool('c')]])], {
      script: { a: [{ error: { code: 'http_503', retryable: true } }, { output: 'ok' }], b: { afterMs: 100 } },
    });
    run.runUntil(150);
    expect(run.kinds('a')).toContain('step.retrying');
    expect(run.callsOf('c')).toHaveLength(1);
    expect(run.commands.filter(({ kind }) => kind === 'timer')).toHaveLength(1);
    expect(run.run().output).toMatchObject({ a: 'ok' });
  });
  it('evaluates what lies in a stored value in place', () => {
    const run = aRun([tool('a'), { id: 'c', type: 'conditional', condition: 'outputs.a.n > 1', then: [tool('b')] }], {
      script: { a: { value: { v: null, refs: { '': { ref: 'val_1', bytes: 50_000, sha256: 'x', preview: '' } } } } },
      stored: { val_1: { n: 2 } },
    }).run();
    expect(run.callsOf('b')).toHaveLength(1);
    expect(ordered(run)).toEqual(['segment a#1:segment.s1']);
  });
  it('sees the time of each input, and `now()` never goes back', () => {
    const run = aRun([tool('a'), set('t1', { t: '{{ now() }}' }), tool('b'), set('t2', { t: '{{ now() }}' })], {
      script: { a: { afterMs: 1_000 }, b: { afterMs: 2_000 } },
    }).run();
    const { t1, t2 } = run.output as { t1: { t: string }; t2: { t: string } };
    expect(Date.parse(t2.t) - Date.parse(t1.t)).toBe(2_000);
  });
  it('reads variables, items and outputs around it, and leaves no item of a list in the state', () => {
    const steps = [
      set('v', { unread: 'x', word: 'w' }),
      loop('l', { over: [{ k: 1 }, { k: 2 }], concurrency: 2, itemVar: 'it' }, [
        tool('a', { arguments: { k: '{{ it.k }}', w: '{{ word }}' } }),
        { id: 'n', type: 'notify', target: 'chat', content: '{{ it.k }}' },
      ]),
    ];
    const run = aRun(steps).run();
    expect(run.callsOf('a').map(({ input }) => input)).toEqual(
      [
        { k: 1, w: 'w' },
        { k: 2, w: 'w' },
      ].map((args) => expect.objectContaining({ arguments: args })),
    );
    const segment = run.segments.values().next().value;
    expect(JSON.stringify(segment?.machine.state.fibers['f0'])).not.toContain('unread');
  });
});

describe('a segment that is interrupted', () => {
  it('is aborted by a cancel: what it had done counts, what was in flight is cancelled, `finally` sees it', () => {
    const run = aRun(
      [
        {
          id: 't',
          type: 'try',
          steps: [loop('l', { over: 'range(60)' }, [tool('a', { arguments: { i: '{{ loop.index }}' } })])],
          finally: [tool('f', { arguments: { n: '{{ done ?? 0 }}' } })],
        },
      ],
      { script: { a: ({ nth }) => ({ output: nth, afterMs: 10 }) } },
    );
    run.runUntil(405).cancel(405).run();
    expect(run.outcome).toMatchObject({ status: 'cancelled', requested: true });
    expect(run.rowsOf('a').filter(({ status }) => status === 'completed')).toHaveLength(40);
    expect(run.rowsOf('a').filter(({ status }) => status === 'cancelled')).toHaveLength(1);
    expect(run.callsOf('f')).toHaveLength(1);
  });
  it("does not leave a container whose time limit is the host's, which would abort what comes behind", () => {
    const run = aRun([{ id: 'c', type: 'conditional', timeout: '100ms', condition: 'true', then: [tool('a')] }, tool('b')], {
      script: { a: { afterMs: 90 }, b: { afterMs: 50 } },
    }).run();
    expect(run.outcome?.status).toBe('completed');
    expect(run.row('c')?.status).toBe('completed');
  });
  it('is taken down by the time limit of a container around it', () => {
    const run = aRun([{ id: 'c', type: 'conditional', timeout: '100ms', condition: 'true', then: [tool('a'), tool('b')] }], {
      script: { b: { never: true } },
    }).run();
    expect(run.outcome).toMatchObject({ status: 'failed', error: { code: 'step_timeout', stepId: 'c' } });
    expect(run.row('a', 'c:then')?.status).toBe('completed');
    expect(run.row('b', 'c:then')?.status).toBe('cancelled');
  });
  it('that a time limit around it has ended says so before the timer fires: its calls fail nobody but the container', () => {
    const steps = [
      {
        id: 't',
        type: 'try',
        steps: [loop('l', { over: [1, 2], timeout: '1s' }, [tool('a')])],
        catch: [{ codes: ['step_timeout'], steps: [set('late', { x: 1 })] }],
      },
    ];
    const run = aRun(steps, { script: { a: { never: true } } });
    run.runUntil(500);
    const segment = run.commands.find((command) => command.kind === 'activity' && command.name === 'segment');
    expect(segment).toMatchObject({ endsAt: run.nowMs + 500 });
    const { machine, inputs, id } = run.segments.values().next().value as Driver['segments'] extends Map<string, infer S> ? S : never;
    const at = run.nowMs + 400;
    const late = machine.inFlight().map((call) => ({ id: call, at, result: { of: 'step', answer: { ended: 'cancelled', at } } as const }));
    const result = { of: 'segment', inputs, hash: machine.hash(), late, outOfTime: true } as const;
    const after = advance(run.plan, run.state, { kind: 'answered', id, result, at });
    expect(after.events.map(({ kind, instance }) => `${kind} ${instance?.stepId}`)).toContain('step.failed l');
    expect(after.commands).toMatchObject([{ kind: 'cancel_timer' }, { kind: 'finish', outcome: { status: 'completed' } }]);
  });
  it('that gives no answer is fenced off, and its open step settled by its row', () => {
    const run = aRun([tool('a'), tool('b'), tool('c')], { script: { b: { lost: true, afterMs: 10 } } }).run();
    expect(run.outcome).toMatchObject({ status: 'failed', error: { code: 'outcome_unknown', stepId: 'b' } });
    expect(run.callsOf('a')).toHaveLength(1);
    expect(run.callsOf('c')).toHaveLength(0);
    expect(run.state.steps).toBe(2);
  });
});

describe('the host against a segment', () => {
  const given = () => {
    const plan = planOf({ steps: [tool('a'), tool('b')] }, { light: true });
    const run = new Driver(plan);
    run.step();
    return { plan, state: run.state };
  };
  it('fails the task when the same inputs lead it to another state', () => {
    const { plan, state } = given();
    const [id] = Object.keys(state.calls);
    const result = { of: 'segment', inputs: [], hash: 'another', late: [] } as const;
    expect(() => advance(plan, state, { kind: 'answered', id: id as string, result, at: 0 })).toThrow(/another state/);
  });
  it('takes a segment back that never ran', () => {
    const { plan, state } = given();
    const [id] = Object.keys(state.calls);
    const result = { of: 'segment', inputs: [], hash: null, late: [] } as const;
    const after = advance(plan, state, { kind: 'answered', id: id as string, result, at: 0 });
    expect(after.commands).toMatchObject([{ kind: 'activity', name: 'segment' }]);
    expect(after.state.steps).toBe(1 + SEGMENT_STEPS);
  });
  it('gives both sides the same end for the same inputs', () => {
    const { plan, state } = given();
    const start = Object.values(state.segments ?? {})[0]?.given as EngineState;
    const ends = [1, 2].map(() => {
      const machine = new SegmentMachine(plan, JSON.parse(JSON.stringify(start)) as EngineState);
      const [call] = machine.begin().calls;
      machine.feed({
        kind: 'answered',
        id: call?.id ?? '',
        at: 5,
        result: { of: 'step', answer: { ended: 'completed', at: 5, output: { v: 1 } } },
      });
      machine.feed({ kind: 'halt', at: 6 });
      return machine.hash();
    });
    expect(ends[0]).toBe(ends[1]);
  });
});
