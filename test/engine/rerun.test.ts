import { buildSeeds, type RecordedStep } from '../../src/engine/index.js';
import { Driver, drive, type Options, planOf } from './support/driver.js';
import { gate, loop, parallel, set, tool, tries, wait } from './support/steps.js';

const recorded = (run: Driver): RecordedStep[] => [...run.rows.values()].map(({ seeded: _seeded, ...row }) => row);

/** Runs, then runs again from a step instance, in the same world or another. */
function rerun(
  definition: { readonly [key: string]: unknown },
  first: Options,
  from: { readonly stepId: string; readonly iterationPath?: string; readonly isChanged?: boolean },
  second: Options = first,
) {
  const before = drive(definition, first);
  const built = buildSeeds(planOf(definition), recorded(before), { iterationPath: '', isChanged: false, ...from });
  if ('refused' in built) return { before, refused: built.refused, after: undefined };
  return { before, refused: undefined, after: new Driver(planOf(definition), { roundTrip: true, ...second, seeds: built.seeds }).run() };
}

const six = { steps: ['s1', 's2', 's3', 's4', 's5', 's6'].map((id) => tool(id, { from: '{{outputs}}' })) };
const answers = Object.fromEntries(six.steps.map(({ id }) => [id, { output: id }]));

describe('rerun', () => {
  it('D15 from step 4 of 6 calls none of the first three, whose outputs are there', () => {
    const { before, after } = rerun(six, { script: { ...answers, s5: { error: { code: 'x' } } } }, { stepId: 's4' }, { script: answers });
    expect(before.outcome?.status).toBe('failed');
    expect(after?.calls.map(({ stepId }) => stepId)).toEqual(['s4', 's5', 's6']);
    expect(after?.calls[0]?.input).toMatchObject({ arguments: { from: { s1: 's1', s2: 's2', s3: 's3' } } });
    expect(after?.rowsOf('s1')).toMatchObject([{ status: 'completed', seeded: true }]);
    expect(after?.outcome?.status).toBe('completed');
  });

  it('D15 from pass i2 of a loop keeps the earlier passes, and runs the later ones', () => {
    const body = [set('n', { total: '{{(total ?? 0) + item}}' }), tool('t', { total: '{{total}}' })];
    const definition = { steps: [tool('list'), loop('l', 'outputs.list', body, { collect: 'outputs.t' }), set('end', { t: '{{total}}' })] };
    const script = {
      list: { output: [1, 2, 3, 4] },
      t: ({ nth }: { nth: number }) => (nth === 2 ? { error: { code: 'x' } } : { output: `t${nth}` }),
    };
    const { after } = rerun(
      definition,
      { script },
      { stepId: 't', iterationPath: 'l:i2' },
      { script: { t: ({ iterationPath }) => ({ output: `again ${iterationPath}` }) } },
    );
    expect(after?.calls.map(({ iterationPath }) => iterationPath)).toEqual(['l:i2', 'l:i3']);
    expect(after?.calls[0]?.input).toMatchObject({ arguments: { total: 6 } });
    expect(after?.output).toMatchObject({ l: { results: ['t0', 't1', 'again l:i2', 'again l:i3'] }, end: { t: 10 } });
  });

  it('takes a finished container as it was: branch, passes, failed passes, merges, variables', () => {
    const flaky = loop('l', '{{range(3)}}', [set('k', { seen: '{{item}}' }), tool('t')], { onItemError: 'continue', concurrency: 2 });
    const branches = parallel('p', { a: [set('a1', { v: '{{now()}}' })], b: [tool('b1'), set('b2', { w: '{{outputs.b1}}' })] });
    const recover = tries('y', [tool('bad')], { catch: [{ codes: ['*'], as: 'e', steps: [set('h', { caught: '{{e.code}}' })] }] });
    const choose = {
      type: 'switch',
      id: 'sw',
      cases: [{ when: 'false', steps: [tool('no')] }],
      default: [set('d', { picked: '{{now()}}' })],
    };
    const definition = {
      steps: [
        flaky,
        branches,
        recover,
        choose,
        { ...tool('skip'), when: 'false' },
        { ...tool('soft'), onError: 'continue' },
        tool('target', { all: '{{outputs}}', vars: '{{variables}}' }),
      ],
    };
    const script = {
      t: ({ iterationPath }: { iterationPath: string }) => (iterationPath === 'l:i1' ? { error: { code: 'x' } } : { output: 1 }),
      bad: { error: { code: 'http_404' } },
      soft: { error: { code: 'y' } },
      b1: { output: 'b' },
    };
    const { before, after } = rerun(definition, { script }, { stepId: 'target' });
    expect(after?.calls.map(({ stepId }) => stepId)).toEqual(['target']);
    expect(after?.calls[0]?.input).toEqual(before.callsOf('target')[0]?.input);
    expect([...(after?.rows.values() ?? [])].filter(({ seeded }) => seeded).length).toBe(before.rows.size - 1);
  });

  it('keeps finished sibling branches and runs unfinished ones again', () => {
    const definition = { steps: [parallel('p', { a: [tool('a1'), tool('a2')], b: tool('b1'), c: [tool('c1'), tool('c2')] })] };
    const { after } = rerun(
      definition,
      { script: { a2: { error: { code: 'x' }, afterMs: 50 }, c2: { afterMs: 900 } } },
      { stepId: 'a2', iterationPath: 'p:b0' },
      {},
    );
    expect(after?.calls.map(({ stepId }) => stepId).toSorted()).toEqual(['a2', 'c1', 'c2']);
    expect(after?.outcome?.status).toBe('completed');
  });

  it('starts inside a handler and inside a finally', () => {
    const definition = {
      steps: [
        tries('y', [tool('bad')], {
          catch: [{ codes: ['*'], as: 'e', steps: [tool('h1'), tool('h2', { code: '{{e.code}}' })] }],
          finally: [tool('f1'), tool('f2')],
        }),
      ],
    };
    const script = { bad: { error: { code: 'http_404' } } };
    expect(
      rerun(definition, { script }, { stepId: 'h2', iterationPath: 'y:catch0' }).after?.calls.map(({ stepId, input }) => [
        stepId,
        (input as { arguments: { code?: string } }).arguments.code,
      ]),
    ).toEqual([
      ['h2', 'http_404'],
      ['f1', undefined],
      ['f2', undefined],
    ]);
    expect(rerun(definition, { script }, { stepId: 'f2', iterationPath: 'y:finally' }).after?.calls.map(({ stepId }) => stepId)).toEqual([
      'f2',
    ]);
  });

  it('enters later passes of a while loop by its condition, earlier ones by the record', () => {
    const definition = {
      steps: [set('s', { n: 0 }), { type: 'loop', id: 'l', while: 'n < 4', steps: [set('i', { n: '{{n + 1}}' }), tool('t')] }],
    };
    const { after } = rerun(
      definition,
      { script: { t: ({ nth }) => (nth === 2 ? { error: { code: 'x' } } : {}) } },
      { stepId: 't', iterationPath: 'l:i2' },
      {},
    );
    expect(after?.calls.map(({ iterationPath }) => iterationPath)).toEqual(['l:i2', 'l:i3']);
  });

  it('lets a seeded set keep what it wrote; other names take the new variables', () => {
    const definition = { steps: [set('s', { a: '{{b}}' }), tool('t', { a: '{{a}}', b: '{{b}}' })] };
    const { after } = rerun(definition, { variables: { b: 1 } }, { stepId: 't', isChanged: true }, { variables: { a: 9, b: 2 } });
    expect(after?.calls[0]?.input).toMatchObject({ arguments: { a: 1, b: 2 } });
  });

  it.each([
    ['a step before it that failed', { stepId: 's6' }, 'not_recorded', 's5'],
    ['no such step', { stepId: 'nobody' }, 'step_unknown', 'nobody'],
    ['no such place', { stepId: 's1', iterationPath: 'x:then' }, 'step_unknown', 'x'],
  ])('is refused for %s', (_why, from, reason, stepId) => {
    expect(rerun(six, { script: { s5: { error: { code: 'x' } } } }, from).refused).toMatchObject({ reason, stepId });
  });

  it('is refused where the record went elsewhere', () => {
    const definition = { steps: [{ type: 'conditional', id: 'c', condition: 'true', then: [tool('a')], else: [tool('b')] }] };
    expect(rerun(definition, {}, { stepId: 'b', iterationPath: 'c:else' }).refused).toMatchObject({ reason: 'not_recorded', stepId: 'c' });
  });

  it('H20 behind an approved gate: as it was yes, with other variables it names the gate', () => {
    const definition = { steps: [gate('g'), tool('t'), wait('w', { duration: '1s' })] };
    const before = new Driver(planOf(definition)).decide(10, 'g', 'approved').run();
    const seedsFor = (isChanged: boolean) =>
      buildSeeds(planOf(definition), recorded(before), { stepId: 't', iterationPath: '', isChanged });
    expect(seedsFor(true)).toMatchObject({ refused: { reason: 'approval_needed', stepId: 'g', iterationPath: '' } });
    const built = seedsFor(false);
    if ('refused' in built) throw new Error('refused');
    const after = new Driver(planOf(definition), { seeds: built.seeds }).run();
    expect(after.gates.size).toBe(0);
    expect(after.output).toMatchObject({ g: { decision: 'approved', decidedBy: ['ana'] } });
  });

  it('is refused when a step before it changed its type', () => {
    const before = drive(six, { script: answers });
    const plan = planOf({ steps: [set('s1', { x: 1 }), ...six.steps.slice(1)] });
    expect(buildSeeds(plan, recorded(before), { stepId: 's3', iterationPath: '', isChanged: true })).toMatchObject({
      refused: { reason: 'step_changed', stepId: 's1' },
    });
  });
});
