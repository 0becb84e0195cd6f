import type { ApplicationFailure } from '@temporalio/common';
import { z } from 'zod';
import { ActivityCancellationDetails } from '@temporalio/common';
import { createStepJournal, createRunStore } from '../../src/activities/run-store.js';
import { closeAsTerminated } from '../../src/store/end-execution.js';
import { createRunFacts } from '../../src/activities/run-facts.js';
import type { RecordingParts } from '../../src/activities/record-step.js';
import { createToolActivity } from '../../src/activities/tool-activity.js';
import type { PlanStep, ToolPlan } from '../../src/definition/plan.js';
import type { Json } from '../../src/definition/value.js';
import type { StepAnswer } from '../../src/engine/types.js';
import { AppError } from '../../src/errors.js';
import { readValue, putValue } from '../../src/store/values.js';
import { recoverStep } from '../../src/store/steps.js';
import { createHttpClient, createHttpRequestTool, type HttpClient } from '../../src/tools/index.js';
import { createToolRegistry } from '../../src/tools/registry.js';
import { defineTool } from '../../src/tools/tool.js';
import { startStubServer, type StubServer } from '../support/stub-server.js';
import { anEnvironment, aPlan, openTestStore, template, variables, type TestStore } from './running-execution.js';

const aToolStep = (args: Json, overrides: Partial<ToolPlan> = {}): PlanStep => ({
  type: 'tool',
  id: 'call',
  tool: 'http:request',
  arguments: template(args),
  onError: 'fail',
  ...overrides,
});

describe('tool activity', () => {
  let store: TestStore;
  let stub: StubServer;
  let client: HttpClient;
  let parts: RecordingParts;
  let calledOnce = 0;
  const once = defineTool({
    id: 'test:once',
    description: 'may not repeat',
    risk: 'low',
    parameters: z.strictObject({}),
    repeats: 'no',
    light: false,
    limitMs: () => 10_000,
    run: async (_parameters, { signal }) => {
      calledOnce++;
      return await new Promise<Json>((_resolve, reject) =>
        signal.addEventListener('abort', () => reject(signal.reason as Error), { once: true }),
      );
    },
  });
  const bug = defineTool({
    id: 'test:bug',
    description: 'throws',
    risk: 'low',
    parameters: z.strictObject({}),
    repeats: 'keyed',
    light: false,
    limitMs: () => 10_000,
    run: () => {
      throw new TypeError('x is not a function');
    },
  });
  const tools = () => createToolRegistry([createHttpRequestTool(client), once, bug]);

  beforeAll(async () => {
    [store, stub] = await Promise.all([openTestStore(), startStubServer()]);
    client = createHttpClient({ allow: ['127.0.0.1'] });
    const secrets = new Map([
      ['TOKEN', 'hunter2-s3cret'],
      ['OTHER', 'p@ss word'],
    ]);
    parts = {
      journal: createStepJournal(store.db),
      facts: createRunFacts(
        createRunStore(store.db, async (_owner, names) => new Map([...secrets].filter(([name]) => names.includes(name)))),
      ),
    };
  });
  beforeEach(() => {
    stub.clear();
    calledOnce = 0;
  });
  afterAll(async () => {
    await client.close();
    await Promise.all([store.close(), stub.close()]);
  });

  const run = (input: Parameters<ReturnType<typeof createToolActivity>>[0], environment = anEnvironment(), using = parts) =>
    environment.run(createToolActivity(using, tools()) as never, input as never) as Promise<StepAnswer>;
  const failureOf = (input: Parameters<ReturnType<typeof createToolActivity>>[0], environment = anEnvironment(), using = parts) =>
    run(input, environment, using).then(
      () => {
        throw new Error('no failure');
      },
      (error: unknown) => error as ApplicationFailure,
    );

  it('records start and end with input and output, and answers with the output', async () => {
    stub.on('/x', { body: { n: 1 } });
    const execution = await store.start(aPlan([aToolStep({ url: '{{variables.url}}', query: { gone: '{{variables.nothing}}' } })]));
    const answer = await run(execution.input('call', { scope: variables({ url: `${stub.url}/x` }) }));
    expect(answer).toMatchObject({
      ended: 'completed',
      output: { v: { status: 200, body: { n: 1 } } },
      warnings: [{ code: 'missing_reference', message: 'variables.nothing has no value' }],
    });
    const events = await execution.events();
    expect(events.map(({ kind }) => kind)).toEqual(['execution.started', 'step.started', 'step.completed']);
    expect(events[1]?.data).toMatchObject({ input: { tool: 'http:request', arguments: { url: `${stub.url}/x` } } });
    expect(events[2]?.data).toMatchObject({ input: { tool: 'http:request' }, output: { status: 200, body: { n: 1 } } });
  });
  it('a step that has ended answers with what is recorded and calls nothing', async () => {
    stub.on('/x', [{ body: 1 }, { body: 2 }]);
    const execution = await store.start(aPlan([aToolStep({ url: `${stub.url}/x` })]));
    const first = await run(execution.input('call'));
    expect(await run(execution.input('call'))).toEqual(first);
    expect(stub.calls('/x')).toHaveLength(1);
  });
  it('L27: attempts have one idempotency key, without the attempt', async () => {
    stub.on('/x', [{ status: 503 }, { body: 1 }]);
    const execution = await store.start(aPlan([aToolStep({ url: `${stub.url}/x` })]));
    const failure = await failureOf(execution.input('call'));
    expect(failure).toMatchObject({ type: 'http_503', nonRetryable: true, category: 'BENIGN' });
    expect(failure.details?.[0]).toMatchObject({
      ended: 'failed',
      error: { code: 'http_503', retryable: true, stepId: 'call', iterationPath: '', attempt: 1, details: { status: 503 } },
    });
    await run(execution.input('call', { instance: { stepId: 'call', iterationPath: '', attempt: 2 } }));
    expect(stub.calls('/x').map(({ headers }) => headers['idempotency-key'])).toEqual([
      `${execution.common.executionId}/call`,
      `${execution.common.executionId}/call`,
    ]);
  });
  it('a failed step answers again with its failure', async () => {
    stub.on('/x', [{ status: 400 }, { body: 1 }]);
    const execution = await store.start(aPlan([aToolStep({ url: `${stub.url}/x` })]));
    await failureOf(execution.input('call'));
    expect(await failureOf(execution.input('call'))).toMatchObject({ type: 'http_400' });
    expect(stub.calls('/x')).toHaveLength(1);
  });
  it.each([
    [aToolStep({}, { tool: 'no:such' }), 'tool_unknown'],
    [aToolStep({ url: 5 }), 'tool_failed'],
    [aToolStep({ url: '{{ variables.a - 1 }}' }), 'expression_error'],
    [aToolStep({ url: 'http://x.test', headers: { a: '{{secrets.NONE}}' } }), 'secret_not_found'],
    [aToolStep({}, { tool: 'test:bug' }), 'tool_failed'],
  ])('starts and fails with its code: %j', async (step, code) => {
    const execution = await store.start(aPlan([step]));
    expect(await failureOf(execution.input('call', { scope: variables({ a: 'text' }) }))).toMatchObject({ type: code });
    expect((await execution.events()).map(({ kind }) => kind)).toEqual(['execution.started', 'step.started', 'step.failed']);
  });
  it('L29: its own time limit fails it with step_timeout and closes the connection', async () => {
    stub.on('/slow', { fault: 'hang' });
    const execution = await store.start(aPlan([aToolStep({ url: `${stub.url}/slow` })]));
    expect(await failureOf(execution.input('call', { timeoutMs: 200 }))).toMatchObject({
      type: 'step_timeout',
      details: [{ error: { retryable: true, details: { timeoutMs: 200 } } }],
    });
    await stub.aborted('/slow');
  });
  it('D9: a cancel aborts the call, settles the step as cancelled and answers normally', async () => {
    stub.on('/slow', { fault: 'hang' });
    const execution = await store.start(aPlan([aToolStep({ url: `${stub.url}/slow` })]));
    const environment = anEnvironment();
    const running = run(execution.input('call'), environment);
    await stub.called('/slow');
    environment.cancel();
    expect(await running).toMatchObject({ ended: 'cancelled' });
    await stub.aborted('/slow');
    expect((await execution.events()).at(-1)).toMatchObject({ kind: 'step.cancelled', stepId: 'call' });
  });
  it('D9: a cancel before it is taken up runs nothing', async () => {
    const execution = await store.start(aPlan([aToolStep({ url: `${stub.url}/x` })]));
    const environment = anEnvironment();
    environment.cancel();
    expect(await run(execution.input('call'), environment)).toMatchObject({ ended: 'cancelled' });
    expect(stub.journal).toHaveLength(0);
    expect((await execution.events()).map(({ kind }) => kind)).toEqual(['execution.started', 'step.cancelled']);
  });
  it('a worker that stops lets go of the call, and the next attempt takes it over', async () => {
    stub.on('/slow', [{ fault: 'hang' }, { body: 'done' }]);
    const execution = await store.start(aPlan([aToolStep({ url: `${stub.url}/slow` })]));
    const environment = anEnvironment();
    const running = failureOf(execution.input('call'), environment);
    await stub.called('/slow');
    environment.cancel('WORKER_SHUTDOWN', new ActivityCancellationDetails({ workerShutdown: true }));
    expect(await running).toMatchObject({ type: 'worker_stopping', nonRetryable: false });
    expect(await run(execution.input('call'), anEnvironment({ attempt: 2 }))).toMatchObject({ ended: 'completed' });
    expect(stub.calls('/slow').map(({ headers }) => headers['idempotency-key'])).toEqual([
      `${execution.common.executionId}/call`,
      `${execution.common.executionId}/call`,
    ]);
    expect((await execution.events()).map(({ kind }) => kind)).toEqual(['execution.started', 'step.started', 'step.completed']);
  });
  it('D20: a frozen attempt whose step was taken over changes nothing', async () => {
    stub.on('/slow', [{ body: 'first', delayMs: 300 }, { body: 'second' }]);
    const execution = await store.start(aPlan([aToolStep({ url: `${stub.url}/slow` })]));
    const frozen = run(execution.input('call'));
    await stub.called('/slow');
    const answer = await run(execution.input('call'), anEnvironment({ attempt: 2 }));
    expect(answer).toMatchObject({ output: { v: { body: 'second' } } });
    expect(await frozen).toEqual(answer);
    expect((await execution.events()).filter(({ kind }) => kind === 'step.completed')).toHaveLength(1);
  });
  it('D20: a step that was fenced off and settled answers with what its row says', async () => {
    stub.on('/slow', { body: 'late', delayMs: 300 });
    const execution = await store.start(aPlan([aToolStep({ url: `${stub.url}/slow` })]));
    const running = failureOf(execution.input('call'));
    await stub.called('/slow');
    const error = { code: 'step_timeout', message: 'gone', retryable: true };
    await recoverStep(store.db, {
      executionId: execution.common.executionId,
      carry: execution.common.carry,
      instance: { stepId: 'call', iterationPath: '', attempt: 1 },
      stepType: 'tool',
      answer: { ended: 'failed', at: Date.now(), error },
      data: {},
    });
    expect(await running).toMatchObject({ type: 'step_timeout' });
  });
  it.each([
    [undefined, 'outcome_unknown', 1],
    ['repeat', 'worker_stopping', 2],
  ] as const)('D21: a tool that may not repeat, cut off, onCrash %s: %s', async (onCrash, type, calls) => {
    const execution = await store.start(aPlan([aToolStep({}, { tool: 'test:once', ...(onCrash === undefined ? {} : { onCrash }) })]));
    const onceCalled = (times: number) =>
      new Promise<void>((resolve) => {
        const look = () => (calledOnce >= times ? resolve() : setTimeout(look, 5));
        look();
      });
    const stop = async (environment = anEnvironment(), seen = calledOnce) => {
      const running = failureOf(execution.input('call'), environment);
      await Promise.race([running, onceCalled(seen + 1)]);
      environment.cancel('WORKER_SHUTDOWN', new ActivityCancellationDetails({ workerShutdown: true }));
      return await running;
    };
    expect(await stop()).toMatchObject({ type: 'worker_stopping' });
    expect(await stop()).toMatchObject({ type });
    expect(calledOnce).toBe(calls);
  });

  describe('secrets', () => {
    it('S5: reach the call, and are redacted plain, base64 and URL-encoded wherever they come back', async () => {
      const secret = 'hunter2-s3cret';
      const forms = [
        secret,
        Buffer.from(secret).toString('base64'),
        Buffer.from(`user:${secret}!`).toString('base64'),
        encodeURIComponent('p@ss word'),
        'p%40ss+word',
        `key ${JSON.stringify({ [secret]: 1 })}`,
      ];
      stub.on('/echo', { body: { forms, [secret]: 'as a key' } });
      const execution = await store.start(
        aPlan([aToolStep({ url: `${stub.url}/echo`, headers: { Authorization: 'Bearer {{secrets.TOKEN}}', 'x-b': '{{secrets.OTHER}}' } })]),
      );
      const answer = await run(execution.input('call'));
      expect(stub.calls('/echo')[0]?.headers['authorization']).toBe(`Bearer ${secret}`);
      const everything = JSON.stringify([answer, await execution.events()]);
      for (const form of [secret, ...forms.slice(1, 2), 'aHVudGVyMi1zM2NyZX', encodeURIComponent('p@ss word'), 'p%40ss', 'p@ss word'])
        expect(everything).not.toContain(form);
      expect(everything).toContain('Bearer [secret TOKEN]');
    });
    it('S5: are redacted from a failure, also when another step of the definition names them', async () => {
      stub.on('/fail', { status: 500, body: 'the token was hunter2-s3cret' });
      const execution = await store.start(
        aPlan([aToolStep({ url: `${stub.url}/fail` }), aToolStep({ url: '{{secrets.TOKEN}}' }, { id: 'other' })]),
      );
      const failure = await failureOf(execution.input('call'));
      expect(JSON.stringify([failure.details, failure.message, await execution.events()])).not.toContain('hunter2');
      expect(failure.details?.[0]).toMatchObject({ error: { details: { body: 'the token was [secret TOKEN]' } } });
    });
  });

  describe('large values', () => {
    const large = 'x'.repeat(100_000);
    it('an output above 32 KB is stored and passed by reference', async () => {
      stub.on('/large', { body: { large } });
      const execution = await store.start(aPlan([aToolStep({ url: `${stub.url}/large` })]));
      const answer = await run(execution.input('call'));
      if (answer.ended !== 'completed') throw new Error(answer.ended);
      const ref = answer.output.refs?.[''];
      expect(answer.output.v).toBeNull();
      expect(await readValue(store.db, 'usr_1', ref?.ref ?? '')).toMatchObject({ body: { large } });
      expect((await execution.events()).at(-1)?.data).toMatchObject({ output: { ref: ref?.ref, bytes: ref?.bytes } });
    });
    it('a reference in the arguments reaches the call whole, a look into one too, and stays a reference in the record', async () => {
      const ref = await putValue(store.db, 'usr_1', { text: large, n: 7 });
      const execution = await store.start(
        aPlan([
          aToolStep({
            url: `${stub.url}/in?n={{variables.big.n}}`,
            method: 'POST',
            body: { all: '{{variables.big}}', mixed: 'say {{variables.big.text}}' },
          }),
        ]),
      );
      await run(execution.input('call', { scope: { variables: { big: { v: null, refs: { '': ref } } } } }));
      expect(stub.calls('/in')[0]).toMatchObject({ query: { n: '7' }, json: { all: { text: large, n: 7 }, mixed: `say ${large}` } });
      expect(JSON.stringify(await execution.events()).length).toBeLessThan(300_000);
    });
    it('a value of another owner is not read', async () => {
      const ref = await putValue(store.db, 'usr_2', { text: large });
      const execution = await store.start(aPlan([aToolStep({ url: `${stub.url}/in`, method: 'POST', body: '{{variables.big}}' })]));
      expect(await failureOf(execution.input('call', { scope: { variables: { big: { v: null, refs: { '': ref } } } } }))).toMatchObject({
        type: 'internal_error',
      });
      expect(stub.journal).toHaveLength(0);
    });
  });

  describe('the database away', () => {
    const away = () => new AppError('unavailable', 'PostgreSQL cannot be reached', { part: 'postgres', retryAfterSeconds: 1 });
    it('before the step is known: the attempt is retried by Temporal, nothing was called', async () => {
      const execution = await store.start(aPlan([aToolStep({ url: `${stub.url}/x` })]));
      const failing: RecordingParts = { ...parts, facts: { of: () => Promise.reject(away()) } };
      expect(await failureOf(execution.input('call'), anEnvironment(), failing)).toMatchObject({
        type: 'unavailable',
        nonRetryable: false,
      });
      expect(stub.journal).toHaveLength(0);
    });
    it('a start whose answer was lost is no crash: the same attempt goes on, also with what may not repeat', async () => {
      stub.on('/x', { body: 1 });
      const execution = await store.start(aPlan([aToolStep({ url: `${stub.url}/x` }, { onCrash: 'fail' })]));
      let begins = 0;
      const failing: RecordingParts = {
        ...parts,
        journal: {
          ...parts.journal,
          begin: async (step) => {
            const begun = await parts.journal.begin(step);
            if (begins++ === 0) throw away();
            return begun;
          },
        },
      };
      expect(await run(execution.input('call'), anEnvironment(), failing)).toMatchObject({ ended: 'completed' });
      expect(stub.calls('/x')).toHaveLength(1);
    });
    it('a cancel while the start cannot be recorded runs nothing', async () => {
      const execution = await store.start(aPlan([aToolStep({ url: `${stub.url}/x` })]));
      const environment = anEnvironment();
      const failing: RecordingParts = {
        ...parts,
        journal: {
          ...parts.journal,
          begin: () => {
            environment.cancel();
            return Promise.reject(away());
          },
        },
      };
      expect(await run(execution.input('call'), environment, failing)).toMatchObject({ ended: 'cancelled' });
      expect([stub.journal.length, (await execution.events()).at(-1)?.kind]).toEqual([0, 'step.cancelled']);
    });
    it('D10: after the effect: the result is kept, recorded when it can be, and the call is made once', async () => {
      stub.on('/x', { body: { kept: true } });
      const execution = await store.start(aPlan([aToolStep({ url: `${stub.url}/x` })]));
      let refused = 0;
      const failing: RecordingParts = {
        ...parts,
        journal: { ...parts.journal, end: (step) => (refused++ < 3 ? Promise.reject(away()) : parts.journal.end(step)) },
      };
      const environment = anEnvironment();
      let beats = 0;
      environment.on('heartbeat', () => beats++);
      expect(await run(execution.input('call'), environment, failing)).toMatchObject({
        ended: 'completed',
        output: { v: { body: { kept: true } } },
      });
      expect([refused, stub.calls('/x').length]).toEqual([4, 1]);
      expect(beats).toBeGreaterThanOrEqual(1);
    });
    it('what can never be recorded fails the step instead of repeating its effect', async () => {
      const execution = await store.start(aPlan([aToolStep({ url: `${stub.url}/x` })]));
      let ends = 0;
      const failing: RecordingParts = {
        ...parts,
        journal: {
          ...parts.journal,
          end: (step) => (ends++ === 0 ? Promise.reject(new Error('value too strange')) : parts.journal.end(step)),
        },
      };
      expect(await failureOf(execution.input('call'), anEnvironment(), failing)).toMatchObject({
        type: 'internal_error',
        nonRetryable: true,
      });
      expect(stub.calls('/x')).toHaveLength(1);
    });
  });

  it('says that the row is closed when the execution has ended, and calls nothing', async () => {
    const execution = await store.start(aPlan([aToolStep({ url: `${stub.url}/x` })]));
    await closeAsTerminated(store.db, execution.common.executionId, { code: 'execution_terminated', message: 'gone', retryable: false });
    expect(await run(execution.input('call'))).toMatchObject({ ended: 'cancelled', closed: true });
    expect(stub.calls('/x')).toEqual([]);
  });

  it('a plan or engine version that the worker does not know is retried, never the run failed', async () => {
    const execution = await store.start(aPlan([aToolStep({ url: `${stub.url}/x` })]));
    expect(await failureOf({ ...execution.input('call'), planHash: 'sha256:none' })).toMatchObject({
      type: 'plan_unknown',
      nonRetryable: false,
    });
    expect(await failureOf({ ...execution.input('call'), planFormat: 2 })).toMatchObject({ type: 'plan_unknown', nonRetryable: false });
    expect(await failureOf({ ...execution.input('call'), engineVersion: 99 })).toMatchObject({
      type: 'engine_version_unknown',
      nonRetryable: false,
    });
  });
});
