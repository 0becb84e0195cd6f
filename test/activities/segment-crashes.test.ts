import type { SegmentInput } from '../../src/engine/types.js';
import { openDatabase } from '../../src/store/database.js';
import { CuttableProxy } from '../store/cuttable-proxy.js';
import { anEnvironment } from './running-execution.js';
import { after, doing, failing, planOf, SegmentStage, Wire, type HostedRun } from './segment-stage.js';

jest.setTimeout(90_000);

/** Everything that a retry could get wrong: the time, a choice by it, faults and what catches them, races, passes side by side, references. */
const stretch = () =>
  planOf([
    doing('a'),
    { id: 't', type: 'set', values: { now: '{{ now() }}', odd: '{{ matches(now(), "[13579]Z$") }}' } },
    {
      id: 'if',
      type: 'conditional',
      condition: 'variables.odd',
      then: [doing('odd', { at: '{{ variables.now }}' })],
      else: [doing('even', { at: '{{ variables.now }}' })],
    },
    doing('big', { of: '{{ now() }}' }),
    {
      id: 'try',
      type: 'try',
      steps: [doing('bad'), doing('never')],
      catch: [{ as: 'why', steps: [doing('caught', { code: '{{ why.code }}' })] }],
      finally: [doing('last', { big: '{{ length(outputs.big) }}' })],
    },
    { id: 'len', type: 'set', values: { len: '{{ length(outputs.big) }}' } },
    {
      id: 'race',
      type: 'parallel',
      wait: 'any',
      branches: [
        { id: 'x', steps: [doing('slow'), doing('slower')] },
        { id: 'y', steps: [doing('fast')] },
      ],
    },
    {
      id: 'l',
      type: 'loop',
      over: 'range(6)',
      concurrency: 3,
      collect: 'outputs.item.n',
      steps: [doing('item', { n: '{{ loop.item }}' })],
    },
    doing('z', { now: '{{ variables.now }}', len: '{{ variables.len }}' }),
  ]);

function arrange(stage: SegmentStage): void {
  stage.clear();
  stage.on('bad', failing('http_400'));
  stage.on('big', () => 'x'.repeat(40_000));
  stage.on('slow', after(10_000));
  stage.on('fast', after(10));
  stage.on('item', (args) => ({ n: args['n'] ?? null }));
}

describe('a segment whose attempts die', () => {
  let stage: SegmentStage;
  beforeAll(async () => {
    stage = await SegmentStage.open();
  });
  afterAll(() => stage.close());

  it('D18: at every ordinal, before and after the commit, goes on behind it with the same choices and calls nothing finished again', async () => {
    const plan = stretch();
    arrange(stage);
    const undisturbed = await stage.run(plan);
    const wire = new Wire(stage.store.db);
    undisturbed.take(await stage.attempt(undisturbed.input(), { db: wire.db }));
    await stage.finish(undisturbed);
    expect(undisturbed.outcome).toMatchObject({ status: 'completed', error: null });
    const expected = shapeOf(await stage.seen(undisturbed));
    expect(wire.writes).toBeGreaterThan(10);
    for (let ordinal = 0; ordinal < wire.writes; ordinal += 1) {
      for (const when of ['before', 'after'] as const) {
        arrange(stage);
        const run = await stage.run(plan);
        const held = new Wire(stage.store.db).hold(ordinal, when);
        const input = run.input();
        const dead = stage.attempt(input, { db: held.db }).catch((error: unknown) => error);
        await Promise.race([held.reached, dead]);
        const before = await journalOf(stage, run);
        const finished = (await run.execution.events()).filter(({ kind }) => kind === 'step.completed' || kind === 'step.failed');
        const callsBefore = stage.callsOf().length;
        const result = await stage.attempt(run.input(), { environment: anEnvironment({ attempt: 2 }) });
        // What was journaled is what was fed: the same times, so the same choices.
        expect(result.inputs.slice(0, before.length)).toEqual(before);
        // The host comes to the same state, or this throws.
        run.take(result);
        await stage.finish(run);
        expect(run.outcome).toMatchObject({ status: 'completed' });
        expect(shapeOf(await stage.seen(run))).toEqual(expected);
        expectNoRepeat(
          stage,
          callsBefore,
          finished.map(({ stepId, iterationPath }) => `${iterationPath ?? ''}${stepId ?? ''}`),
        );
        held.release();
        await dead;
        // What came too late has changed nothing.
        expect(shapeOf(await stage.seen(run))).toEqual(expected);
        expect((await run.execution.events()).every(({ seq }, index) => seq === index + 1)).toBe(true);
      }
    }
  });

  it('the database is away in the middle: what was done is kept and recorded when it is back, nothing is called twice', async () => {
    stage.clear();
    const plan = planOf([doing('a'), doing('b'), doing('c')]);
    const run = await stage.run(plan);
    const proxy = new CuttableProxy(new URL(stage.url));
    await proxy.mend();
    const db = openDatabase(proxy.url);
    stage.on('b', async () => {
      await proxy.cut();
      setTimeout(() => void proxy.mend(), 700);
      return { did: 'b' };
    });
    try {
      run.take(await stage.attempt(run.input(), { db }));
      await stage.finish(run);
      expect(run.outcome).toMatchObject({ status: 'completed' });
      expect(stage.callsOf().map(({ name }) => name)).toEqual(['a', 'b', 'c']);
      expect((await run.execution.events()).map(({ kind }) => kind).filter((kind) => kind === 'step.completed')).toHaveLength(3);
    } finally {
      await db.close();
      await proxy.cut();
    }
  });

  it('a cancel while the database is away before it has begun: nothing runs', async () => {
    stage.clear();
    const run = await stage.run(planOf([doing('a')]));
    const proxy = new CuttableProxy(new URL(stage.url));
    await proxy.mend();
    const db = openDatabase(proxy.url);
    try {
      // The plan is read first, so that only the opening waits.
      await db.rows({ name: 'warm', text: 'SELECT 1' }, []);
      const environment = anEnvironment();
      const held = new Wire(db).hold(0, 'before');
      const running = stage.attempt(run.input(), { db: held.db, environment });
      await held.reached;
      await proxy.cut();
      held.release();
      setTimeout(() => environment.cancel(), 300);
      setTimeout(() => void proxy.mend(), 600);
      expect(await running).toMatchObject({ inputs: [], hash: null });
      expect(stage.callsOf()).toEqual([]);
      expect((await run.execution.events()).map(({ kind }) => kind)).toEqual(['execution.started']);
    } finally {
      await db.close();
      await proxy.cut();
    }
  });

  it('an abort that was recorded and not answered is answered by the next attempt', async () => {
    stage.clear();
    stage.on(
      'b',
      (_args, { signal }) => new Promise((_resolve, reject) => signal.addEventListener('abort', () => reject(new Error('aborted')))),
    );
    const run = await stage.run(planOf([doing('a'), doing('b')]));
    const held = new Wire(stage.store.db).hold(2, 'after');
    const environment = anEnvironment();
    const dead = stage.attempt(run.input(), { db: held.db, environment }).catch((error: unknown) => error);
    while (stage.callsOf('b').length === 0) await new Promise((resolve) => setTimeout(resolve, 5));
    environment.cancel();
    await held.reached;
    const result = await stage.attempt(run.input(), { environment: anEnvironment({ attempt: 2 }) });
    expect(result.late).toMatchObject([{ result: { of: 'step', answer: { ended: 'cancelled' } } }]);
    expect(stage.callsOf('b')).toHaveLength(1);
    held.release();
    await dead;
  });

  it('what cannot be written fails its own step and no other', async () => {
    stage.clear();
    let deep: unknown = 1;
    for (let level = 0; level < 6_000; level += 1) deep = [deep];
    stage.on('deep', after(20, deep as never));
    stage.on('plain', after(20, { did: 'plain' }));
    const run = await stage.run(
      planOf([
        {
          id: 'p',
          type: 'parallel',
          onBranchError: 'continue',
          branches: [
            { id: 'x', steps: [doing('deep')] },
            { id: 'y', steps: [doing('plain'), doing('more')] },
          ],
        },
      ]),
    );
    const wire = new Wire(stage.store.db).refuse((text) => text.includes('[[[[[[[['));
    run.take(await stage.attempt(run.input(), { db: wire.db }));
    await stage.finish(run);
    expect(run.outcome).toMatchObject({ status: 'completed' });
    const kinds = (await run.execution.events()).map(({ kind, stepId }) => `${kind} ${stepId ?? ''}`);
    expect(kinds).toEqual(expect.arrayContaining(['step.failed deep', 'step.completed plain', 'step.completed more']));
    expect(
      stage
        .callsOf()
        .map(({ name }) => name)
        .toSorted(),
    ).toEqual(['deep', 'more', 'plain']);
  });

  it('results are by reference above 1 KB once a segment holds 1 MB of them: its answer is one payload', async () => {
    stage.clear();
    const branches = Array.from({ length: 100 }, (_, index) => ({ id: `br${index}`, steps: [doing(`c${index}`)] }));
    for (let index = 0; index < 100; index += 1) stage.on(`c${index}`, after(10, `${index} `.repeat(8_000)));
    const run = await stage.run(planOf([{ id: 'p', type: 'parallel', branches, wait: 'all' }]));
    const result = await stage.attempt(run.input());
    const bytes = Buffer.byteLength(JSON.stringify(result));
    expect(bytes).toBeGreaterThan(1_000_000);
    expect(bytes).toBeLessThan(1_800_000);
    expect(JSON.stringify(result)).toContain('"sha256"');
    run.take(result);
  });
});

/** Inputs that are in the database. */
async function journalOf(stage: SegmentStage, run: HostedRun): Promise<SegmentInput[]> {
  const rows = await stage.store.db.rows<{ input: SegmentInput }>(
    { name: 'journal_of_test', text: 'SELECT input FROM segment_inputs WHERE execution_id = $1 ORDER BY ordinal' },
    [run.execution.common.executionId],
  );
  return rows.map(({ input }) => input);
}

/** What readers see, without what differs from run to run: times, and the branch that a time chose. */
function shapeOf({ log, rows }: Awaited<ReturnType<SegmentStage['seen']>>) {
  // Steps that run side by side end in any order.
  const isOrdered = (event: unknown) => !SIDE_BY_SIDE.has((event as { stepId: string }).stepId);
  return {
    inOrder: log.filter(isOrdered).map(timeless),
    sets: log
      .filter((event) => !isOrdered(event))
      .map(timeless)
      .toSorted(),
    rows: rows.map(timeless).toSorted(),
  };
}
const timeless = (seen: unknown): string =>
  JSON.stringify(seen)
    .replaceAll(/\d{4}-\d\d-\d\dT[\d:.]+Z/g, '<at>')
    .replaceAll(/"(val|exe)_[a-z0-9]+"/g, '<id>')
    .replaceAll(/\b(odd|even)\b/g, '<branch>')
    .replaceAll(/\b(then|else)\b/g, '<slot>')
    .replaceAll(/\b(true|false)\b/g, '<bool>')
    .replaceAll(/"sha256":"[0-9a-f]+"/g, '<hash>');
const SIDE_BY_SIDE = new Set(['item', 'slow', 'fast', 'slower']);

/** Calls made after the crash are of steps that had not finished before it; each step is called twice at most, under one key. */
function expectNoRepeat(stage: SegmentStage, callsBefore: number, finished: readonly string[]): void {
  const later = stage.callsOf().slice(callsBefore);
  const keys = new Map<string, number>();
  for (const { key } of stage.callsOf()) keys.set(key, (keys.get(key) ?? 0) + 1);
  for (const count of keys.values()) expect(count).toBeLessThanOrEqual(2);
  for (const { key } of later) {
    const [, ...place] = key.split('/');
    const stepId = place[0] ?? '';
    expect(finished).not.toContain(`${place.slice(1).join('/')}${stepId}`);
  }
}
