import { mkdtemp, readdir, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import type { ApplicationFailure } from '@temporalio/common';
import { createActivities, createModelClient, type Activities } from '../../src/activities/index.js';
import type { AgentPromptPlan, ApprovalPlan, BashPlan, NotifyPlan, PlanStep } from '../../src/definition/plan.js';
import { type Json, NULL_VALUE, type Ref } from '../../src/definition/value.js';
import { wholeRefOf } from '../../src/definition/value-parts.js';
import type { EngineEvent, ExpressionSite, StepAnswer } from '../../src/engine/types.js';
import { listMessages } from '../../src/store/messages.js';
import { beginCancel, closeAsTerminated } from '../../src/store/end-execution.js';
import { getExecution } from '../../src/store/executions.js';
import { getGate } from '../../src/store/gates.js';
import { putSecret } from '../../src/store/secrets.js';
import { createUser } from '../../src/store/users.js';
import { putValue, readStored, readValue } from '../../src/store/values.js';
import { readSignalledGate } from '../../src/operations/read-signalled-gate.js';
import { createHttpClient, openTools, type HttpClient } from '../../src/tools/index.js';
import { startModelServer, type ModelServer } from '../support/model-server.js';
import { startStubServer, type StubServer } from '../support/stub-server.js';
import { aWorkspaces } from '../tools/support/workspaces.js';
import { anEnvironment, aPlan, openTestStore, template, textParts, variables, type TestStore } from './running-execution.js';

const KEY = Buffer.alloc(32, 7);
const common = { onError: 'fail' as const };
const aBash = (command: string, overrides: Partial<BashPlan> = {}): PlanStep => ({
  ...common,
  type: 'bash',
  id: 'sh',
  command: textParts(command),
  timeoutLimitMs: 10_000,
  allowFailure: false,
  onCrash: 'fail',
  ...overrides,
});
const aNotify = (target: string, content: Json, overrides: Partial<NotifyPlan> = {}): PlanStep => ({
  ...common,
  type: 'notify',
  id: 'tell',
  target: template(target),
  content: template(content),
  ...overrides,
});
const anAgent = (prompt: string, overrides: Partial<AgentPromptPlan> = {}): PlanStep => ({
  ...common,
  type: 'agent_prompt',
  id: 'ask',
  prompt: template(prompt),
  maxTurns: 25,
  interrupt: false,
  awaitTimeoutMs: 300_000,
  ...overrides,
});
const aGate = (overrides: Partial<ApprovalPlan> = {}): PlanStep => ({
  ...common,
  type: 'approval',
  id: 'gate',
  prompt: template('Deploy {{variables.x}}?'),
  quorum: 2,
  deadlineMs: 60_000,
  onTimeout: 'fail',
  onDeny: 'cancel',
  remindMs: [],
  ...overrides,
});

describe('activities', () => {
  let store: TestStore;
  let stub: StubServer;
  let model: ModelServer;
  let http: HttpClient;
  let dataDir: string;
  const settled: string[] = [];
  const toolsOf = () =>
    openTools({ httpAllow: [], skillsDir: undefined, toolPolicy: {}, mcpServers: {} }, { db: store.db, http, shell: undefined });
  const make = (shell: 'off' | 'plain' = 'plain'): Activities =>
    createActivities({
      db: store.db,
      encryptionKey: KEY,
      tools: toolsOf().toolbox,
      agentTools: toolsOf().agentTools,
      deltas: { send: () => undefined },
      http,
      model: createModelClient({ apiKey: 'k', baseUrl: model.url }),
      models: ['first-model'],
      shell: { mode: shell, workspaces: aWorkspaces(dataDir), path: process.env['PATH'] ?? '' },
      operations: {
        startChild: async () => ({ executionId: 'exe_child', workflowName: 'Child' }),
        cancelChild: async () => undefined,
        // None of these signals brings a decision, so all that it needs is the rows.
        readSignalledGate: (executionId, signal) =>
          readSignalledGate({ db: store.db, signalDecisions: false } as Parameters<typeof readSignalledGate>[0], executionId, signal),
        startTick: async () => ({ kind: 'nothing', outcome: null }),
        afterSettled: (end) => void settled.push(end.execution.id),
      },
    });
  beforeAll(async () => {
    [store, stub, model, dataDir] = await Promise.all([
      openTestStore(),
      startStubServer(),
      startModelServer(),
      mkdtemp(path.join(tmpdir(), 'activities-')),
    ]);
    http = createHttpClient({ allow: ['127.0.0.1'] });
  });
  afterEach(() => (stub.clear(), model.clear()));
  afterAll(async () => {
    await http.close();
    await Promise.all([store.close(), stub.close(), model.close(), rm(dataDir, { recursive: true })]);
  });

  const run = async <I>(activity: (input: I) => Promise<unknown>, input: I, environment = anEnvironment()) =>
    (await environment.run(activity as never, input as never)) as StepAnswer;
  const failureOf = <I>(activity: (input: I) => Promise<unknown>, input: I, environment = anEnvironment()) =>
    run(activity, input, environment).then(
      () => {
        throw new Error('no failure');
      },
      (error: unknown) => error as ApplicationFailure,
    );
  const kinds = async (execution: { events(): Promise<readonly { kind: string }[]> }) => (await execution.events()).map(({ kind }) => kind);

  describe('bash', () => {
    it('L41: gives exit code and streams; S6: a value is data in the environment, the recorded command shows its name', async () => {
      const execution = await store.start(
        aPlan([
          aBash('echo {{variables.v}}; echo "$EXTRA-$SIGNALBOX_IDEMPOTENCY_KEY"; pwd', { env: template({ EXTRA: '{{variables.n}}' }) }),
        ]),
      );
      const answer = await run(make().shell.bash, execution.input('sh', { scope: variables({ v: '$(touch x) `touch x` "q"', n: 5 }) }));
      const { executionId } = execution.common;
      expect(answer).toMatchObject({ ended: 'completed', output: { v: { exitCode: 0, stderr: '' } } });
      const [echoed, rest, where] = (answer as unknown as { output: { v: { stdout: string } } }).output.v.stdout.split('\n');
      expect([echoed, rest]).toEqual(['$(touch x) `touch x` "q"', `5-${executionId}/sh`]);
      expect(await readdir(where ?? '')).toEqual([]);
      expect((await execution.events())[1]?.data).toMatchObject({
        input: { command: expect.stringContaining('echo "$SIGNALBOX_TPL_1"') as string },
      });
    });
    it('L41: a non-zero exit fails with bash_exit_code, unless allowed', async () => {
      const execution = await store.start(aPlan([aBash('echo why >&2; exit 3'), aBash('exit 3', { id: 'may', allowFailure: true })]));
      expect((await failureOf(make().shell.bash, execution.input('sh'))).details?.[0]).toMatchObject({
        error: { code: 'bash_exit_code', details: { exitCode: 3, stderr: 'why\n' } },
      });
      expect(await run(make().shell.bash, execution.input('may'))).toMatchObject({ ended: 'completed', output: { v: { exitCode: 3 } } });
    });
    it('L41: bash_timeout by its own limit', async () => {
      const execution = await store.start(aPlan([aBash('sleep 30.47', { timeoutLimitMs: 200 })]));
      expect(await failureOf(make().shell.bash, execution.input('sh'))).toMatchObject({ type: 'bash_timeout' });
    });
    it('S6: bash_disabled while SIGNALBOX_SHELL is not set', async () => {
      const execution = await store.start(aPlan([aBash('true')]));
      expect(await failureOf(make('off').shell.bash, execution.input('sh'))).toMatchObject({ type: 'bash_disabled' });
    });
    it('S5: a printed secret is redacted, also where the cut would split it', async () => {
      await putSecret(store.db, KEY, 'usr_1', 'TOKEN', 'hunter2-s3cret');
      const execution = await store.start(
        aPlan([
          aBash('echo {{secrets.TOKEN}}; echo -n {{secrets.TOKEN}} | base64; head -c 63961 /dev/zero | tr "\\0" a; echo {{secrets.TOKEN}}'),
        ]),
      );
      const answer = await run(make().shell.bash, execution.input('sh'));
      const shown = JSON.stringify([answer, await execution.events()]);
      expect(shown).toContain('[secret TOKEN]');
      for (const part of ['hunter2', 'aHVudGVy', 'hunt']) expect(shown).not.toContain(part);
    });
    it.each([[{ cwd: template('../..') }], [{ env: template({ 'A B': '1' }) }], [{ env: template('text') }]] as Partial<BashPlan>[][])(
      'refuses %j',
      async (fields) => {
        const execution = await store.start(aPlan([aBash('true', fields)]));
        expect(await failureOf(make().shell.bash, execution.input('sh'))).toMatchObject({ type: 'tool_failed' });
      },
    );
    it('D21: bash that was cut off fails with outcome_unknown', async () => {
      const execution = await store.start(aPlan([aBash('sleep 30.48')]));
      const environment = anEnvironment();
      const first = failureOf(make().shell.bash, execution.input('sh'), environment);
      while (!(await kinds(execution)).includes('step.started'));
      environment.cancel('WORKER_SHUTDOWN', { workerShutdown: true } as never);
      expect(await first).toMatchObject({ type: 'worker_stopping' });
      expect(await failureOf(make().shell.bash, execution.input('sh'))).toMatchObject({ type: 'outcome_unknown' });
    });
  });

  describe('notify', () => {
    it('L42: webhook: delivered only after the 200, with the key and what it is about', async () => {
      stub.on('/hook', [{ status: 500 }, { body: { id: 'abc' } }]);
      const execution = await store.start(aPlan([aNotify(`webhook:${stub.url}/hook?token=t`, { a: '{{variables.x}}' })]));
      const input = execution.input('tell', { scope: variables({ x: 1 }) });
      expect((await failureOf(make().core.notify, input)).details?.[0]).toMatchObject({
        error: { code: 'notify_failed', retryable: true, details: { status: 500, delivered: false, reason: 'http_500' } },
      });
      expect(await run(make().core.notify, { ...input, instance: { ...input.instance, attempt: 2 } })).toMatchObject({
        output: { v: { target: `webhook:${stub.url}/hook`, delivered: true, id: 'abc' } },
      });
      const { executionId } = execution.common;
      expect(stub.calls('/hook')[1]).toMatchObject({
        method: 'POST',
        headers: { 'idempotency-key': `${executionId}/tell` },
        json: { content: { a: 1 }, executionId, stepId: 'tell', workflowName: 'Test', at: expect.any(String) as string },
      });
    });
    it('S3: webhooks keep the address rules', async () => {
      const execution = await store.start(aPlan([aNotify('webhook:http://169.254.169.254/x', 'hi')]));
      expect((await failureOf(make().core.notify, execution.input('tell'))).details?.[0]).toMatchObject({
        error: { code: 'notify_failed', retryable: false, details: { reason: 'http_blocked' } },
      });
    });
    it("chat: posts into the run's session, once", async () => {
      const execution = await store.start(aPlan([aNotify('chat', 'Hello {{variables.x}}')]));
      const { ownerId, sessionId, executionId } = execution.common;
      const answer = await run(make().core.notify, execution.input('tell', { scope: variables({ x: 'you' }) }));
      await run(
        make().core.notify,
        execution.input('tell', { instance: { stepId: 'tell', iterationPath: '', attempt: 2 }, scope: variables({ x: 'you' }) }),
      );
      const { items } = await listMessages(store.db, ownerId, sessionId, { after: 0, limit: 10 });
      expect(items).toMatchObject([{ content: 'Hello you', executionId, stepId: 'tell', attempt: 1 }]);
      expect(answer).toMatchObject({ output: { v: { target: 'chat', delivered: true, id: items[0]?.id } } });
    });
    it("orchestrator: posts into the owner's lasting session", async () => {
      const user = await createUser(store.db, { name: 'Ana', email: 'ana@x.test', role: 'editor', groups: [] });
      const execution = await store.start(aPlan([aNotify('orchestrator', 'Done')]), user.id);
      expect(await run(make().core.notify, execution.input('tell'))).toMatchObject({
        output: { v: { target: 'orchestrator', delivered: true } },
      });
    });
    it.each(['slack:#x', 'pigeon', 'webhook:nowhere'])('fails for %s with notify_failed', async (target) => {
      const execution = await store.start(aPlan([aNotify(target, 'x')]));
      expect(await failureOf(make().core.notify, execution.input('tell'))).toMatchObject({ type: 'notify_failed' });
    });
  });

  describe('agent turn of engine version 1', () => {
    const turn = (execution: Awaited<ReturnType<TestStore['start']>>, stepId = 'ask', overrides = {}) => ({
      ...execution.input(stepId, overrides),
      turn: 1,
    });

    it('gives the text, keeps usage and model, and says prompt and reply in the session with back-pointers', async () => {
      model.script({ text: 'It is 42.', usage: { inputTokens: 20, outputTokens: 4 } });
      const execution = await store.start(aPlan([anAgent('What of {{variables.x}}?')]));
      const answer = await run(make().agent.agentTurn, turn(execution, 'ask', { scope: variables({ x: 6 }) }));
      expect(answer).toMatchObject({
        ended: 'completed',
        output: { v: 'It is 42.' },
        usage: { inputTokens: 20, outputTokens: 4, models: ['first-model'] },
      });
      const { ownerId, sessionId, executionId } = execution.common;
      expect((await listMessages(store.db, ownerId, sessionId, { after: 0, limit: 10 })).items).toMatchObject([
        { role: 'user', content: 'What of 6?', executionId, stepId: 'ask', thread: 'default' },
        { role: 'assistant', content: 'It is 42.', executionId, turn: { status: 'end_turn', model: 'first-model' } },
      ]);
    });
    it('a thread goes on with finished exchanges of the run, @new does not', async () => {
      model.script((_request, nth) => ({ text: `reply ${nth}` }));
      const execution = await store.start(
        aPlan([anAgent('one'), anAgent('two', { id: 'again' }), anAgent('three', { id: 'alone', thread: template('@new') })]),
      );
      for (const id of ['ask', 'again', 'alone']) await run(make().agent.agentTurn, turn(execution, id));
      const said = model.requests.map(({ body }) =>
        body.messages.map(({ role, content }) => `${role}: ${(content as { text: string }[])[0]?.text}`),
      );
      expect(said).toEqual([['user: one'], ['user: one', 'assistant: reply 0', 'user: two'], ['user: three']]);
    });
    it('a repeated turn says its prompt once, to the model and in the session', async () => {
      model.script([{ fault: 'hang' }, { text: 'ok' }]);
      const execution = await store.start(aPlan([anAgent('one')]));
      const environment = anEnvironment();
      const first = failureOf(make().agent.agentTurn, turn(execution), environment);
      await model.called();
      environment.cancel('WORKER_SHUTDOWN', { workerShutdown: true } as never);
      await first;
      expect(await run(make().agent.agentTurn, turn(execution))).toMatchObject({ ended: 'completed' });
      expect(model.requests[1]?.body.messages).toHaveLength(1);
      const { ownerId, sessionId } = execution.common;
      expect((await listMessages(store.db, ownerId, sessionId, { after: 0, limit: 10 })).items.map(({ role }) => role)).toEqual([
        'user',
        'assistant',
      ]);
    });
    it('structured output: asks by schema and gives the checked object; else agent_prompt_structured_output_invalid', async () => {
      model.script([{ text: 'Sure:\n```json\n{"n":5}\n```' }, { text: '{"n":"five"}' }]);
      const outputSchema: Json = { type: 'object', properties: { n: { type: 'number' } }, required: ['n'] };
      const execution = await store.start(
        aPlan([anAgent('n?', { outputSchema }), anAgent('n?', { id: 'bad', thread: template('@new'), outputSchema })]),
      );
      expect(await run(make().agent.agentTurn, turn(execution))).toMatchObject({ output: { v: { n: 5 } } });
      expect((await failureOf(make().agent.agentTurn, turn(execution, 'bad'))).details?.[0]).toMatchObject({
        error: { code: 'agent_prompt_structured_output_invalid', details: { reply: '{"n":"five"}' } },
        usage: { inputTokens: 10 },
      });
      expect(JSON.stringify(model.requests[0]?.body.messages)).toContain('JSON Schema');
    });
    it.each([
      [
        { error: { status: 529, type: 'overloaded_error' } },
        {},
        { code: 'agent_prompt_model_error', retryable: true, details: { status: 529, type: 'overloaded_error', model: 'first-model' } },
      ],
      [{ text: '' }, {}, { code: 'agent_prompt_empty_response' }],
      [{ fault: 'hang' as const }, { timeoutMs: 200 }, { code: 'agent_prompt_timeout', retryable: true }],
    ])('fails with its code: %j', async (reply, overrides, error) => {
      model.script(reply);
      const execution = await store.start(aPlan([anAgent('x')]));
      expect((await failureOf(make().agent.agentTurn, turn(execution, 'ask', overrides))).details?.[0]).toMatchObject({
        ended: 'failed',
        error,
      });
    });
    it('D9: a cancel aborts the turn', async () => {
      model.script({ text: 'half', fault: 'hang_mid' });
      const execution = await store.start(aPlan([anAgent('x')]));
      const environment = anEnvironment();
      const running = run(make().agent.agentTurn, turn(execution), environment);
      await model.called();
      environment.cancel();
      expect(await running).toMatchObject({ ended: 'cancelled' });
      await model.aborted();
    });
  });

  describe('gates', () => {
    const open = (execution: Awaited<ReturnType<TestStore['start']>>, overrides = {}) => ({
      ...execution.input('gate', { scope: variables({ x: 'v2' }), ...overrides }),
      deadlineAt: Date.now() + 60_000,
    });

    it('opens once and answers with the row', async () => {
      const execution = await store.start(aPlan([aGate({ approvers: template(['{{variables.x}}', 'group:ops']) })]));
      const first = await make().core.openGate(open(execution));
      expect(await make().core.openGate(open(execution))).toEqual(first);
      expect(await getGate(store.db, first.approvalId)).toMatchObject({
        prompt: 'Deploy v2?',
        approvers: ['v2', 'group:ops'],
        quorum: 2,
        status: 'pending',
      });
      expect(await kinds(execution)).toEqual(['execution.started', 'step.started', 'approval.required', 'step.waiting']);
    });
    it('closes a pending gate, whichever way, and then answers with that', async () => {
      const execution = await store.start(aPlan([aGate()]));
      const { approvalId } = await make().core.openGate(open(execution));
      const expire = (to: 'expired' | 'cancelled') =>
        make().core.expireGate({
          ...execution.common,
          instance: { stepId: 'gate', iterationPath: '', attempt: 1 },
          approvalId,
          to,
        });
      expect(await expire('cancelled')).toMatchObject({ status: 'cancelled' });
      expect(await expire('expired')).toMatchObject({ status: 'cancelled' });
      expect((await getGate(store.db, approvalId))?.deliveredAt).not.toBeNull();
    });
    it.each([[{ approvers: template('{{ variables.x - 1 }}') }], [{ approvers: template([5]) }]] as Partial<ApprovalPlan>[][])(
      'an opening that cannot be rendered starts and fails the step: %j',
      async (fields) => {
        const execution = await store.start(aPlan([aGate(fields)]));
        expect(
          await make()
            .core.openGate(open(execution))
            .catch((error: unknown) => error),
        ).toMatchObject({ type: 'expression_error' });
        expect(await kinds(execution)).toEqual(['execution.started', 'step.started', 'step.failed']);
        expect(
          await make()
            .core.openGate(open(execution))
            .catch((error: unknown) => error),
        ).toMatchObject({ type: 'expression_error' });
      },
    );
    const SKIPPED: EngineEvent = {
      kind: 'step.skipped',
      ordinal: '1',
      at: 1,
      instance: { stepId: 'other', iterationPath: '', attempt: 1 },
      stepType: 'set',
      data: {},
    };
    const carrying = (execution: Awaited<ReturnType<TestStore['start']>>) => ({ ...execution.common.carry, events: [SKIPPED] });
    it('an opening that the row cannot take fails the step too, recorded, with what it carried', async () => {
      const execution = await store.start(aPlan([aGate()]));
      const input = { ...open(execution), carry: carrying(execution), deadlineAt: Number.MAX_SAFE_INTEGER };
      await expect(make().core.openGate(input)).rejects.toMatchObject({ type: 'internal_error', nonRetryable: true });
      expect(await kinds(execution)).toEqual(['execution.started', 'step.skipped', 'step.started', 'step.failed']);
    });
    it('writes what it carries also where there is no gate to close', async () => {
      const execution = await store.start(aPlan([aGate()]));
      const instance = { stepId: 'gate', iterationPath: '', attempt: 1 };
      const input = { ...execution.common, carry: carrying(execution), instance, approvalId: 'apr_none', to: 'cancelled' as const };
      await expect(make().core.expireGate(input)).rejects.toMatchObject({ nonRetryable: true });
      expect(await kinds(execution)).toEqual(['execution.started', 'step.skipped']);
    });
    it('does not open while the run is being cancelled', async () => {
      const execution = await store.start(aPlan([aGate()]));
      await make().core.flush(execution.common);
      await beginCancel(store.db, execution.common.executionId, { ownerId: null, by: null, reason: null });
      expect(await make().core.openGate(open(execution))).toMatchObject({ status: 'cancelled' });
    });
    it('says of a gate whose execution has ended under it that the row is closed, not of one that a cancel closes', async () => {
      const [ended, cancelling] = await Promise.all([store.start(aPlan([aGate()])), store.start(aPlan([aGate()]))]);
      const read = async (execution: typeof ended) => {
        const { approvalId } = await make().core.openGate(open(execution));
        if (execution === ended)
          await closeAsTerminated(store.db, execution.common.executionId, {
            code: 'execution_terminated',
            message: 'gone',
            retryable: false,
          });
        else await beginCancel(store.db, execution.common.executionId, { ownerId: null, by: null, reason: null });
        return await make().core.readGate({ ...execution.common, approvalId, signal: { approvalId } });
      };
      expect(await read(ended)).toMatchObject({ status: 'cancelled', closed: true });
      expect(await read(cancelling)).not.toHaveProperty('closed');
      expect(await make().core.flush(ended.common)).toEqual({ closed: true });
      expect(await make().core.flush(cancelling.common)).toEqual({ closed: false });
    });
    it('is not read for another execution', async () => {
      const [one, other] = await Promise.all([store.start(aPlan([aGate()])), store.start(aPlan([aGate()]))]);
      const { approvalId } = await make().core.openGate(open(one));
      expect(await make().core.readGate({ ...other.common, approvalId, signal: { approvalId } })).toBeNull();
      expect(await make().core.readGate({ ...one.common, approvalId, signal: { approvalId } })).toMatchObject({ status: 'pending' });
    });
  });

  describe('evaluate and store', () => {
    const steps: PlanStep[] = [
      {
        ...common,
        type: 'conditional',
        id: 'c',
        condition: { k: 'binary', op: '>', left: { k: 'path', root: 'variables', segments: ['big', 'n'] }, right: { k: 'lit', v: 5 } },
        // oxlint-disable-next-line unicorn/no-thenable -- a field of the plan
        then: [],
      },
      {
        ...common,
        type: 'set',
        id: 's',
        values: [
          ['a', template('x')],
          ['b', template('{{variables.big}} {{variables.none}}')],
        ],
      },
    ];
    const evaluateAt = async (site: ExpressionSite, big: Json, root = 'variables', name = 'big') => {
      const execution = await store.start(aPlan(steps));
      const ref = await putValue(store.db, 'usr_1', big);
      return await make().core.evaluate({
        ...execution.common,
        instance: { stepId: site.stepId, iterationPath: '', attempt: 1 },
        site,
        scope: { [root]: { [name]: { v: null, refs: { '': ref } } } },
        nowMs: Date.now(),
      });
    };
    it('looks inside a stored value', async () => {
      expect(await evaluateAt({ stepId: 'c', field: 'condition' }, { n: 7, pad: 'x'.repeat(40_000) })).toEqual({ value: { v: true } });
    });
    it('answers a large result by reference, with warnings', async () => {
      const { value, warnings } = await evaluateAt({ stepId: 's', field: 'values', index: 1 }, 'y'.repeat(40_000));
      expect([value.v, warnings]).toEqual([null, [{ code: 'missing_reference', message: 'variables.none has no value' }]]);
      expect(await readValue(store.db, 'usr_1', value.refs?.['']?.ref ?? '')).toBe(`${'y'.repeat(40_000)} `);
    });
    it('gives a stored list in chunks, a large item by reference', async () => {
      const list = ['a', 'z'.repeat(40_000), 'b'];
      const first = await evaluateAt({ stepId: 'c', field: 'items', index: 0 }, list, 'loop', 'list');
      const second = await evaluateAt({ stepId: 'c', field: 'items', index: 1 }, list, 'loop', 'list');
      expect(first.value).toEqual({ v: { length: 3, items: ['a'] } });
      expect(second.value).toMatchObject({ v: { length: 3, items: [null] }, refs: { '/items/0': { bytes: 40_002 } } });
    });
    it('joins the results of a loop, whose earlier ones were stored', async () => {
      const execution = await store.start(aPlan(steps));
      const ref = await putValue(store.db, 'usr_1', ['a', 'b']);
      const scope = { loop: { results: { v: [null, ['c']], refs: { '/0': ref } } } };
      const evaluate = make().core.evaluate({
        ...execution.common,
        instance: { stepId: 'c', iterationPath: '', attempt: 1 },
        site: { stepId: 'c', field: 'results' },
        scope,
        nowMs: 1,
      });
      expect(await evaluate).toEqual({ value: { v: ['a', 'b', 'c'] } });
    });
    it('S5: tells a fault without the secret that it was about', async () => {
      await putSecret(store.db, KEY, 'usr_1', 'TOKEN', 'hunter2-s3cret');
      const at: PlanStep = { ...common, type: 'set', id: 'x', values: [['at', template('{{ formatDate(secrets.TOKEN, "yyyy") }}')]] };
      const execution = await store.start(aPlan([at]));
      const fault = await make()
        .core.evaluate({
          ...execution.common,
          instance: { stepId: 'x', iterationPath: '', attempt: 1 },
          site: { stepId: 'x', field: 'values', index: 0 },
          scope: {},
          nowMs: 1,
        })
        .catch((error: unknown) => error as ApplicationFailure);
      expect(fault).toMatchObject({ type: 'expression_error', message: expect.stringContaining('[secret TOKEN]') as string });
      expect(JSON.stringify(fault)).not.toContain('hunter2');
    });
    it('fails with the code of the step: a loop over no list', async () => {
      await expect(evaluateAt({ stepId: 'c', field: 'items', index: 0 }, { no: 'list' }, 'loop', 'list')).rejects.toMatchObject({
        type: 'loop_over_not_array',
        nonRetryable: true,
      });
    });
    it('writes what it carries, also when it fails', async () => {
      const execution = await store.start(aPlan(steps));
      const events: EngineEvent[] = [
        {
          kind: 'step.skipped',
          ordinal: '1',
          at: Date.now(),
          instance: { stepId: 's', iterationPath: '', attempt: 1 },
          stepType: 'set',
          data: {},
        },
      ];
      const input = {
        ...execution.common,
        carry: { ...execution.common.carry, events },
        instance: { stepId: 'c', iterationPath: '', attempt: 1 },
        site: { stepId: 'c', field: 'condition' as const },
        scope: {},
        nowMs: 1,
      };
      await make()
        .core.evaluate(input)
        .catch(() => undefined);
      expect(await kinds(execution)).toContain('step.skipped');
    });
    it('D6 stores a value with what it stands upon by reference, and reads none of it', async () => {
      const execution = await store.start(aPlan(steps));
      const ref = { ...(await putValue(store.db, 'usr_1', { deep: true })), preview: '' };
      const [stored] = await make().core.store({
        ...execution.common,
        instance: { stepId: 's', iterationPath: '', attempt: 1 },
        values: [{ v: ['x', null], refs: { '/1': ref } }],
      });
      const outer = stored?.refs?.[''];
      expect(outer?.preview).not.toContain('deep');
      expect(await readStored(store.db, 'usr_1', outer?.ref ?? '')).toEqual({ v: ['x', null], refs: { '/1': ref } });
      expect(await readValue(store.db, 'usr_1', outer?.ref ?? '')).toEqual(['x', { deep: true }]);
    });
    it('D6 joins results that are stored values without reading them; what reads them finds them', async () => {
      const execution = await store.start(aPlan(steps));
      const stored = (n: number): Promise<Ref> => putValue(store.db, 'usr_1', { n, pad: 'x'.repeat(40_000) });
      const refs = [await stored(1), await stored(2), await stored(3)] as const;
      const instance = { stepId: 'c', iterationPath: '', attempt: 1 };
      const [first] = await make().core.store({
        ...execution.common,
        instance,
        values: [{ v: [null, null], refs: { '/0': refs[0], '/1': refs[1] } }],
      });
      const results = { v: [null, [null]], refs: { '/0': wholeRefOf(first ?? NULL_VALUE) ?? refs[0], '/1/0': refs[2] } };
      const call = { ...execution.common, instance, nowMs: 1 };
      const { value } = await make().core.evaluate({ ...call, site: { stepId: 'c', field: 'results' }, scope: { loop: { results } } });
      expect(value).toEqual({ v: [null, null, null], refs: { '/0': refs[0], '/1': refs[1], '/2': refs[2] } });
      const [whole] = await make().core.store({ ...call, values: [value] });
      const items = await make().core.evaluate({
        ...call,
        site: { stepId: 'c', field: 'items', index: 1 },
        scope: { loop: { list: whole ?? NULL_VALUE } },
      });
      expect(items.value).toEqual({ v: { length: 3, items: [null, null] }, refs: { '/items/0': refs[1], '/items/1': refs[2] } });
      const reading: PlanStep = { ...common, type: 'set', id: 'r', values: [['sum', template('{{sum(map(variables.big, x => x.n))}}')]] };
      const reader = await store.start(aPlan([reading]));
      const sum = await make().core.evaluate({
        ...reader.common,
        instance: { ...instance, stepId: 'r' },
        nowMs: 1,
        site: { stepId: 'r', field: 'values', index: 0 },
        scope: { variables: { big: whole ?? NULL_VALUE } },
      });
      expect(sum.value).toEqual({ v: 6 });
    });
    it('stores values in order', async () => {
      const execution = await store.start(aPlan(steps));
      const stored = await make().core.store({
        ...execution.common,
        instance: { stepId: 's', iterationPath: '', attempt: 1 },
        values: [{ v: 1 }, { v: { a: 2 } }],
      });
      expect(await Promise.all(stored.map(({ refs }) => readValue(store.db, 'usr_1', refs?.['']?.ref ?? '')))).toEqual([1, { a: 2 }]);
    });
  });

  describe('the run as a whole', () => {
    const outcome = { status: 'completed' as const, output: { v: 1 }, error: null, reason: null, requested: false };
    it('settles once; what a cancel has decided stands', async () => {
      const [one, two] = await Promise.all([store.start(aPlan([aGate()])), store.start(aPlan([aGate()]))]);
      expect(await make().core.settle({ ...one.common, outcome })).toEqual({ outcome });
      expect(settled).toContain(one.common.executionId);
      await make().core.flush(two.common);
      await beginCancel(store.db, two.common.executionId, { ownerId: null, by: null, reason: 'stop it' });
      expect(await make().core.settle({ ...two.common, outcome })).toMatchObject({
        outcome: { status: 'cancelled', reason: 'stop it', requested: true },
      });
    });
    it('a raw cancel leads to cancelling with its clean-up, also before anything was seen of the run', async () => {
      const execution = await store.start(aPlan([aGate()]));
      expect(await make().core.beginCancel({ ...execution.common, reason: 'by hand' })).toEqual({
        proceed: true,
        reason: 'by hand',
        by: { id: 'operator', name: 'Temporal operator' },
      });
      expect(await getExecution(store.db, null, execution.common.executionId)).toMatchObject({ status: 'cancelling' });
      expect(await kinds(execution)).toEqual(['execution.started', 'execution.cancelling']);
    });
    it('a cancel through the API keeps its reason and author; an ended run does not proceed', async () => {
      const execution = await store.start(aPlan([aGate()]));
      const { executionId } = execution.common;
      await make().core.flush(execution.common);
      await beginCancel(store.db, executionId, { ownerId: null, by: { id: 'usr_9', name: 'Bo' }, reason: 'mine' });
      expect(await make().core.beginCancel({ ...execution.common, reason: null })).toEqual({
        proceed: true,
        reason: 'mine',
        by: { id: 'usr_9', name: 'Bo' },
      });
      await make().core.settle({ ...execution.common, outcome });
      expect(await make().core.beginCancel({ ...execution.common, reason: null })).toMatchObject({ proceed: false });
    });
    it('recover fences a lost step off and settles it, or says how it had ended', async () => {
      const execution = await store.start(aPlan([aBash('true')]));
      const settle: StepAnswer = {
        ended: 'failed',
        at: Date.now(),
        error: { code: 'outcome_unknown', message: 'cut off', retryable: false },
      };
      const recover = () =>
        make().core.recover({
          ...execution.common,
          instance: { stepId: 'sh', iterationPath: '', attempt: 1 },
          stepType: 'bash',
          settle,
        });
      await expect(recover()).rejects.toMatchObject({ type: 'outcome_unknown', details: [{ ended: 'failed', error: { stepId: 'sh' } }] });
      expect(await failureOf(make().shell.bash, execution.input('sh'))).toMatchObject({ type: 'outcome_unknown' });
    });
    it('loads a start for the Temporal run that claims it first', async () => {
      const execution = await store.start(aPlan([aGate()]));
      const { executionId } = execution.common;
      expect(await make().core.load({ executionId, firstExecutionRunId: 'run-1' })).toMatchObject({
        start: { execution: { id: executionId }, plan: { name: 'Test' } },
      });
      expect(await make().core.load({ executionId, firstExecutionRunId: 'run-1' })).toMatchObject({
        start: { execution: { id: executionId } },
      });
      expect(await make().core.load({ executionId, firstExecutionRunId: 'run-2' })).toMatchObject({
        start: null,
        outcome: { status: 'duplicate' },
      });
      await make().core.settle({ ...execution.common, outcome });
      expect(await make().core.load({ executionId, firstExecutionRunId: 'run-1' })).toMatchObject({
        start: null,
        outcome: { status: 'completed' },
      });
    });
  });
});
