import type { Execution } from '../support/service-shapes.js';
import { Service } from '../support/service.js';
import { call, gate, loop, parallel, set, wait } from '../support/steps.js';
import { startStubServer, type StubServer } from '../support/stub-server.js';

jest.setTimeout(60_000);

describe('commands to an execution', () => {
  let stub: StubServer;
  let service: Service;
  beforeAll(async () => {
    [stub, service] = await Promise.all([startStubServer(), Service.start()]);
  });
  beforeEach(() => stub.clear());
  afterAll(async () => {
    await service?.close();
    await stub?.close();
  });

  const tell = (id: string, command: string, body: object = {}) =>
    service.api.post<{ execution: Execution; ignored?: boolean }>(`/api/executions/${id}/${command}`, body);

  it('D8 keeps its snapshot when the definition is edited, disabled and deleted', async () => {
    const old = {
      name: 'D8 old',
      steps: [{ id: 'e', type: 'wait_for_event', event: 'go' }, set('s', { v: 'old' })],
      output: '{{ variables.v }}',
    };
    const workflow = await service.save(old, { slug: 'd8' });
    const { id } = await service.runSaved(workflow.id);
    await service.untilStatus(id, 'waiting_event');
    const edited = await service.api.put(`/api/workflows/${workflow.id}`, {
      name: 'D8 new',
      enabled: false,
      data: { name: 'D8 new', steps: [set('s', { v: 'new' })] },
    });
    expect(edited.status).toBe(200);
    expect((await service.api.refused(`/api/workflows/${workflow.id}/run`)).body.code).toBe('workflow_disabled');
    expect((await service.api.delete(`/api/workflows/${workflow.id}`)).status).toBe(204);
    await service.api.post(`/api/executions/${id}/events`, { event: 'go' });
    expect(await service.untilEnded(id)).toMatchObject({ status: 'completed', output: 'old', workflowName: 'D8 old', hash: workflow.hash });
    const snapshot = await service.api.get<{ data: { name: string; steps: readonly { id: string }[] }; hash: string; version: string }>(
      `/api/executions/${id}/definition`,
    );
    expect(snapshot.body).toMatchObject({ hash: workflow.hash, data: { name: 'D8 old' } });
    expect(snapshot.body.data.steps.map((step) => step.id)).toEqual(['e', 's']);
    expect((await service.api.get(`/api/workflows/${workflow.id}`)).status).toBe(404);
  });

  describe('D9 cancel', () => {
    const CASES: Record<
      string,
      {
        readonly steps: () => readonly object[];
        readonly until: (id: string) => Promise<unknown>;
        readonly after?: (id: string) => Promise<unknown>;
      }
    > = {
      'a call': { steps: () => [call('c', stub, '/hang')], until: () => stub.called('/hang'), after: () => stub.aborted('/hang') },
      'a retry delay': {
        steps: () => [call('c', stub, '/503', { retry: { maxAttempts: 3, initialInterval: '30s' } })],
        until: (id) => service.untilKind(id, 'step.retrying'),
      },
      'a wait': { steps: () => [wait('w', '60s')], until: (id) => service.untilStatus(id, 'waiting_event') },
      'a gate': { steps: () => [gate('g')], until: (id) => service.openApproval(id) },
      'an event': {
        steps: () => [{ id: 'e', type: 'wait_for_event', event: 'x' }],
        until: (id) => service.untilStatus(id, 'waiting_event'),
      },
      'a parallel': {
        steps: () => [parallel('p', { a: [call('c', stub, '/hang')], b: [wait('w', '60s')], g: [gate('g')] })],
        until: async (id) => [await stub.called('/hang'), await service.openApproval(id)],
        after: () => stub.aborted('/hang'),
      },
      'a loop': {
        steps: () => [loop('l', { over: 'range(50)', concurrency: 10 }, [call('c', stub, '/hang')])],
        until: () => stub.called('/hang', 10),
        after: () => stub.aborted('/hang', 10),
      },
      'a model turn': {
        steps: () => [{ id: 'a', type: 'agent_prompt', prompt: 'Count slowly to ten thousand, please' }],
        until: (id) => service.untilKind(id, 'step.started', 'a'),
      },
    };

    beforeAll(async () => {
      stub.on('/hang', { fault: 'hang' });
      stub.on('/503', { status: 503 });
      await service.save({ name: 'D9 child', steps: [wait('w', '60s')] }, { slug: 'd9-child' });
    });

    it.each(Object.entries(CASES))('during %s leads to cancelled and nothing else', async (_title, { steps, until, after }) => {
      const { id } = await service.run(steps() as never);
      await until(id);
      const asked = Date.now();
      const answer = await tell(id, 'cancel', { reason: 'enough' });
      expect([answer.status, answer.body.execution.status]).toEqual([202, 'cancelling']);
      await after?.(id);
      const ended = await service.untilEnded(id);
      // What is in flight is aborted within 2 s; ending the run and hearing of it take their moment on a busy machine.
      expect(Date.now() - asked).toBeLessThan(3_500);
      expect(ended.status).toBe('cancelled');
      const kinds = (await service.expectGapFreeLog(id)).map(({ kind }) => kind);
      expect(kinds.filter((kind) => kind === 'execution.cancelling')).toHaveLength(1);
      expect(kinds.at(-1)).toBe('execution.cancelled');
      const open = (await service.steps(id)).filter(({ status }) => !['completed', 'failed', 'cancelled', 'skipped'].includes(status));
      expect(open).toEqual([]);
      const again = await tell(id, 'cancel');
      expect([again.status, again.body.ignored]).toEqual([200, true]);
      await service.until(
        'Temporal to show it',
        async () => ((await service.temporalStatus(id)) === 'CANCELLED' ? true : undefined),
        5_000,
      );
    });

    it('during a child cancels it too', async () => {
      const { id } = await service.run([{ id: 'sub', type: 'subworkflow', workflow: 'd9-child' }]);
      const childId = await service.until(
        'the child',
        async () =>
          (await service.api.get<{ items: Execution[] }>(`/api/executions/${id}/children`)).body.items.find(
            ({ status }) => status === 'waiting_event',
          )?.id,
      );
      await tell(id, 'cancel');
      expect((await service.untilEnded(id)).status).toBe('cancelled');
      expect((await service.untilEnded(childId)).status).toBe('cancelled');
    });

    it('of a raw Temporal cancel does the same', async () => {
      const { id } = await service.run([parallel('p', { a: [gate('g')], b: [wait('w', '60s')] })]);
      const approval = await service.openApproval(id);
      await (await service.temporalClient()).workflow.getHandle(id).cancel();
      expect((await service.untilEnded(id)).status).toBe('cancelled');
      expect((await service.approval(approval.id)).status).toBe('cancelled');
      expect((await service.expectGapFreeLog(id)).map(({ kind }) => kind)).toContain('execution.cancelling');
    });
  });

  describe('D13 the same Idempotency-Key', () => {
    it('20 times at once starts one execution', async () => {
      const workflow = await service.save({ name: 'D13', variables: { n: { type: 'number' } }, steps: [call('c', stub, '/d13')] });
      const start = (n: number) =>
        service.api.post<{ execution: Execution; duplicate: boolean }>(
          `/api/workflows/${workflow.id}/run`,
          { variables: { n } },
          { headers: { 'Idempotency-Key': 'same' } },
        );
      const answers = await Promise.all(Array.from({ length: 20 }, () => start(1)));
      expect(answers.map(({ status }) => status).toSorted((a, b) => a - b)).toEqual([...Array(19).fill(200), 202]);
      expect(answers.filter(({ status }) => status === 200).every(({ body }) => body.duplicate)).toBe(true);
      expect(new Set(answers.map(({ body }) => body.execution.id)).size).toBe(1);
      await service.untilEnded(answers[0]?.body.execution.id ?? '');
      expect(stub.calls('/d13')).toHaveLength(1);
      const other = await service.api.refused(
        `/api/workflows/${workflow.id}/run`,
        { variables: { n: 2 } },
        { headers: { 'Idempotency-Key': 'same' } },
      );
      expect([other.status, other.body.code]).toEqual([409, 'idempotency_key_reused']);
    });
  });

  describe('D14 pause', () => {
    it('lets the step in flight end, starts nothing new, and goes on at resume', async () => {
      stub.on('/two', { delayMs: 1_000 });
      const { id } = await service.run([
        call('s1', stub, '/one'),
        call('s2', stub, '/two'),
        call('s3', stub, '/three'),
        call('s4', stub, '/four'),
      ]);
      await stub.called('/two');
      const answer = await tell(id, 'pause');
      expect(answer.status).toBe(202);
      await service.untilStatus(id, 'paused');
      await service.untilKind(id, 'step.completed', 's2');
      await new Promise((resolve) => setTimeout(resolve, 500));
      expect((await service.steps(id)).map(({ stepId }) => stepId)).toEqual(['s1', 's2']);
      expect((await service.execution(id)).status).toBe('paused');
      expect((await tell(id, 'resume')).status).toBe(202);
      expect((await service.untilEnded(id)).status).toBe('completed');
      const told = (await service.expectGapFreeLog(id)).filter(({ kind }) => kind === 'execution.paused' || kind === 'execution.resumed');
      const { user } = (await service.api.get<{ user: { id: string; name: string } }>('/api/me')).body;
      const by = { id: user.id, name: user.name };
      expect(told.map(({ kind, data }) => ({ kind, data }))).toEqual([
        { kind: 'execution.paused', data: { by } },
        { kind: 'execution.resumed', data: { by } },
      ]);
      expect(['/one', '/two', '/three', '/four'].map((path) => stub.calls(path).length)).toEqual([1, 1, 1, 1]);
      expect((await tell(id, 'pause')).body.ignored).toBe(true);
    });

    it('keeps a decision made meanwhile for the resume', async () => {
      const { id } = await service.run([gate('g'), call('after', stub, '/after')]);
      const approval = await service.openApproval(id);
      await tell(id, 'pause');
      await service.untilStatus(id, 'paused');
      expect((await service.api.post(`/api/approvals/${approval.id}/approve`)).status).toBe(200);
      await new Promise((resolve) => setTimeout(resolve, 500));
      expect(stub.calls('/after')).toHaveLength(0);
      expect((await service.execution(id)).status).toBe('paused');
      await tell(id, 'resume');
      expect((await service.untilEnded(id)).status).toBe('completed');
      expect(stub.calls('/after')).toHaveLength(1);
    });

    it('gives way to a cancel', async () => {
      const { id } = await service.run([wait('w', '60s')]);
      await service.untilStatus(id, 'waiting_event');
      await tell(id, 'pause');
      await service.untilStatus(id, 'paused');
      await tell(id, 'cancel');
      expect((await service.untilEnded(id)).status).toBe('cancelled');
    });
  });

  describe('D17 while no worker runs', () => {
    it('start, approve and cancel are answered at once and take effect when it is back', async () => {
      const [gated, parked] = await Promise.all([service.run([gate('g'), call('after', stub, '/d17')]), service.run([wait('w', '60s')])]);
      const approval = await service.openApproval(gated.id);
      await service.untilStatus(parked.id, 'waiting_event');
      await service.worker.kill();
      const asked = Date.now();
      const started = await service.run([call('c', stub, '/d17-start')]);
      const approved = await service.api.post<{ approval: { status: string } }>(`/api/approvals/${approval.id}/approve`);
      const cancelled = await tell(parked.id, 'cancel');
      expect(Date.now() - asked).toBeLessThan(2_000);
      expect([started.status, approved.body.approval.status, cancelled.status]).toEqual([
        expect.stringMatching(/pending|running/),
        'approved',
        202,
      ]);
      await service.startWorker();
      expect((await service.untilEnded(started.id)).status).toBe('completed');
      expect((await service.untilEnded(gated.id)).status).toBe('completed');
      expect((await service.untilEnded(parked.id)).status).toBe('cancelled');
    });
  });

  describe('D25 a cancel that races the last step', () => {
    it('leaves row, log and Temporal in agreement, 100 times', async () => {
      stub.on('/last', { delayMs: 20 });
      const workflow = await service.save({ name: 'D25', steps: [call('last', stub, '/last')] });
      const race = async (n: number) => {
        const { id } = await service.runSaved(workflow.id);
        await service.untilKind(id, 'step.started', 'last');
        await new Promise((resolve) => setTimeout(resolve, (n % 10) * 15));
        const answer = await tell(id, 'cancel');
        const ended = await service.untilEnded(id);
        const events = await service.expectGapFreeLog(id);
        expect(events.at(-1)?.kind).toBe(`execution.${ended.status}`);
        if (answer.status === 202) expect(ended.status).toBe('cancelled');
        else expect([answer.status, ended.status]).toEqual([200, 'completed']);
        const temporal = await service.until(
          'Temporal to close it',
          async () => {
            const name = await service.temporalStatus(id);
            return name === 'RUNNING' ? undefined : name;
          },
          15_000,
        );
        expect(temporal).toBe(ended.status === 'cancelled' ? 'CANCELLED' : 'COMPLETED');
        return ended.status;
      };
      const outcomes: string[] = [];
      for (let round = 0; round < 10; round += 1)
        outcomes.push(...(await Promise.all(Array.from({ length: 10 }, (_, n) => race(round * 10 + n)))));
      expect(outcomes).toHaveLength(100);
      console.log(
        `D25: ${outcomes.filter((status) => status === 'cancelled').length} cancelled, ${outcomes.filter((status) => status === 'completed').length} completed`,
      );
    });

    it('shows a denied gate as Completed in Temporal', async () => {
      const { id } = await service.run([gate('g')]);
      const approval = await service.openApproval(id);
      await service.api.post(`/api/approvals/${approval.id}/deny`, { reason: 'no' });
      expect((await service.untilEnded(id)).status).toBe('cancelled');
      await service.until('Temporal to close it', async () => ((await service.temporalStatus(id)) === 'COMPLETED' ? true : undefined));
    });
  });
});
