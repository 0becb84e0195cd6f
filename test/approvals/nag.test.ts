import type { Approval, LoggedEvent } from '../support/service-shapes.js';
import { type Person, Service } from '../support/service.js';
import { call, gate } from '../support/steps.js';
import { startStubServer, type StubServer } from '../support/stub-server.js';

jest.setTimeout(90_000);

describe('H13 a gate that nobody decides', () => {
  let stub: StubServer;
  let service: Service;
  let ana: Person;
  let cy: Person;
  beforeAll(async () => {
    stub = await startStubServer();
    service = await Service.start();
    [ana, cy] = await Promise.all([service.person('ana', { role: 'approver' }), service.person('cy', { role: 'approver' })]);
  });
  beforeEach(() => stub.clear());
  afterAll(async () => {
    await service?.close();
    await stub?.close();
  });

  const nagging = (path: string, fields: object = {}) =>
    gate('g', {
      approvers: [ana.email],
      notify: `webhook:${stub.url}${path}`,
      remind: ['1s'],
      escalate: { after: '2s', to: [cy.email] },
      ...fields,
    });
  const approve = (id: string, person: Person) =>
    person.client.post<{ approval: Approval; code?: string }>(`/api/approvals/${id}/approve`, {});
  const eventsOf = (path: string) => stub.calls(path).map(({ json }) => (json as { event: string }).event);
  const nudges = (events: readonly LoggedEvent[]) =>
    events.filter(({ kind }) => kind === 'approval.reminded' || kind === 'approval.escalated');
  const gateOf = (id: string) => service.openApproval(id);

  it('reminds after a second and escalates after two; then the others may decide, too', async () => {
    const { id } = await service.run([nagging('/nag'), call('after', stub, '/after')]);
    const approval = await gateOf(id);
    const escalated = await service.untilKind(id, 'approval.escalated');
    const opened = Date.parse(approval.deadline ?? '') - 24 * 3_600_000;
    const reminder = (await service.events(id)).find(({ kind }) => kind === 'approval.reminded');
    expect([reminder?.kind, reminder?.stepId, reminder?.data['reminder'], escalated.data['to']]).toEqual([
      'approval.reminded',
      'g',
      1,
      [cy.email],
    ]);
    for (const [at, due] of [
      [reminder?.at ?? '', opened + 1_000],
      [escalated.at, opened + 2_000],
    ] as const) {
      expect(Date.parse(at) - due).toBeGreaterThanOrEqual(-5);
      // A second, and what a busy machine adds.
      expect(Date.parse(at) - due).toBeLessThan(4_000);
    }
    expect(await service.approval(approval.id)).toMatchObject({ status: 'pending', approvers: [ana.email], escalatedTo: [cy.email] });
    const mine = await cy.client.get<{ items: Approval[] }>('/api/approvals?mine=true&status=pending');
    expect(mine.body.items.map((item) => item.id)).toContain(approval.id);
    // What is decided before it is told is not told any more.
    await stub.called('/nag', 3);
    expect((await approve(approval.id, cy)).body.approval).toMatchObject({ status: 'approved', decidedBy: [{ id: cy.id }] });
    expect(eventsOf('/nag').toSorted((a, b) => a.localeCompare(b))).toEqual([
      'approval.escalated',
      'approval.reminded',
      'approval.required',
    ]);
    const told = ['required', 'reminded', 'escalated'].map((cause) => ({
      target: `webhook:${stub.url}`,
      cause,
      status: 'told',
      failure: null,
      createdAt: expect.stringMatching(/Z$/),
    }));
    await service.until('all to be noted', async () =>
      ((await service.approval(approval.id)) as Approval & { notices: { status: string }[] }).notices.every(
        ({ status }) => status === 'told',
      )
        ? true
        : undefined,
    );
    expect(await service.approval(approval.id)).toMatchObject({ notices: told });
    expect((await service.untilEnded(id)).status).toBe('completed');
    await service.expectGapFreeLog(id);
  });

  it('is nobody else’s before the escalation', async () => {
    const { id } = await service.run([nagging('/quiet', { escalate: { after: '1h', to: [cy.email] } })]);
    const approval = await gateOf(id);
    expect((await approve(approval.id, cy)).status).toBe(404);
    expect((await approve(approval.id, ana)).status).toBe(200);
  });

  it('still lets the first approvers decide after the escalation', async () => {
    const { id } = await service.run([nagging('/first')]);
    const approval = await gateOf(id);
    await service.untilKind(id, 'approval.escalated');
    expect((await approve(approval.id, ana)).body.approval).toMatchObject({ status: 'approved', decidedBy: [{ id: ana.id }] });
    expect((await service.untilEnded(id)).status).toBe('completed');
  });

  it('reminds and escalates once each while no worker is up, over a restart of the gateway and while the run is paused', async () => {
    const { id } = await service.run([nagging('/alone', { remind: ['3s'], escalate: { after: '4s', to: [cy.email] } })]);
    const approval = await gateOf(id);
    await stub.called('/alone');
    await service.api.post(`/api/executions/${id}/pause`);
    await service.worker.kill();
    await service.gateway.kill();
    await service.startGateway();
    const all = ['approval.required', 'approval.reminded', 'approval.escalated'];
    // What was under way when the gateway died is told again, under its key.
    await service.until('all to be told', async () => (all.every((event) => eventsOf('/alone').includes(event)) ? true : undefined));
    expect(new Set(stub.calls('/alone').map(({ headers }) => headers['idempotency-key'])).size).toBe(3);
    expect(nudges(await service.events(id)).map(({ kind }) => kind)).toHaveLength(2);
    expect((await approve(approval.id, cy)).status).toBe(200);
    await service.startWorker();
    await service.api.post(`/api/executions/${id}/resume`);
    expect((await service.untilEnded(id)).status).toBe('completed');
  });

  it('says nothing more at its deadline, or after it', async () => {
    const expired = await service.run([nagging('/expired', { timeout: '1s', remind: ['1s', '2s'] })]);
    expect(await service.untilEnded(expired.id)).toMatchObject({ error: { code: 'approval_expired' } });
    const last = await service.run([nagging('/last')]);
    await service.untilKind(last.id, 'approval.escalated');
    expect(nudges(await service.events(expired.id))).toEqual([]);
    expect(eventsOf('/expired')).toEqual(['approval.required']);
    await approve((await gateOf(last.id)).id, ana);
  });

  it('tells the chat of the run and the agent of the owner', async () => {
    const { id } = await service.run([gate('g', { prompt: 'Deploy 1.2?', notify: ['chat', 'orchestrator'] })]);
    const approval = await gateOf(id);
    const { sessionId } = await service.execution(id);
    const sessions = await service.api.get<{ items: { id: string; kind: string }[] }>('/api/sessions?limit=200');
    const orchestrator = sessions.body.items.find(({ kind }) => kind === 'orchestrator')?.id ?? '';
    for (const session of [sessionId, orchestrator])
      await service.until(`a message in ${session}`, async () => {
        const { body } = await service.api.get<{ items: { content: string }[] }>(`/api/sessions/${session}/messages`);
        return body.items.some(({ content }) => content.startsWith('Approval needed: Deploy 1.2?')) ? true : undefined;
      });
    await service.api.post(`/api/approvals/${approval.id}/approve`);
    expect((await service.untilEnded(id)).status).toBe('completed');
  });

  it('fails a gate whose targets are none, rather than waiting where nobody knows', async () => {
    const { id } = await service.run({
      name: 'H13 nowhere',
      variables: { to: { type: 'string', default: 'pigeon' } },
      steps: [gate('g', { notify: '{{ variables.to }}' })],
    });
    expect(await service.untilEnded(id)).toMatchObject({ status: 'failed', error: { code: 'expression_error', stepId: 'g' } });
  });
});
