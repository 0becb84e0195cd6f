import { decideGate } from '../../src/store/gates.js';
import { openDatabase } from '../../src/store/database.js';
import type { Approval, Workflow } from '../support/service-shapes.js';
import { type Person, Service } from '../support/service.js';
import { call, gate } from '../support/steps.js';
import { startStubServer, type StubServer } from '../support/stub-server.js';

jest.setTimeout(150_000);

type Decided = {
  approval: Approval;
  code?: string;
  approvalStatus?: string;
  decidedBy?: { id: string; name: string }[];
  decidedAt?: string;
};

describe('decisions that race', () => {
  let stub: StubServer;
  let service: Service;
  let people: Person[];
  beforeAll(async () => {
    stub = await startStubServer();
    service = await Service.start();
    people = await Promise.all(['ana', 'bo', 'cy', 'di', 'ed'].map((name) => service.person(name, { role: 'approver' })));
  });
  afterAll(async () => {
    await service?.close();
    await stub?.close();
  });
  const decide = (id: string, decision: 'approve' | 'deny', client = service.api) =>
    client.post<Decided>(`/api/approvals/${id}/${decision}`, {});

  it('H4 of 50 opposite ones at once on one gate one wins; 49 learn who decided and when, also while no worker is up', async () => {
    const { id } = await service.run([gate('g', { approvers: people.map(({ email }) => email), onDeny: 'continue' })]);
    const approval = await service.openApproval(id);
    await service.untilStatus(id, 'waiting_approval');
    await service.worker.kill();
    const answers = await Promise.all(
      Array.from({ length: 50 }, (_, n) => decide(approval.id, n % 2 === 0 ? 'approve' : 'deny', people[n % people.length]?.client)),
    );
    const won = answers.filter(({ status }) => status === 200);
    expect(won).toHaveLength(1);
    const row = await service.approval(approval.id);
    expect(row.votes).toHaveLength(1);
    expect(row.decidedBy).toHaveLength(1);
    for (const { body } of answers.filter(({ status }) => status === 409))
      expect(body).toMatchObject({
        code: 'approval_settled',
        approvalStatus: row.status,
        decidedBy: row.decidedBy,
        decidedAt: row.decidedAt,
      });
    expect(answers.filter(({ status }) => status === 409)).toHaveLength(49);
    const { body: audit } = await service.api.get<{ items: { targetId: string; action: string }[] }>('/api/audit?limit=200');
    const actions = audit.items.filter(({ targetId }) => targetId === approval.id).map(({ action }) => action);
    expect(actions.filter((action) => action === 'approval.refused')).toHaveLength(49);
    expect(actions.filter((action) => action !== 'approval.refused')).toHaveLength(1);
    await service.startWorker();
    expect((await service.untilEnded(id)).status).toBe('completed');
    expect((await service.step(id, 'g')).output).toMatchObject({ decision: row.status });
  });

  it('H17 goes on by itself when the signal of a settled gate was lost', async () => {
    const { id } = await service.run([gate('g'), call('after', stub, '/h17')]);
    const approval = await service.openApproval(id);
    await service.untilStatus(id, 'waiting_approval');
    // The row alone, as a gateway leaves it that dies right after its commit.
    const db = openDatabase(service.servers.databaseUrl);
    try {
      const voter = { id: people[0]?.id ?? '', name: 'ana' };
      const vote = { approvalId: approval.id, voter, via: 'http', decision: 'approve', reason: null, answer: null } as const;
      expect(await decideGate(db, { ...vote, refuse: () => undefined })).toMatchObject({ kind: 'voted', settled: true });
    } finally {
      await db.close();
    }
    expect((await service.untilEnded(id)).status).toBe('completed');
    expect(stub.calls('/h17')).toHaveLength(1);
  });

  it('E5, H9 gives 200 gates one outcome each when their answers come at the deadline, behind reminders and escalations', async () => {
    const DEADLINE_MS = 5_000;
    const GATES = 200;
    const [ana, cy] = people as [Person, Person];
    // What a deadline does is the step's choice: half of them fail, half go on as denied.
    const [failing, denying] = (await Promise.all(
      ['fail', 'deny'].map((onTimeout) =>
        service.save({
          name: `E5 ${onTimeout}`,
          steps: [
            gate('g', {
              approvers: [ana.email],
              timeout: `${DEADLINE_MS}ms`,
              onTimeout,
              onDeny: 'continue',
              remind: ['2s'],
              escalate: { after: '3s', to: [cy.email] },
            }),
            call('after', stub, '/e5', { when: "outputs.g.decision == 'approved'" }),
          ],
          output: '{{ outputs.g }}',
        }),
      ),
    )) as [Workflow, Workflow];
    const clicks: Promise<{ approval: Approval; answer: Awaited<ReturnType<typeof decide>> }>[] = [];
    const seen = new Set<string>();
    const click = async (approval: Approval, n: number) => {
      // Spread over 40 ms; the way to the row takes some, too.
      const at = Date.parse(approval.deadline ?? '') + (n % 41) - 45;
      await new Promise((resolve) => setTimeout(resolve, at - Date.now()));
      return { approval, answer: await decide(approval.id, 'approve', ana.client) };
    };
    const watch = async (): Promise<void> => {
      while (seen.size < GATES) {
        const { body } = await service.api.get<{ items: (Approval & { workflowName: string })[] }>('/api/approvals?limit=200');
        for (const approval of body.items.filter(({ id, workflowName }) => workflowName.startsWith('E5 ') && !seen.has(id))) {
          seen.add(approval.id);
          clicks.push(click(approval, seen.size));
        }
        await new Promise((resolve) => setTimeout(resolve, 150));
      }
    };
    const start = async (): Promise<void> => {
      for (let batch = 0; batch < GATES / 10; batch += 1)
        await Promise.all(Array.from({ length: 10 }, (_, n) => service.runSaved((n % 2 === 0 ? failing : denying).id)));
    };
    await Promise.all([start(), watch()]);
    const answered = await Promise.all(clicks);
    expect(answered).toHaveLength(GATES);
    /** A reminder that has so much time until the end is said: it is made within a tenth of a second, on a machine that has nothing else to do. */
    const ENOUGH_MS = 1_900;
    const due = { reminded: 0, escalated: 0 };
    const missed = { reminded: 0, escalated: 0 };
    const counts = { approved: 0, expired: 0, reminded: 0, escalated: 0 };
    const check = async ({ approval, answer }: (typeof answered)[number]): Promise<void> => {
      const ended = await service.untilEnded(approval.executionId ?? '', 60_000);
      const row = await service.approval(approval.id);
      const approved = row.status === 'approved';
      counts[approved ? 'approved' : 'expired'] += 1;
      if (approved) {
        expect([answer.status, row.votes.length]).toEqual([200, 1]);
        expect(ended).toMatchObject({ status: 'completed', output: { decision: 'approved', decidedBy: row.decidedBy } });
        expect(Date.parse(row.decidedAt ?? '')).toBeLessThan(Date.parse(row.deadline ?? ''));
      } else {
        expect([answer.status, answer.body.code, answer.body.approvalStatus]).toEqual([409, 'approval_settled', 'expired']);
        expect([row.status, row.votes]).toEqual(['expired', []]);
        expect(ended).toMatchObject(
          ended.workflowId === failing.id
            ? { status: 'failed', error: { code: 'approval_expired', stepId: 'g' } }
            : { status: 'completed', output: { decision: 'denied', decidedBy: [] } },
        );
      }
      const events = await service.events(ended.id);
      const of = (kind: string) => events.filter((event) => event.kind === kind);
      expect(of('approval.approved').length + of('approval.expired').length).toBe(1);
      // Said once at most, never before it is due, never from the gate's end on.
      const deadlineMs = Date.parse(row.deadline ?? '');
      const endMs = Math.min(deadlineMs, Date.parse(row.decidedAt ?? ''));
      for (const [nudge, afterMs] of [
        ['reminded', 2_000],
        ['escalated', 3_000],
      ] as const) {
        const dueMs = deadlineMs - DEADLINE_MS + afterMs;
        const said = of(`approval.${nudge}`).map(({ at }) => Date.parse(at));
        expect(said.length).toBeLessThanOrEqual(1);
        for (const atMs of said) expect([atMs >= dueMs, atMs <= endMs, atMs < deadlineMs]).toEqual([true, true, true]);
        counts[nudge] += said.length;
        if (endMs - Math.max(dueMs, Date.parse(row.createdAt)) < ENOUGH_MS) continue;
        due[nudge] += 1;
        missed[nudge] += 1 - said.length;
      }
    };
    for (let first = 0; first < GATES; first += 10) await Promise.all(answered.slice(first, first + 10).map(check));
    console.log(`E5: ${JSON.stringify(counts)}, due in time ${JSON.stringify(due)}, missed ${JSON.stringify(missed)}`);
    expect(stub.calls('/e5')).toHaveLength(counts.approved);
    // All of them, on a machine with time; one that is seconds behind opens gates that are nearly over.
    expect(Math.min(counts.reminded, counts.escalated)).toBeGreaterThan(0);
    for (const nudge of ['reminded', 'escalated'] as const) expect(missed[nudge]).toBeLessThanOrEqual(due[nudge] / 5);
  });
});
