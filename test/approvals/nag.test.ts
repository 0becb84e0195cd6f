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
    expect((await approve(approval.id, cy)).status).toBe(404);
    const escalated = await service.untilKind(id, 'approval.escalated');
    const opened = Date.parse(approval.deadline ?? '') - 24 * 3_600_000;
    const [reminder] = nudges(await service.events(id));
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
      expect(Date.parse(at) - due).toBeLessThan(1_000);
    }
    expect(await service.approval(approval.id)).toMatchObject({ status: 'pending', approvers: [ana.email], escalatedTo: [cy.email] });
    const mine = await cy.client.get<{ items: Approval[] }>('/api/approvals?mine=true&status=pending');
    expect(mine.body.items.map((item) => item.id)).toContain(approval.id);
    expect((await approve(approval.id, cy)).body.approval).toMatchObject({ status: 'approved', decidedBy: [{ id: cy.id }] });
    await stub.called('/nag', 3);
    expect(eventsOf('/nag')).toEqual(['approval.required', 'approval.reminded', 'approval.escalated']);
    expect((await service.untilEnded(id)).status).toBe('completed');
    await service.expectGapFreeLog(id);
  });

  it('still lets the first approvers decide after the escalation', async () => {
    const { id } = await service.run([nagging('/first')]);
    const approval = await gateOf(id);
    await service.untilKind(id, 'approval.escalated');
    expect((await approve(approval.id, ana)).body.approval).toMatchObject({ status: 'approved', decidedBy: [{ id: ana.id }] });
    expect((await service.untilEnded(id)).status).toBe('completed');
  });

  it('reminds and escalates once each while no worker is up, over a restart of the gateway and while the run is paused', async () => {
    const { id } = await service.run([nagging('/alone', { remind: ['1s', '3s'] })]);
    const approval = await gateOf(id);
    await stub.called('/alone');
    await service.api.post(`/api/executions/${id}/pause`);
    await service.worker.kill();
    await service.gateway.kill();
    await service.startGateway();
    await stub.called('/alone', 4);
    expect(eventsOf('/alone').toSorted()).toEqual(['approval.escalated', 'approval.reminded', 'approval.reminded', 'approval.required']);
    expect(nudges(await service.events(id))).toHaveLength(3);
    expect((await approve(approval.id, cy)).status).toBe(200);
    await service.startWorker();
    await service.api.post(`/api/executions/${id}/resume`);
    expect((await service.untilEnded(id)).status).toBe('completed');
  });

  it('says nothing more once it is decided, or at its deadline', async () => {
    const decided = await service.run([nagging('/decided')]);
    await approve((await gateOf(decided.id)).id, ana);
    const expired = await service.run([nagging('/expired', { timeout: '1s', remind: ['1s', '2s'] })]);
    expect(await service.untilEnded(expired.id)).toMatchObject({ error: { code: 'approval_expired' } });
    const last = await service.run([nagging('/last')]);
    await service.untilKind(last.id, 'approval.escalated');
    for (const { id } of [decided, expired]) expect(nudges(await service.events(id))).toEqual([]);
    expect([...eventsOf('/decided'), ...eventsOf('/expired')]).toEqual(['approval.required', 'approval.required']);
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
