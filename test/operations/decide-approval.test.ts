import { decideApproval } from '../../src/operations/decide-approval.js';
import type { Principal } from '../../src/operations/principal.js';
import { getApproval, listApprovals } from '../../src/operations/read-approvals.js';
import { listEvents } from '../../src/operations/read-executions.js';
import { readSignalledGate } from '../../src/operations/read-signalled-gate.js';
import { listAudit } from '../../src/store/audit.js';
import { createKey, deleteKey } from '../../src/store/keys.js';
import { statement } from '../../src/store/statement.js';
import { updateUser } from '../../src/store/users.js';
import { aBench, aPerson, type TestBench } from './support.js';
import { anOpenGate, aRunning } from './running.js';

describe('decisions', () => {
  let bench: TestBench;
  let ana: Principal;
  let bo: Principal;
  let stranger: Principal;
  let id: string;
  beforeAll(async () => {
    bench = await aBench({ limits: { activePerUser: 0, active: 0 } });
  });
  beforeEach(async () => {
    const group = `team-${Math.random()}`;
    ana = await aPerson(bench, { groups: [group] });
    bo = await aPerson(bench, { groups: [group], role: 'approver', name: 'Bo' });
    stranger = await aPerson(bench, { role: 'runner' });
    id = await aRunning(bench, ana, 'waiting_approval');
  });
  afterAll(() => bench.close());
  const audited = async (approvalId: string) =>
    (await listAudit(bench.db, { limit: 200 })).items.filter(({ targetId }) => targetId === approvalId);

  it('settles the row at once, tells who, and wakes the workflow (H1)', async () => {
    const gate = await anOpenGate(bench, ana, id);
    const { approval } = await decideApproval(bench, { ...bo, requestId: 'req_1' }, { id: gate.id, decision: 'approve', reason: 'fine' });
    await bench.background.drain();
    expect(approval).toMatchObject({
      status: 'approved',
      decidedBy: [{ id: bo.userId, name: 'Bo' }],
      reason: 'fine',
      answer: null,
      votes: [{ via: 'http', decision: 'approve' }],
    });
    expect(bench.temporal.signalsTo(id, 'approve').map(({ payload }) => payload)).toEqual([{ approvalId: gate.id }]);
    expect((await listEvents(bench, ana, { id, limit: 100 })).items.map(({ kind }) => kind)).toEqual(
      expect.arrayContaining(['approval.required', 'approval.voted', 'approval.approved']),
    );
    expect(await audited(gate.id)).toEqual([expect.objectContaining({ action: 'approval.approve', requestId: 'req_1' })]);
  });

  it('has one outcome of three approvals and a denial at once; the rest learn who decided (H4)', async () => {
    const gate = await anOpenGate(bench, ana, id);
    const people = [ana, bo, await aPerson(bench, { groups: ana.groups }), await aPerson(bench, { groups: ana.groups })];
    const results = await Promise.allSettled(
      people.map((person, n) => decideApproval(bench, person, { id: gate.id, decision: n === 3 ? 'deny' : 'approve' })),
    );
    const won = results.filter(({ status }) => status === 'fulfilled');
    expect(won).toHaveLength(1);
    const { approval } = await getApproval(bench, ana, { id: gate.id });
    for (const result of results) {
      if (result.status === 'rejected')
        expect(result.reason).toMatchObject({
          code: 'approval_settled',
          data: { approvalStatus: approval.status, decidedBy: approval.decidedBy, decidedAt: approval.decidedAt },
        });
    }
  });

  it('tells everyone of 50 opposite decisions but one who decided, also those who had just voted (H4)', async () => {
    for (let round = 0; round < 5; round += 1) {
      const gate = await anOpenGate(bench, ana, id, { instance: { stepId: 'g', iterationPath: `l:i${round}`, attempt: 1 } });
      const results = await Promise.allSettled(
        Array.from({ length: 50 }, (_, n) =>
          decideApproval(bench, n % 3 === 0 ? ana : bo, { id: gate.id, decision: n % 2 === 0 ? 'approve' : 'deny' }),
        ),
      );
      const codes = results.map((result) => (result.status === 'fulfilled' ? 'won' : (result.reason as { code: string }).code));
      expect(codes.toSorted((a, b) => a.localeCompare(b))).toEqual([...Array.from({ length: 49 }, () => 'approval_settled'), 'won']);
    }
  });

  it('refuses the owner where a list does not name them, and writes it down (H5)', async () => {
    const gate = await anOpenGate(bench, ana, id, { approvers: [bo.email.toUpperCase()] });
    await expect(decideApproval(bench, ana, { id: gate.id, decision: 'approve' })).rejects.toMatchObject({ code: 'approver_not_allowed' });
    expect(await audited(gate.id)).toEqual([
      expect.objectContaining({ action: 'approval.refused', details: { code: 'approver_not_allowed', decision: 'approve', via: 'http' } }),
    ]);
    expect((await getApproval(bench, ana, { id: gate.id })).approval).toMatchObject({ status: 'pending', votes: [] });
    await expect(decideApproval(bench, bo, { id: gate.id, decision: 'approve' })).resolves.toMatchObject({
      approval: { status: 'approved' },
    });
  });

  it('counts distinct people; one denial settles (H6)', async () => {
    const gate = await anOpenGate(bench, ana, id, { quorum: 2 });
    expect((await decideApproval(bench, ana, { id: gate.id, decision: 'approve' })).approval.status).toBe('pending');
    await expect(decideApproval(bench, ana, { id: gate.id, decision: 'approve' })).rejects.toMatchObject({ code: 'already_voted' });
    expect((await decideApproval(bench, bo, { id: gate.id, decision: 'approve' })).approval).toMatchObject({
      status: 'approved',
      decidedBy: [{ id: ana.userId }, { id: bo.userId }],
    });
    await expect(decideApproval(bench, ana, { id: gate.id, decision: 'deny' })).rejects.toMatchObject({ code: 'approval_settled' });
    const other = await anOpenGate(bench, ana, id, { quorum: 2, instance: { stepId: 'g', iterationPath: '', attempt: 2 } });
    await decideApproval(bench, ana, { id: other.id, decision: 'approve' });
    expect((await decideApproval(bench, bo, { id: other.id, decision: 'deny' })).approval).toMatchObject({
      status: 'denied',
      decidedBy: [{ id: bo.userId }],
    });
  });

  it('refuses every agent first, whatever the gate, and writes it down (H16)', async () => {
    const agent: Principal = { ...ana, kind: 'agent', role: 'admin' };
    const gate = await anOpenGate(bench, ana, id);
    await expect(decideApproval(bench, agent, { id: gate.id, decision: 'approve' })).rejects.toMatchObject({ code: 'agent_cannot_decide' });
    await expect(decideApproval(bench, agent, { id: 'apr_nobody', decision: 'approve' })).rejects.toMatchObject({
      code: 'agent_cannot_decide',
    });
    expect(await audited(gate.id)).toEqual([
      expect.objectContaining({ details: { code: 'agent_cannot_decide', decision: 'approve', via: 'http' } }),
    ]);
  });

  it('lists as mine nothing for who may decide nothing', async () => {
    const gate = await anOpenGate(bench, ana, id);
    const mine = async (principal: Principal) =>
      (await listApprovals(bench, principal, { limit: 10, mine: true })).items.map((each) => each.id);
    expect(await mine(ana)).toEqual([gate.id]);
    expect(await mine({ ...ana, kind: 'agent' })).toEqual([]);
    expect(await mine({ ...ana, role: 'viewer' })).toEqual([]);
  });

  it('writes a vote down in its own transaction: neither is without the other', async () => {
    const gate = await anOpenGate(bench, ana, id);
    await bench.db.rows(
      statement('no_room', "ALTER TABLE audit_log ADD CONSTRAINT no_room CHECK (action <> 'approval.approve') NOT VALID"),
      [],
    );
    try {
      await expect(decideApproval(bench, ana, { id: gate.id, decision: 'approve' })).rejects.toThrow(/no_room/);
    } finally {
      await bench.db.rows(statement('room', 'ALTER TABLE audit_log DROP CONSTRAINT no_room'), []);
    }
    expect((await getApproval(bench, ana, { id: gate.id })).approval).toMatchObject({ status: 'pending', votes: [] });
  });

  it('knows who decides as they are now, not as they were when they came in', async () => {
    const gate = await anOpenGate(bench, ana, id, { quorum: 3 });
    const withKey = async (): Promise<Principal> => {
      const person = await aPerson(bench, { groups: ana.groups, role: 'approver' });
      const { key } = await createKey(bench.db, {
        userId: person.userId,
        name: 'k',
        role: 'approver',
        kind: 'person',
        scopes: null,
        expiresAt: null,
      });
      return { ...person, keyId: key.id };
    };
    const [gone, out, demoted, revoked, agent, here] = await Promise.all(Array.from({ length: 6 }, withKey));
    await updateUser(bench.db, gone?.userId ?? '', { disabled: true });
    await updateUser(bench.db, out?.userId ?? '', { groups: [] });
    await updateUser(bench.db, demoted?.userId ?? '', { role: 'viewer' });
    await deleteKey(bench.db, null, revoked?.keyId ?? '');
    const codeOf = (principal: Principal | undefined) =>
      decideApproval(bench, principal as Principal, { id: gate.id, decision: 'approve', via: 'web' }).then(
        ({ approval }) => approval.status,
        (error: { code: string }) => error.code,
      );
    expect(await Promise.all([gone, out, demoted, revoked].map(codeOf))).toEqual([
      'unauthenticated',
      'not_found',
      'forbidden',
      'unauthenticated',
    ]);
    // A person's key that an agent acts with stays an agent's.
    expect(await codeOf({ ...(agent as Principal), kind: 'agent' })).toBe('agent_cannot_decide');
    expect(await codeOf(here)).toBe('pending');
    expect((await getApproval(bench, ana, { id: gate.id })).approval.votes).toHaveLength(1);
  });

  it('does not show a gate to a stranger, and shows it to an admin who may not decide it', async () => {
    const gate = await anOpenGate(bench, ana, id);
    const admin = await aPerson(bench, { role: 'admin' });
    await expect(getApproval(bench, stranger, { id: gate.id })).rejects.toMatchObject({ code: 'not_found' });
    await expect(decideApproval(bench, stranger, { id: gate.id, decision: 'approve' })).rejects.toMatchObject({ code: 'not_found' });
    await expect(decideApproval(bench, admin, { id: gate.id, decision: 'approve' })).rejects.toMatchObject({
      code: 'approver_not_allowed',
    });
    await expect(decideApproval(bench, { ...bo, role: 'viewer' }, { id: gate.id, decision: 'approve' })).rejects.toMatchObject({
      code: 'forbidden',
    });
    expect((await listApprovals(bench, stranger, { limit: 10 })).items).toEqual([]);
    expect((await listApprovals(bench, bo, { limit: 10, mine: true })).items.map((each) => each.id)).toEqual([gate.id]);
  });

  it('checks the answer against the form, after everything else (H12)', async () => {
    const gate = await anOpenGate(bench, ana, id, { form: { type: 'object', required: ['n'] } });
    await expect(decideApproval(bench, ana, { id: gate.id, decision: 'approve', answer: {} })).rejects.toMatchObject({
      code: 'validation_failed',
      data: { problems: [expect.objectContaining({ path: '/n' })] },
    });
    expect((await decideApproval(bench, ana, { id: gate.id, decision: 'approve', answer: { n: 1 } })).approval).toMatchObject({
      status: 'approved',
      answer: { n: 1 },
    });
    await expect(decideApproval(bench, bo, { id: gate.id, decision: 'approve', answer: {} })).rejects.toMatchObject({
      code: 'approval_settled',
    });
  });

  it('expires a gate by a click that came too late, and the workflow follows (H8, H19)', async () => {
    const gate = await anOpenGate(bench, ana, id, { deadlineAt: Date.now() - 1 });
    await expect(decideApproval(bench, ana, { id: gate.id, decision: 'approve' })).rejects.toMatchObject({
      code: 'approval_settled',
      data: { approvalStatus: 'expired', decidedBy: [] },
    });
    await bench.background.drain();
    expect(bench.temporal.signalsTo(id, 'approve')).toHaveLength(1);
  });

  it('tells who comes too late that it is over, not that their answer does not fit (H8, H12)', async () => {
    const gate = await anOpenGate(bench, ana, id, { deadlineAt: Date.now() - 1, form: { type: 'object', required: ['n'] } });
    await expect(decideApproval(bench, ana, { id: gate.id, decision: 'approve', answer: {} })).rejects.toMatchObject({
      code: 'approval_settled',
      data: { approvalStatus: 'expired' },
    });
  });

  it('has one outcome each for clicks around the deadline (H9)', async () => {
    const gates = await Promise.all(
      Array.from({ length: 30 }, (_, n) =>
        anOpenGate(bench, ana, id, { deadlineAt: Date.now() + 60, instance: { stepId: 'g', iterationPath: `l:i${n}`, attempt: 1 } }),
      ),
    );
    const clicks = await Promise.all(
      gates.map((gate) =>
        decideApproval(bench, ana, { id: gate.id, decision: 'approve' }).then(
          ({ approval }) => approval.status,
          (error: { code: string }) => error.code,
        ),
      ),
    );
    for (const [n, gate] of gates.entries()) {
      const { status } = (await getApproval(bench, ana, { id: gate.id })).approval;
      expect([status, clicks[n]]).toEqual(status === 'approved' ? ['approved', 'approved'] : ['expired', 'approval_settled']);
    }
  });

  it('writes down every refusal of a gate that there is, with its reason', async () => {
    const form = { type: 'object', required: ['n'] };
    const gate = await anOpenGate(bench, ana, id, { approvers: [ana.userId, bo.userId], quorum: 2, form });
    const viewer = await aPerson(bench, { role: 'viewer' });
    const tries: readonly (readonly [Principal, object, string])[] = [
      [viewer, {}, 'forbidden'],
      [stranger, {}, 'not_found'],
      [bo, { answer: {} }, 'validation_failed'],
      [bo, { answer: { n: 1 } }, 'ok'],
      [bo, { answer: { n: 1 } }, 'already_voted'],
      [ana, { answer: { n: 2 } }, 'ok'],
      [bo, { answer: { n: 1 } }, 'approval_settled'],
    ];
    for (const [person, more, expected] of tries) {
      const code = await decideApproval(bench, person, { id: gate.id, decision: 'approve', via: 'web', ...more }).then(
        () => 'ok',
        (error: { code: string }) => error.code,
      );
      expect(code).toBe(expected);
    }
    const entries = (await audited(gate.id)).toReversed();
    expect(entries.map(({ action, details }) => [action, (details as { code?: string; status?: string }).code ?? 'ok'])).toEqual(
      tries.map(([, , code]) => [code === 'ok' ? 'approval.approve' : 'approval.refused', code]),
    );
    await expect(decideApproval(bench, bo, { id: 'apr_00000000000000000000000000', decision: 'deny' })).rejects.toMatchObject({
      code: 'not_found',
    });
  });

  describe('by a raw signal (H17)', () => {
    const signal = (approvalId: string, more: object = {}) => readSignalledGate(bench, id, { approvalId, decision: 'approve', ...more });

    it('counts as the operator’s vote where no list stands', async () => {
      const gate = await anOpenGate(bench, ana, id);
      expect(await signal(gate.id)).toMatchObject({ status: 'approved', decidedBy: [{ id: 'operator', name: 'Operator' }] });
      expect((await getApproval(bench, ana, { id: gate.id })).approval.votes).toEqual([expect.objectContaining({ via: 'signal' })]);
    });
    it('is one person for the quorum, however often it comes', async () => {
      const gate = await anOpenGate(bench, ana, id, { quorum: 2 });
      await signal(gate.id);
      expect(await signal(gate.id)).toMatchObject({ status: 'pending' });
    });
    it('needs a name that is allowed where a list stands', async () => {
      const gate = await anOpenGate(bench, ana, id, { approvers: [bo.userId] });
      for (const by of [undefined, stranger.userId, 'nobody@example.test', ana.email])
        expect(await signal(gate.id, by === undefined ? {} : { by })).toMatchObject({ status: 'pending' });
      expect(await signal(gate.id, { by: bo.email })).toMatchObject({ status: 'approved', decidedBy: [{ id: bo.userId }] });
    });
    it('is written down, counted or not', async () => {
      const gate = await anOpenGate(bench, ana, id, { approvers: [bo.userId] });
      await signal(gate.id);
      await signal(gate.id, { by: 'nobody@example.test' });
      await signal(gate.id, { by: bo.email });
      const entries = (await audited(gate.id)).map(({ action, actor, details }) => ({ action, actor, details }));
      expect(entries.toReversed()).toEqual([
        {
          action: 'approval.refused',
          actor: { id: 'operator', name: 'Operator', kind: 'signal' },
          details: { code: 'approver_not_allowed', decision: 'approve', via: 'signal' },
        },
        {
          action: 'approval.refused',
          actor: { id: null, name: 'nobody@example.test', kind: 'signal' },
          details: { code: 'approver_not_allowed', decision: 'approve', via: 'signal' },
        },
        {
          action: 'approval.approve',
          actor: { id: bo.userId, name: 'Bo', kind: 'signal' },
          details: { status: 'approved', via: 'signal' },
        },
      ]);
    });
    it('cannot hold up the workflow that reads it, whatever stands in it; a name that is none is nobody’s vote', async () => {
      const gate = await anOpenGate(bench, ana, id);
      for (const by of ['an\u0000a', '', 7, {}, [ana.userId]]) expect(await signal(gate.id, { by })).toMatchObject({ status: 'pending' });
      expect(await audited(gate.id)).toHaveLength(5);
      const reason = 'x'.repeat(1_000_000);
      expect(await signal(gate.id, { by: null, reason })).toMatchObject({ status: 'approved', reason: reason.slice(0, 4_000) });
    });
    it('is read, not believed: a decision of another kind, or with decisions off, only wakes', async () => {
      const gate = await anOpenGate(bench, ana, id);
      expect(await signal(gate.id, { decision: 'maybe' })).toMatchObject({ status: 'pending' });
      expect(await readSignalledGate({ ...bench, signalDecisions: false }, id, { approvalId: gate.id, decision: 'approve' })).toMatchObject(
        { status: 'pending' },
      );
      expect(await audited(gate.id)).toEqual([
        expect.objectContaining({
          action: 'approval.refused',
          details: { code: 'signal_decisions_off', decision: 'approve', via: 'signal' },
        }),
      ]);
    });
    it('finds no gate of another execution', async () => {
      const other = await aRunning(bench, ana);
      const gate = await anOpenGate(bench, ana, other);
      expect(await signal(gate.id)).toBeNull();
      expect((await getApproval(bench, ana, { id: gate.id })).approval.status).toBe('pending');
    });
  });
});
