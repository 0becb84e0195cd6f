import type { Approval } from '../support/service-shapes.js';
import { type Person, Service } from '../support/service.js';
import { call, gate, loop, parallel, set, wait } from '../support/steps.js';
import { startStubServer, type StubServer } from '../support/stub-server.js';

jest.setTimeout(90_000);

describe('approvals on the real service', () => {
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

  const decide = (approvalId: string, decision: 'approve' | 'deny', body: object = {}, client = service.api) =>
    client.post<{ approval: Approval; code: string; approvalStatus: string; decidedBy: unknown[]; decidedAt: string }>(
      `/api/approvals/${approvalId}/${decision}`,
      body,
    );
  const signal = async (id: string, payload: object) => (await service.temporalClient()).workflow.getHandle(id).signal('approve', payload);
  const me = async () => (await service.api.get<{ user: { id: string; name: string } }>('/api/me')).body.user;

  it('H1 goes on after an approval, and never runs again what came before, also over a restart', async () => {
    const { id } = await service.run([
      call('a', stub, '/a'),
      call('b', stub, '/b'),
      call('c', stub, '/c'),
      gate('g'),
      call('d', stub, '/d'),
    ]);
    const approval = await service.openApproval(id);
    expect(approval).toMatchObject({
      executionId: id,
      stepId: 'g',
      iterationPath: '',
      attempt: 1,
      prompt: 'Go on?',
      status: 'pending',
      quorum: 1,
      votes: [],
      decidedBy: [],
      decidedAt: null,
    });
    await service.until('the run to wait', async () => ((await service.execution(id)).status === 'waiting_approval' ? true : undefined));
    await service.worker.kill();
    await service.startWorker();
    const answer = await decide(approval.id, 'approve', { reason: 'looks fine' });
    expect([answer.status, answer.body.approval.status]).toEqual([200, 'approved']);
    expect((await service.untilEnded(id)).status).toBe('completed');
    const user = await me();
    expect((await service.step(id, 'g')).output).toEqual({
      decision: 'approved',
      decidedBy: [expect.anything()],
      decidedAt: expect.stringMatching(/Z$/),
      reason: 'looks fine',
      answer: null,
    });
    expect(JSON.stringify((await service.step(id, 'g')).output)).toContain(user.id);
    expect(['/a', '/b', '/c', '/d'].map((path) => stub.calls(path).length)).toEqual([1, 1, 1, 1]);
    const kinds = (await service.expectGapFreeLog(id)).map(({ kind }) => kind);
    expect(kinds).toEqual(
      expect.arrayContaining(['approval.required', 'step.waiting', 'execution.waiting', 'approval.voted', 'approval.approved']),
    );
  });

  it('H2 finds a gate in a try in a loop in a parallel in a subworkflow, on the parent too', async () => {
    await service.save(
      {
        name: 'H2 child',
        steps: [
          parallel('p', {
            a: [
              loop('l', { over: '[1, 2]' }, [
                { id: 't', type: 'try', steps: [gate('g')], catch: [{ codes: ['*'], steps: [set('no', { a: 1 })] }] },
              ]),
            ],
          }),
        ],
      },
      { slug: 'h2-child' },
    );
    const { id } = await service.run([{ id: 'sub', type: 'subworkflow', workflow: 'h2-child' }]);
    for (const pass of [0, 1]) {
      const approval = await service.until(`the gate of pass ${pass}`, async () =>
        (await service.openApprovals(id)).find(({ iterationPath }) => iterationPath === `p:b0/l:i${pass}/t:try`),
      );
      expect(approval.executionId).not.toBe(id);
      expect((await decide(approval.id, 'approve')).status).toBe(200);
    }
    expect((await service.untilEnded(id)).status).toBe('completed');
  });

  it('H3 ignores a raw signal for a gate that is not open', async () => {
    const { id } = await service.run([wait('w', '1s'), gate('g')]);
    await service.untilStatus(id, 'waiting_event');
    await signal(id, { approvalId: 'apr_00000000000000000000000000', decision: 'approve' });
    const approval = await service.openApproval(id);
    expect(approval.votes).toEqual([]);
    await new Promise((resolve) => setTimeout(resolve, 300));
    expect((await service.approval(approval.id)).status).toBe('pending');
    await decide(approval.id, 'deny');
    await service.untilEnded(id);
  });

  it('H4 settles four answers at once to one outcome, and tells the others who decided', async () => {
    for (let round = 0; round < 5; round += 1) {
      const { id } = await service.run([gate('g', { onDeny: 'continue' })]);
      const approval = await service.openApproval(id);
      const answers = await Promise.all(
        (['approve', 'approve', 'deny', 'approve'] as const).map((decision) => decide(approval.id, decision)),
      );
      expect(answers.filter(({ status }) => status === 200)).toHaveLength(1);
      const settled = await service.approval(approval.id);
      for (const { status, body } of answers.filter((answer) => answer.status !== 200)) {
        expect([status, body.code]).toEqual([409, 'approval_settled']);
        expect(body).toMatchObject({ approvalStatus: settled.status, decidedBy: settled.decidedBy, decidedAt: settled.decidedAt });
      }
      await service.untilEnded(id);
      expect((await service.step(id, 'g')).output).toMatchObject({ decision: settled.status });
    }
  });

  describe('who may decide', () => {
    let ana: Person;
    let bo: Person;
    let cy: Person;
    let stranger: Person;
    beforeAll(async () => {
      ana = await service.person('ana', { role: 'approver', groups: ['team'] });
      bo = await service.person('bo', { role: 'editor', groups: ['team'] });
      cy = await service.person('cy', { role: 'approver', groups: ['team'] });
      stranger = await service.person('stranger', { role: 'editor' });
    });

    it('H5 holds to the list of approvers, also against the owner', async () => {
      const { id } = await service.run([gate('g', { approvers: [ana.email] })], {}, { client: bo.client });
      const approval = await service.until(
        'the gate',
        async () => (await bo.client.get<{ items: Approval[] }>(`/api/approvals?status=pending&executionId=${id}`)).body.items[0],
      );
      const refused = await decide(approval.id, 'approve', {}, bo.client);
      expect([refused.status, refused.body.code]).toEqual([403, 'approver_not_allowed']);
      expect((await decide(approval.id, 'approve', {}, stranger.client)).status).toBe(404);
      expect((await ana.client.get<{ approval: Approval }>(`/api/approvals/${approval.id}`)).body.approval.status).toBe('pending');
      const audit = await service.api.get('/api/audit?limit=200');
      expect(audit.text).toContain(approval.id);
      expect((await decide(approval.id, 'approve', {}, ana.client)).status).toBe(200);
      expect((await service.untilEnded(id, undefined, bo.client)).status).toBe('completed');
    });

    it('H6 counts distinct people for the quorum; one denial settles', async () => {
      const open = async () => {
        const { id } = await service.run([gate('g', { approvers: [ana.email, bo.email, cy.id], quorum: 2 })]);
        return { id, approval: await service.openApproval(id) };
      };
      const first = await open();
      expect((await decide(first.approval.id, 'approve', {}, ana.client)).body.approval).toMatchObject({
        status: 'pending',
        votes: [{ via: 'http', decision: 'approve' }],
      });
      const again = await decide(first.approval.id, 'approve', {}, ana.client);
      expect([again.status, again.body.code]).toEqual([409, 'already_voted']);
      expect((await decide(first.approval.id, 'approve', {}, bo.client)).body.approval).toMatchObject({
        status: 'approved',
        decidedBy: [
          { id: ana.id, name: 'ana' },
          { id: bo.id, name: 'bo' },
        ],
      });
      const settled = await decide(first.approval.id, 'approve', {}, ana.client);
      expect([settled.status, settled.body.code]).toEqual([409, 'approval_settled']);
      expect((await service.untilEnded(first.id)).status).toBe('completed');
      const second = await open();
      await decide(second.approval.id, 'approve', {}, ana.client);
      expect((await decide(second.approval.id, 'deny', {}, bo.client)).body.approval).toMatchObject({
        status: 'denied',
        decidedBy: [{ id: bo.id }],
      });
      expect((await service.untilEnded(second.id)).status).toBe('cancelled');
    });

    it('H16 refuses every agent', async () => {
      const agent = await service.person('robot', { role: 'admin', kind: 'agent' });
      const { id } = await service.run([gate('g')]);
      const approval = await service.openApproval(id);
      const refused = await decide(approval.id, 'approve', {}, agent.client);
      expect([refused.status, refused.body.code]).toEqual([403, 'agent_cannot_decide']);
      for (const path of ['', '/approve', '/deny']) await service.api.get(`/api/approvals/${approval.id}${path}`);
      expect((await service.approval(approval.id)).status).toBe('pending');
      await decide(approval.id, 'deny');
    });

    it('H16 takes no word in a chat, nor a model’s answer to it, for a decision', async () => {
      const { id, sessionId } = await service.run([gate('g')]);
      const approval = await service.openApproval(id);
      const said = await service.api.post<{ message: { seq: number } }>(`/api/sessions/${sessionId}/messages`, {
        content: `approved. I approve ${approval.id}`,
        clientMessageId: 'h16',
      });
      expect(said.status).toBe(202);
      await service.until('the reply', async () => {
        const { body } = await service.api.get<{ items: { role: string; turn?: { status: string } }[] }>(
          `/api/sessions/${sessionId}/messages?after=${said.body.message.seq}`,
        );
        return body.items.some(({ role, turn }) => role === 'assistant' && turn?.status === 'end_turn') ? true : undefined;
      });
      expect(await service.approval(approval.id)).toMatchObject({ status: 'pending', votes: [] });
      await decide(approval.id, 'deny');
    });

    it('lists `mine`: what I own or may decide', async () => {
      const { id } = await service.run([gate('g', { approvers: [ana.email] })]);
      const approval = await service.openApproval(id);
      const listed = async (person: Person) =>
        (await person.client.get<{ items: Approval[] }>('/api/approvals?status=pending&mine=true')).body.items.map((item) => item.id);
      expect(await listed(ana)).toContain(approval.id);
      expect(await listed(stranger)).not.toContain(approval.id);
      await decide(approval.id, 'deny', {}, ana.client);
    });
  });

  describe('H7 a denial', () => {
    it.each([
      ['cancel', { status: 'cancelled' }],
      ['fail', { status: 'failed', error: { code: 'approval_denied', stepId: 'g' } }],
      ['continue', { status: 'completed', output: 'denied' }],
    ])('with onDeny %s', async (onDeny, expected) => {
      const { id } = await service.run({
        name: `H7 ${onDeny}`,
        steps: [gate('g', { onDeny }), call('after', stub, '/h7')],
        output: '{{ outputs.g.decision }}',
      });
      const approval = await service.openApproval(id);
      expect((await decide(approval.id, 'deny', { reason: 'no' })).body.approval).toMatchObject({ status: 'denied', reason: 'no' });
      expect(await service.untilEnded(id)).toMatchObject(expected);
      expect(stub.calls('/h7')).toHaveLength(onDeny === 'continue' ? 1 : 0);
      const end = (await service.expectGapFreeLog(id)).at(-1);
      if (onDeny === 'cancel') expect(JSON.stringify(end?.data)).toContain('approval_denied');
      expect((await service.step(id, 'g')).status).not.toMatch(/waiting|running/);
    });

    it('is catchable with onDeny fail', async () => {
      const { id } = await service.run([
        {
          id: 't',
          type: 'try',
          steps: [gate('g', { onDeny: 'fail' })],
          catch: [{ codes: ['approval_denied'], steps: [call('h', stub, '/caught')] }],
        },
      ]);
      await decide((await service.openApproval(id)).id, 'deny');
      expect((await service.untilEnded(id)).status).toBe('completed');
      expect(stub.calls('/caught')).toHaveLength(1);
    });
  });

  describe('H8 the deadline', () => {
    it('expires the gate; a late click is told so', async () => {
      const { id } = await service.run([gate('g', { timeout: '1s' })]);
      const approval = await service.openApproval(id);
      expect(Date.parse(approval.deadline ?? '')).toBeGreaterThan(Date.now() - 1_000);
      expect(await service.untilEnded(id)).toMatchObject({ status: 'failed', error: { code: 'approval_expired', stepId: 'g' } });
      expect((await service.approval(approval.id)).status).toBe('expired');
      const late = await decide(approval.id, 'approve');
      expect([late.status, late.body.code, late.body.approvalStatus]).toEqual([409, 'approval_settled', 'expired']);
    });

    it('that denies applies onDeny; the row stays expired', async () => {
      const { id } = await service.run({
        name: 'H8 deny',
        steps: [gate('g', { timeout: '1s', onTimeout: 'deny', onDeny: 'continue' })],
        output: '{{ outputs.g }}',
      });
      const approval = await service.openApproval(id);
      expect(await service.untilEnded(id)).toMatchObject({ status: 'completed', output: { decision: 'denied', decidedBy: [] } });
      expect((await service.approval(approval.id)).status).toBe('expired');
    });
  });

  it('H10 lists two gates of two branches; waiting_approval only while every live branch waits', async () => {
    stub.on('/h10', { delayMs: 1_500 });
    const { id } = await service.run([parallel('p', { a: [gate('one')], b: [gate('two'), call('slow', stub, '/h10')] })]);
    const open = await service.openApprovals(id, 2);
    expect(open.map(({ stepId }) => stepId).toSorted()).toEqual(['one', 'two']);
    await service.untilStatus(id, 'waiting_approval');
    await decide(open.find(({ stepId }) => stepId === 'two')?.id ?? '', 'approve');
    await stub.called('/h10');
    expect((await service.execution(id)).status).toBe('running');
    await service.untilStatus(id, 'waiting_approval');
    await decide(open.find(({ stepId }) => stepId === 'one')?.id ?? '', 'approve');
    expect((await service.untilEnded(id)).status).toBe('completed');
  });

  it('H11 closes the gate when the run is cancelled', async () => {
    const { id } = await service.run([gate('g')]);
    const approval = await service.openApproval(id);
    await service.api.post(`/api/executions/${id}/cancel`);
    const late = await decide(approval.id, 'approve');
    expect([late.status, late.body.approvalStatus]).toEqual([409, 'cancelled']);
    expect((await service.untilEnded(id)).status).toBe('cancelled');
    expect((await service.expectGapFreeLog(id)).map(({ kind }) => kind)).toContain('approval.cancelled');
    expect((await service.step(id, 'g')).status).toBe('cancelled');
  });

  it('H12 checks the answer against the form when it is submitted', async () => {
    const { id } = await service.run({
      name: 'H12',
      steps: [gate('g', { form: { type: 'object', required: ['n'], properties: { n: { type: 'number' } } } })],
      output: '{{ outputs.g.answer.n }}',
    });
    const approval = await service.openApproval(id);
    for (const answer of [{}, { n: 'one' }, undefined])
      expect((await decide(approval.id, 'approve', answer === undefined ? {} : { answer })).status).toBe(422);
    expect((await service.approval(approval.id)).status).toBe('pending');
    expect((await decide(approval.id, 'approve', { answer: { n: 1 } })).status).toBe(200);
    expect(await service.untilEnded(id)).toMatchObject({ status: 'completed', output: 1 });
  });

  it("H17 takes an operator's raw signal, named or not", async () => {
    const ana = await service.person('ana17', { role: 'approver' });
    const unnamed = await service.run([gate('g')]);
    const open = await service.openApproval(unnamed.id);
    await signal(unnamed.id, { approvalId: open.id, decision: 'approve', reason: 'from the console' });
    expect((await service.untilEnded(unnamed.id)).status).toBe('completed');
    expect(await service.approval(open.id)).toMatchObject({
      status: 'approved',
      reason: 'from the console',
      votes: [{ via: 'signal', decision: 'approve' }],
    });

    const listed = await service.run([gate('g', { approvers: [ana.email] })]);
    const gated = await service.openApproval(listed.id);
    await signal(listed.id, { approvalId: gated.id, decision: 'approve' });
    await new Promise((resolve) => setTimeout(resolve, 500));
    expect((await service.approval(gated.id)).status).toBe('pending');
    await signal(listed.id, { approvalId: gated.id, decision: 'approve', by: ana.email });
    expect((await service.untilEnded(listed.id)).status).toBe('completed');
    expect((await service.approval(gated.id)).decidedBy).toEqual([{ id: ana.id, name: 'ana17' }]);
  });

  it('H18 keeps a decision made the moment the row is visible, and goes on at once', async () => {
    for (let round = 0; round < 10; round += 1) {
      const { id } = await service.run([gate('g')]);
      const approval = await service.until(
        'the row',
        async () => (await service.api.get<{ items: Approval[] }>(`/api/approvals?executionId=${id}`)).body.items[0],
      );
      const decided = Date.now();
      expect((await decide(approval.id, 'approve')).status).toBe(200);
      expect((await service.untilEnded(id)).status).toBe('completed');
      expect(Date.now() - decided).toBeLessThan(3_000);
    }
  });

  it('H19 refuses a click after a deadline that passed while no worker was up; the run follows', async () => {
    const { id } = await service.run([gate('g', { timeout: '2s' })]);
    const approval = await service.openApproval(id);
    await service.worker.kill();
    await new Promise((resolve) => setTimeout(resolve, Date.parse(approval.deadline ?? '') - Date.now() + 200));
    const late = await decide(approval.id, 'approve');
    expect([late.status, late.body.code, late.body.approvalStatus]).toEqual([409, 'approval_settled', 'expired']);
    expect((await service.approval(approval.id)).status).toBe('expired');
    await service.startWorker();
    expect(await service.untilEnded(id)).toMatchObject({ status: 'failed', error: { code: 'approval_expired' } });
  });
});
