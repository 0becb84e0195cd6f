import { setTimeout as sleep } from 'node:timers/promises';
import { ActivityCancellationDetails } from '@temporalio/common';
import { addCommand } from '../../src/store/commands.js';
import { closeAsTerminated } from '../../src/store/end-execution.js';
import { getExecution } from '../../src/store/executions.js';
import { createHaltSegmentsActivity } from '../../src/activities/segment/segment-activity.js';
import { haltSegments } from '../../src/store/segments.js';
import { anEnvironment } from './running-execution.js';
import { after, doing, failing, hanging, planOf, SegmentStage, Wire, type HostedRun } from './segment-stage.js';

jest.setTimeout(60_000);

describe('segment activity', () => {
  let stage: SegmentStage;
  beforeAll(async () => {
    stage = await SegmentStage.open();
  });
  beforeEach(() => stage.clear());
  afterAll(() => stage.close());

  const kindsOf = async (run: HostedRun) =>
    (await run.execution.events()).map(({ kind, stepId }) => (stepId === null ? kind : `${kind} ${stepId}`));
  const three = () => planOf([doing('a'), doing('b', { from: '{{ outputs.a.did }}' }), doing('c')]);

  it('runs a stretch of steps in one activity, each begun behind the end of the one before', async () => {
    const run = await stage.run(three());
    const result = await stage.attempt(run.input());
    expect(result.inputs.map((input) => input.kind)).toEqual(['answered', 'answered', 'answered']);
    expect(result.late).toEqual([]);
    run.take(result);
    await stage.finish(run);
    expect(run.outcome).toMatchObject({ status: 'completed', output: { v: { a: { did: 'a' }, c: { did: 'c' } } } });
    expect(await kindsOf(run)).toEqual([
      'execution.started',
      'step.started a',
      'step.completed a',
      'step.started b',
      'step.completed b',
      'step.started c',
      'step.completed c',
    ]);
    expect(stage.callsOf('b')[0]).toMatchObject({ args: { from: 'a' }, key: `${run.execution.common.executionId}/b` });
  });

  it('takes one transaction for each step and one to begin', async () => {
    const run = await stage.run(three());
    const wire = new Wire(stage.store.db);
    await stage.attempt(run.input(), { db: wire.db });
    expect(wire.writes).toBe(4);
  });

  it('a step that fails is recorded as failed, and what catches it runs in the same segment', async () => {
    stage.on('a', failing('http_400'));
    const run = await stage.run(
      planOf([
        {
          id: 't',
          type: 'try',
          steps: [doing('a')],
          catch: [{ codes: ['http_400'], as: 'why', steps: [doing('b', { code: '{{ why.code }}' })] }],
        },
        doing('z'),
      ]),
    );
    await stage.finish(run);
    expect(run.outcome).toMatchObject({ status: 'completed' });
    expect(stage.callsOf().map(({ name }) => name)).toEqual(['a', 'b', 'z']);
    expect(stage.callsOf('b')[0]?.args).toMatchObject({ code: 'http_400' });
    expect(await kindsOf(run)).toContain('step.failed a');
  });

  it('a template that cannot be filled starts and fails its step', async () => {
    const run = await stage.run(planOf([doing('a', { x: '{{ variables.text - 1 }}' })]), { text: 'no number' });
    run.take(await stage.attempt(run.input()));
    await stage.finish(run);
    expect(run.outcome).toMatchObject({ status: 'failed', error: { code: 'expression_error' } });
    expect(await kindsOf(run)).toEqual(['execution.started', 'step.started a', 'step.failed a']);
    expect(stage.callsOf()).toEqual([]);
  });

  it('a long one shows how far it has come, and changes nothing else of the row', async () => {
    for (const id of ['a', 'b', 'c']) stage.on(id, after(600));
    const run = await stage.run(three());
    const { executionId, carry } = run.execution.common;
    const seen = new Set<number>();
    const running = stage.attempt(run.input());
    const over = new AbortController();
    const ended = running.finally(() => over.abort());
    while (!over.signal.aborted) {
      const row = await getExecution(stage.store.db, null, executionId);
      if (row?.status === 'running') seen.add(row.progress.done);
      await new Promise((resolve) => setTimeout(resolve, 50));
    }
    await ended;
    expect(Math.max(...seen)).toBeGreaterThan(0);
    expect((await getExecution(stage.store.db, null, executionId))?.status).toBe(carry.status);
  });

  it('branches run at once; their calls begin in one transaction', async () => {
    const open: string[] = [];
    let most = 0;
    const branches = Array.from({ length: 50 }, (_, index) => ({ id: `br${index}`, steps: [doing(`c${index}`)] }));
    for (let index = 0; index < 50; index += 1) {
      stage.on(`c${index}`, async (args, call) => {
        open.push(call.idempotencyKey);
        most = Math.max(most, open.length);
        const output = await after(50)(args, call);
        open.pop();
        return output;
      });
    }
    const run = await stage.run(planOf([{ id: 'p', type: 'parallel', branches }]));
    const wire = new Wire(stage.store.db);
    run.take(await stage.attempt(run.input(), { db: wire.db }));
    await stage.finish(run);
    expect(run.outcome).toMatchObject({ status: 'completed' });
    expect(most).toBe(50);
    expect(wire.writes).toBeLessThan(25);
    expect(stage.callsOf()).toHaveLength(50);
  });

  it('the calls of all segments of a process are 100 at once at most', async () => {
    let open = 0;
    let most = 0;
    const branches = Array.from({ length: 150 }, (_, index) => ({ id: `br${index}`, steps: [doing(`c${index}`)] }));
    for (const { id } of branches) {
      stage.on(id.replace('br', 'c'), async (args, call) => {
        open += 1;
        most = Math.max(most, open);
        const output = await after(50)(args, call);
        open -= 1;
        return output;
      });
    }
    const run = await stage.run(planOf([{ id: 'p', type: 'parallel', branches }]));
    run.take(await stage.attempt(run.input()));
    await stage.finish(run);
    expect(run.outcome).toMatchObject({ status: 'completed' });
    expect(most).toBe(100);
  });

  it('the losers of a race are aborted, their steps cancelled', async () => {
    stage.on('fast', after(20));
    stage.on('slow', hanging);
    const run = await stage.run(
      planOf([
        {
          id: 'p',
          type: 'parallel',
          wait: 'any',
          branches: [
            { id: 'x', steps: [doing('slow')] },
            { id: 'y', steps: [doing('fast')] },
          ],
        },
        doing('z'),
      ]),
    );
    await stage.finish(run);
    expect(run.outcome).toMatchObject({ status: 'completed' });
    expect(await kindsOf(run)).toEqual(expect.arrayContaining(['step.cancelled slow', 'step.completed fast', 'step.completed z']));
  });

  it('an expression over a reference is evaluated in place', async () => {
    stage.on('big', () => 'x'.repeat(40_000));
    const run = await stage.run(
      planOf([
        doing('big'),
        {
          id: 'if',
          type: 'conditional',
          condition: 'length(outputs.big) == 40000',
          then: [doing('yes', { n: '{{ length(outputs.big) }}' })],
        },
      ]),
    );
    const result = await stage.attempt(run.input());
    run.take(result);
    expect(stage.callsOf('yes')[0]?.args).toMatchObject({ n: 40_000 });
    expect(JSON.stringify(result)).not.toContain('xxxxxxxxxx'.repeat(60));
    expect(result.inputs.map((input) => (input.kind === 'answered' ? input.result.of : input.kind))).toEqual(['step', 'value', 'step']);
  });

  it('secrets are neither recorded nor returned', async () => {
    stage.on('a', (args) => ({ said: args['token'] ?? null }));
    const run = await stage.run(planOf([doing('a', { token: '{{ secrets.TOKEN }}' })]));
    const result = await stage.attempt(run.input(), { secrets: new Map([['TOKEN', 'hunter2-s3cret']]) });
    expect(stage.callsOf('a')[0]?.args).toMatchObject({ token: 'hunter2-s3cret' });
    expect(JSON.stringify([result, await stage.seen(run)])).not.toContain('hunter2');
  });

  describe('halted', () => {
    it.each<[string, (run: HostedRun) => Promise<unknown>]>([
      [
        'by a pause',
        ({ execution: { common } }) =>
          addCommand(stage.store.db, { ownerId: common.ownerId, executionId: common.executionId, kind: 'pause', by: null }),
      ],
      ['by the host', (run) => haltSegments(stage.store.db, run.execution.common.executionId, [run.segment.segment])],
    ])('D14, D19: %s: the call in flight ends, the next is not started, and it goes on where it stood', async (_, halt) => {
      const run = await stage.run(three());
      stage.on('b', async (args, call) => {
        await halt(run);
        return await after(20, { did: 'b' })(args, call);
      });
      const result = await stage.attempt(run.input());
      expect(result.inputs.map((input) => input.kind)).toEqual(['answered', 'halt', 'answered']);
      expect(stage.callsOf('c')).toEqual([]);
      expect(await kindsOf(run)).not.toContain('step.started c');
      await addCommand(stage.store.db, { ownerId: 'usr_1', executionId: run.execution.common.executionId, kind: 'resume', by: null });
      run.take(result);
      await stage.finish(run);
      expect(run.outcome).toMatchObject({ status: 'completed' });
      expect(stage.callsOf().map(({ name }) => name)).toEqual(['a', 'b', 'c']);
    });

    it('the order to halt writes what it carries, as the host takes it for written', async () => {
      const run = await stage.run(three());
      const { common } = run.execution;
      const events = [{ kind: 'execution.paused' as const, ordinal: '2', at: Date.now(), instance: null, data: {} }];
      await anEnvironment().run(
        createHaltSegmentsActivity(stage.store.db) as never,
        { ...common, carry: { ...common.carry, counter: 2, status: 'paused', events }, segments: ['s1'] } as never,
      );
      expect(await kindsOf(run)).toEqual(['execution.started', 'execution.paused']);
      expect((await getExecution(stage.store.db, null, common.executionId))?.status).toBe('paused');
    });

    it('before it has begun: it never runs, and the host orders another', async () => {
      const run = await stage.run(three());
      await haltSegments(stage.store.db, run.execution.common.executionId, [run.segment.segment]);
      const result = await stage.attempt(run.input());
      expect(result).toMatchObject({ inputs: [], hash: null, late: [] });
      run.take(result);
      await stage.finish(run);
      expect(stage.callsOf().map(({ name }) => name)).toEqual(['a', 'b', 'c']);
    });

    it('behind 256 KB of results', async () => {
      stage.on('a', () => 'y'.repeat(30_000));
      const run = await stage.run(planOf([{ id: 'l', type: 'loop', over: 'range(20)', collect: '1', steps: [doing('a')] }]));
      const result = await stage.attempt(run.input());
      const calls = stage.callsOf().length;
      expect(calls).toBeGreaterThan(3);
      expect(calls).toBeLessThan(12);
      run.take(result);
      await stage.finish(run);
      expect(run.outcome).toMatchObject({ status: 'completed' });
      expect(stage.callsOf()).toHaveLength(20);
    });

    it('when the worker begins to stop: what is in flight may end', async () => {
      const stopping = new AbortController();
      stage.on('a', async (args, call) => {
        stopping.abort();
        return await after(50, { did: 'a' })(args, call);
      });
      const run = await stage.run(three());
      const result = await stage.attempt(run.input(), { stopping: stopping.signal });
      expect(result.inputs.map((input) => input.kind)).toEqual(['halt', 'answered']);
      run.take(result);
      await stage.finish(run);
      expect(stage.callsOf().map(({ name }) => name)).toEqual(['a', 'b', 'c']);
    });
  });

  describe('aborted', () => {
    it('D9: within 2 s by a cancel, also where a call does not heed it; what had completed stays completed', async () => {
      stage.on('deaf', () => new Promise(() => undefined));
      stage.on('heeding', hanging);
      const run = await stage.run(
        planOf([
          doing('first'),
          {
            id: 'p',
            type: 'parallel',
            branches: [
              { id: 'x', steps: [doing('deaf')] },
              { id: 'y', steps: [doing('heeding')] },
              { id: 'z', steps: [doing('quick')] },
            ],
          },
        ]),
      );
      const environment = anEnvironment();
      const running = stage.attempt(run.input(), { environment });
      await until(async () => (await kindsOf(run)).includes('step.completed quick'));
      const at = performance.now();
      environment.cancel();
      const result = await running;
      expect(performance.now() - at).toBeLessThan(2_000);
      expect(result.inputs.map((input) => input.kind === 'answered' && input.id)).toEqual([
        expect.stringContaining('first'),
        expect.stringContaining('quick'),
      ]);
      expect(result.late.map((late) => (late.result.of === 'step' ? late.result.answer.ended : late.result.of))).toEqual([
        'cancelled',
        'cancelled',
      ]);
      expect(await kindsOf(run)).toEqual(expect.arrayContaining(['step.cancelled deaf', 'step.cancelled heeding']));
    });

    it('before it is taken up it runs nothing', async () => {
      const run = await stage.run(three());
      const environment = anEnvironment();
      environment.cancel();
      expect(await stage.attempt(run.input(), { environment })).toMatchObject({ inputs: [], hash: null });
      expect(stage.callsOf()).toEqual([]);
      expect(await kindsOf(run)).toEqual(['execution.started']);
    });

    it('by a worker that lets go in the middle: the next attempt makes the call again, under its key', async () => {
      stage.on('b', hanging);
      const run = await stage.run(three());
      const environment = anEnvironment();
      const running = stage.attempt(run.input(), { environment });
      await until(() => stage.callsOf('b').length === 1);
      environment.cancel('WORKER_SHUTDOWN', new ActivityCancellationDetails({ workerShutdown: true }));
      await expect(running).rejects.toMatchObject({ type: 'worker_stopping', nonRetryable: false });
      stage.on('b', () => ({ did: 'b' }));
      run.take(await stage.attempt(run.input(), { environment: anEnvironment({ attempt: 2 }) }));
      await stage.finish(run);
      expect(run.outcome).toMatchObject({ status: 'completed' });
      expect(stage.callsOf().map(({ name }) => name)).toEqual(['a', 'b', 'b', 'c']);
      expect(new Set(stage.callsOf('b').map(({ key }) => key)).size).toBe(1);
    });

    it("when the run's own time is over", async () => {
      stage.on('b', hanging);
      const run = await stage.run(planOf([doing('a'), doing('b')], { constraints: { maxDuration: '1s' } }));
      const result = await stage.attempt(run.input());
      expect(result.late).toMatchObject([{ result: { of: 'step', answer: { ended: 'cancelled' } } }]);
      run.take(result);
      await stage.finish(run);
      expect(run.outcome).toMatchObject({ status: 'failed', error: { code: 'max_duration_exceeded' } });
    });
  });

  it('the execution has ended: it answers so, and lets its calls go', async () => {
    let isAborted = false;
    const run = await stage.run(
      planOf([
        {
          id: 'p',
          type: 'parallel',
          branches: [
            { id: 'x', steps: [doing('slow')] },
            { id: 'y', steps: [doing('end')] },
          ],
        },
      ]),
    );
    stage.on('slow', (args, call) => {
      call.signal.addEventListener('abort', () => (isAborted = true));
      return hanging(args, call);
    });
    stage.on('end', async () => {
      await closeAsTerminated(stage.store.db, run.execution.common.executionId, {
        code: 'execution_terminated',
        message: 'gone',
        retryable: false,
      });
      return null;
    });
    expect(await stage.attempt(run.input())).toMatchObject({ closed: true });
    expect(isAborted).toBe(true);
  });

  it('recover: fences the attempts off and answers with what they were fed', async () => {
    stage.on('b', after(400, { did: 'b' }));
    const run = await stage.run(three());
    const frozen = stage.attempt(run.input());
    const ended = expect(frozen).rejects.toMatchObject({ type: 'superseded', nonRetryable: false });
    await until(() => stage.callsOf('b').length === 1);
    const result = await stage.attempt(run.input({ recover: true }));
    expect(result).toMatchObject({ lost: true, late: [] });
    expect(result.inputs).toHaveLength(1);
    await ended;
    expect(await kindsOf(run)).toEqual(['execution.started', 'step.started a', 'step.completed a', 'step.started b']);
    run.take(result);
    expect(run.commands).toMatchObject([{ kind: 'activity', name: 'recover', instance: { stepId: 'b' } }]);
  });

  it('recover of one that never began says so', async () => {
    const run = await stage.run(three());
    expect(await stage.attempt(run.input({ recover: true }))).toMatchObject({ inputs: [], hash: null, lost: true });
  });

  it('D20: an attempt that was frozen changes nothing once another has the segment', async () => {
    stage.on('b', after(300, { did: 'late' }));
    const run = await stage.run(three());
    const frozen = stage.attempt(run.input());
    const ended = expect(frozen).rejects.toMatchObject({ type: 'superseded' });
    await until(() => stage.callsOf('b').length === 1);
    stage.on('b', () => ({ did: 'second' }));
    run.take(await stage.attempt(run.input(), { environment: anEnvironment({ attempt: 2 }) }));
    await stage.finish(run);
    await ended;
    expect(run.outcome).toMatchObject({ output: { v: { b: { did: 'second' } } } });
    expect(stage.callsOf().map(({ name }) => name)).toEqual(['a', 'b', 'b', 'c']);
    expect((await kindsOf(run)).filter((kind) => kind === 'step.completed b')).toHaveLength(1);
    expect((await stage.seen(run)).rows).toEqual(
      expect.arrayContaining([expect.objectContaining({ stepId: 'b', output: { v: { did: 'second' } } })]),
    );
  });

  it.each([
    ['it had begun', 0],
    ['its first step had ended', 1],
  ])('D20: an attempt that was frozen when %s makes no call that another has made', async (_when, nth) => {
    const run = await stage.run(three());
    const wire = new Wire(stage.store.db).hold(nth, 'after');
    const frozen = expect(stage.attempt(run.input(), { db: wire.db })).rejects.toMatchObject({ type: 'superseded' });
    await wire.reached;
    run.take(await stage.attempt(run.input(), { environment: anEnvironment({ attempt: 2 }) }));
    await stage.finish(run);
    await sleep(1_600);
    wire.release();
    await frozen;
    expect(stage.callsOf().map(({ name }) => name)).toEqual(['a', 'b', 'c']);
  });

  it('a time limit goes on counting over a crash', async () => {
    stage.on('a', hanging);
    const run = await stage.run(planOf([doing('a', {}, { timeout: '2s', onError: 'continue' }), doing('z')]));
    const environment = anEnvironment();
    const running = stage.attempt(run.input(), { environment });
    await until(() => stage.callsOf('a').length === 1);
    await new Promise((resolve) => setTimeout(resolve, 1_200));
    environment.cancel('WORKER_SHUTDOWN', new ActivityCancellationDetails({ workerShutdown: true }));
    await expect(running).rejects.toMatchObject({ type: 'worker_stopping' });
    const at = performance.now();
    const result = await stage.attempt(run.input(), { environment: anEnvironment({ attempt: 2 }) });
    expect(performance.now() - at).toBeLessThan(1_900);
    run.take(result);
    await stage.finish(run);
    expect(await kindsOf(run)).toEqual(expect.arrayContaining(['step.failed a', 'step.completed z']));
  });
});

async function until(isTrue: () => boolean | Promise<boolean>): Promise<void> {
  while (!(await isTrue())) await new Promise((resolve) => setTimeout(resolve, 5));
}
