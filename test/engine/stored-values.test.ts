import { type Ref, type Value, wholeRef } from '../../src/definition/runtime.js';
import { drive, Driver, planOf } from './support/driver.js';
import { gate, loop, set, tool, wait } from './support/steps.js';

const ref: Ref = { ref: 'val_big', bytes: 5_000_000, sha256: 'x', preview: '[' };
const big: Value = { v: null, refs: { '': ref } };
const evaluations = (run: Driver) => run.commands.filter((command) => command.kind === 'activity' && command.name === 'evaluate');
const options = (json: unknown) => ({ values: { big }, stored: { val_big: json as never } });

describe('a stored value', () => {
  it('passes on unread as a lone token, and as part of a list or object', () => {
    const run = drive({ steps: [set('a', { copy: '{{big}}', list: ['{{big}}', 1] })] }, options({ n: 1 }));
    expect(evaluations(run)).toEqual([]);
    expect(run.output).toEqual({ a: { copy: ref, list: [ref, 1] } });
  });

  it('D6 in a condition, a loop and a prompt: the host never reads it', () => {
    const steps = [
      { type: 'conditional', id: 'c', condition: 'big.items[2].n == 3', then: [set('yes', { x: '{{big.items[0].n}}' })] },
      loop('l', 'big.items', [tool('t', { n: '{{item.n}}' })]),
      { type: 'agent_prompt', id: 'p', prompt: 'all of {{big}}' },
    ];
    const run = drive({ steps }, options({ items: [{ n: 1 }, { n: 2 }, { n: 3 }] }));
    expect(run.output).toMatchObject({ c: { branch: 'then' }, yes: { x: 1 } });
    expect(run.callsOf('t').map(({ input }) => (input as { arguments: unknown }).arguments)).toEqual([{ n: 1 }, { n: 2 }, { n: 3 }]);
    expect(run.callsOf('p')[0]?.input).toMatchObject({ prompt: 'all of {"items":[{"n":1},{"n":2},{"n":3}]}' });
    expect(evaluations(run).map((command) => (command as { site: { field: string } }).site.field)).toEqual(['condition', 'values', 'over']);
  });

  it('D22 data shaped like a reference stays data', () => {
    const run = drive(
      { steps: [set('a', { n: '{{fake.ref}}' }), loop('l', '[fake]', [set('s', { r: '{{item.ref}}' })])] },
      { variables: { fake: { ref: 'val_big', bytes: 1, sha256: 'x', preview: '' } } },
    );
    expect(evaluations(run)).toEqual([]);
    expect(run.output).toMatchObject({ a: { n: 'val_big' } });
  });

  it.each([1, 4])('is gone over in chunks, with concurrency %s', (concurrency) => {
    const items = Array.from({ length: 1_200 }, (_none, n) => ({ n }));
    const run = drive(
      { steps: [loop('l', 'big', [set('s', { n: '{{item.n}}' })], { concurrency, collect: 's.n ?? outputs.s.n' })] },
      options(items),
    );
    expect(run.output).toMatchObject({ l: { iterations: 1_200, failed: 0 } });
    expect((run.output as { l: { results: number[] } }).l.results[1_199]).toBe(1_199);
    expect(evaluations(run).map((command) => (command as { site: unknown }).site)).toEqual(
      [0, 500, 1_000].map((index) => ({ stepId: 'l', field: 'items', index })),
    );
  });

  it('that is no list cannot be gone over', () => {
    expect(drive({ steps: [loop('l', 'big', [set('s', { n: 1 })])] }, options({ a: 1 })).outcome?.error).toMatchObject({
      code: 'loop_over_not_array',
      stepId: 'l',
    });
  });

  it('an item that is large itself stays a reference', () => {
    const run = drive(
      { steps: [loop('l', 'big', [tool('t', { size: '{{length(item.text)}}' })])] },
      options([{ text: 'x'.repeat(40_000) }, { text: 'y' }]),
    );
    expect(run.callsOf('t').map(({ input }) => (input as { arguments: unknown }).arguments)).toEqual([{ size: 40_000 }, { size: 1 }]);
  });

  it('asks again for each pass of while, until and collect', () => {
    const steps = [
      set('s', { n: 0 }),
      { type: 'loop', id: 'l', while: 'n < big.max', until: 'n == big.stop', collect: 'n * big.by', steps: [set('i', { n: '{{n + 1}}' })] },
    ];
    const run = drive({ steps }, options({ max: 9, stop: 3, by: 10 }));
    expect(run.output).toMatchObject({ l: { iterations: 3, results: [10, 20, 30] } });
    expect(evaluations(run)).toHaveLength(9);
  });

  it('faults of an evaluation are faults of the step, which can be retried and caught', () => {
    const run = drive(
      {
        steps: [
          {
            type: 'try',
            id: 'y',
            steps: [set('a', { x: '{{1 / big.zero}}' })],
            catch: [{ codes: ['expression_error'], steps: [set('h', { ok: true })] }],
          },
        ],
      },
      options({ zero: 0 }),
    );
    expect(run.output).toMatchObject({ h: { ok: true } });
    expect(run.row('a', 'y:try')?.status).toBe('failed');
  });

  it('a cancel while an expression is evaluated waits for its answer and ends', () => {
    const run = new Driver(planOf({ steps: [set('a', { x: '{{big.n}}' }), tool('t')] }), { ...options({ n: 1 }), roundTrip: true });
    run.step();
    run.feed({ kind: 'cancel', at: run.nowMs, reason: null, by: null });
    expect(run.run().outcome?.status).toBe('cancelled');
    expect(run.calls).toEqual([]);
  });

  it('secrets are evaluated elsewhere', () => {
    expect(drive({ steps: [tool('t', { key: '{{secrets.KEY}}' })] }).callsOf('t')[0]?.input).toMatchObject({
      arguments: { key: 'secret-KEY' },
    });
  });

  it('the root output may look inside', () => {
    expect(drive({ steps: [set('a', { x: 1 })], output: { n: '{{big.n}}' } }, options({ n: 5 })).output).toEqual({ n: 5 });
  });
});

describe('the size of a state', () => {
  const text = (n: number) => String(n).padStart(6, '0').repeat(2_000);

  it('D23 stays bounded: the largest inline values are stored', () => {
    const steps = [
      ...Array.from({ length: 40 }, (_none, n) => tool(`t${n}`)),
      gate('g'),
      tool('end', { first: 'a{{outputs.t0}}', last: 'a{{outputs.t39}}' }),
    ];
    const script = Object.fromEntries(Array.from({ length: 40 }, (_none, n) => [`t${n}`, { output: text(n) }]));
    const run = new Driver(planOf({ steps }), { script, roundTrip: true }).runUntil(10);
    expect(JSON.stringify(run.state).length).toBeLessThan(170_000);
    run.decide(20, 'g', 'approved').run();
    expect(run.callsOf('end')[0]?.input).toMatchObject({ arguments: { first: `a${text(0)}`, last: `a${text(39)}` } });
  });

  it('D23 stays bounded when far more than one order carries was published at once', () => {
    const values = (n: number) =>
      Object.fromEntries(Array.from({ length: 8 }, (_none, m) => [`v${n}_${m}`, `{{join(range(${n}, 2400), '${m}')}}`]));
    const steps = [...Array.from({ length: 15 }, (_none, n) => set(`s${n}`, values(n))), gate('g')];
    const run = new Driver(planOf({ steps }), { roundTrip: true }).runUntil(10);
    expect(run.commands.filter((command) => command.kind === 'activity' && command.name === 'store').length).toBeGreaterThan(1);
    expect(JSON.stringify(run.state).length).toBeLessThan(170_000);
  });

  const wide = (count: number) =>
    Object.fromEntries(Array.from({ length: count }, (_none, n) => [`v${n}`, `{{join(range(0, 2500), '${n % 10}')}}`]));

  it('D23 a set whose values are large together publishes a reference', () => {
    const steps = [set('s', wide(60)), gate('g'), tool('end', { first: '{{length(outputs.s.v0)}}', same: '{{outputs.s.v9 == v9}}' })];
    const run = new Driver(planOf({ steps }), { roundTrip: true }).runUntil(10);
    expect(run.row('s')?.output?.refs?.['']).toMatchObject({ ref: expect.stringMatching(/^val_/) });
    expect(JSON.stringify(run.state).length).toBeLessThan(170_000);
    run.decide(20, 'g', 'approved').run();
    expect(run.callsOf('end')[0]?.input).toMatchObject({ arguments: { first: 11_389, same: true } });
  });

  it('D23 a rerun takes what a set with a stored output assigned from its record, and evaluates nothing anew', () => {
    const seed = { stepId: 's', iterationPath: '', attempt: 1, stepType: 'set', status: 'completed', how: 'done' } as const;
    const run = drive(
      { steps: [set('s', { a: '{{1 / 0}}', b: 2 }), set('after', { sum: '{{a + b}}' })], output: { sum: '{{sum}}', a: '{{outputs.s.a}}' } },
      { seeds: [{ ...seed, output: big, error: null, choice: null }], stored: { val_big: { a: 40, b: 5 } } },
    );
    expect(run.output).toEqual({ sum: 45, a: 40 });
  });

  it.each([
    ['of a run without an output of its own', []],
    ['of a stop that completes the run', [{ type: 'stop', id: 'x', outcome: 'completed' }]],
  ])('D23 the default output %s is a reference when it is large', (_what, last) => {
    const steps = [...[0, 1, 2, 3].map((n) => set(`s${n}`, wide(1))), ...last];
    const run = drive({ steps });
    expect(run.outcome?.output.v).toBeNull();
    expect(run.stored.get(run.outcome?.output.refs?.['']?.ref ?? '')?.v).toMatchObject({
      s0: { v0: expect.stringMatching(/^0010203/) },
      s3: {},
    });
  });

  it.each([false, true])('D6 D23 results that are all stored values leave the state like any others (light: %s)', (light) => {
    const ref = (n: number) => wholeRef({ ref: `val_of_${n}`, bytes: 40_000, sha256: 'x'.repeat(64), preview: 'y'.repeat(500) });
    const steps = [loop('l', 'range(3000)', [tool('t', { n: '{{loop.item}}' })], { maxIterations: 3_000 })];
    const run = new Driver(planOf({ steps, constraints: { maxSteps: 10_000 }, output: '{{outputs.l.results}}' }, { light }), {
      world: (call) => ({ value: ref((call.input as { arguments: { n: number } }).arguments.n) }),
    });
    let largest = 0;
    for (let n = 0; run.step(); n += 1) if (n % 50 === 0) largest = Math.max(largest, JSON.stringify(run.state).length);
    expect(largest).toBeLessThan(light ? 700_000 : 400_000);
    const whole = run.stored.get(run.outcome?.output.refs?.['']?.ref ?? '');
    expect(whole?.v).toHaveLength(3_000);
    expect(whole?.refs?.['/2999']).toMatchObject({ ref: 'val_of_2999' });
  });

  it('D23 one value above what an order carries is stored by itself', () => {
    const run = new Driver(planOf({ steps: [tool('t'), tool('u'), gate('g')] }), {
      script: { t: { output: 'x'.repeat(1_000_000) }, u: { output: 1 } },
      roundTrip: true,
    });
    expect(JSON.stringify(run.runUntil(10).state).length).toBeLessThan(170_000);
  });

  it('D23 results that a pure stretch made go out as far as one order carries', () => {
    const body = [set('s', { text: "{{join(range(0, 2500), '-')}}" }), gate('g', { when: 'loop.index == 199' })];
    const run = new Driver(planOf({ steps: [loop('l', 'range(200)', body, { collect: 'text' })] }), { roundTrip: true }).runUntil(10);
    expect(run.commands.filter((command) => command.kind === 'activity' && command.name === 'store').length).toBeGreaterThan(2);
    expect(JSON.stringify(run.state).length).toBeLessThan(170_000);
  });

  it('D23 loop results go out in chunks', () => {
    const steps = [
      loop('l', '{{range(2000)}}', [tool('t')], { collect: 'outputs.t' }),
      wait('w', { duration: '1s' }),
      tool('end', { n: '{{length(outputs.l.results)}}', at: '{{outputs.l.results[1999]}}' }),
    ];
    let largest = 0;
    const run = new Driver(planOf({ steps }), { script: { t: ({ nth }) => ({ output: `${'r'.repeat(600)}${nth}` }) } });
    while (run.step()) if (run.fed.length % 50 === 0) largest = Math.max(largest, JSON.stringify(run.state).length);
    expect(run.outcome?.status).toBe('completed');
    expect(largest).toBeLessThan(250_000);
    expect(run.callsOf('end')[0]?.input).toMatchObject({ arguments: { n: 2_000, at: `${'r'.repeat(600)}1999` } });
  });
});
