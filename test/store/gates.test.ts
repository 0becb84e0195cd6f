import { setTimeout as delay } from 'node:timers/promises';
import { readEvents } from '../../src/store/event-log.js';
import { listGates } from '../../src/store/gate-list.js';
import { hasVoted } from '../../src/store/gate-rules.js';
import { closeGate, decideGate, getGate, openGate, type GateDecision, type NewGate } from '../../src/store/gates.js';
import { recordEvents } from '../../src/store/projection.js';
import { overdueGates, undeliveredGates } from '../../src/store/reconcile-queries.js';
import { getStep } from '../../src/store/step-list.js';
import { createUser } from '../../src/store/users.js';
import { aCarry, anEngineEvent, anInstance, aNewGate, started, useDatabase } from './builders.js';

type Refusal = 'settled' | 'already_voted';

describe('a gate', () => {
  const { db } = useDatabase(20);

  async function aGate(overrides: Partial<NewGate> = {}, execution?: Awaited<ReturnType<typeof started>>) {
    const of = execution ?? (await started(db()));
    const opened = await openGate(db(), aNewGate(of, overrides));
    if (opened.kind !== 'gate') throw new Error('The gate did not open');
    return opened.gate;
  }
  const aDecision = (approvalId: string, overrides: Partial<GateDecision<Refusal>> = {}): GateDecision<Refusal> => {
    const voter = overrides.voter ?? { id: 'usr_ana', name: 'Ana' };
    return {
      approvalId,
      voter,
      via: 'http',
      decision: 'approve',
      reason: null,
      answer: null,
      refuse: ({ gate }) => (gate.status !== 'pending' ? 'settled' : hasVoted(gate, voter.id) ? 'already_voted' : undefined),
      ...overrides,
    };
  };
  const person = (id: string) => ({ voter: { id, name: id } });

  it('opens once for its step instance, with the events', async () => {
    const execution = await started(db());
    const [first, second] = await Promise.all([aGate({}, execution), aGate({}, execution)]);
    expect(first.id).toBe(second.id);
    expect((await readEvents(db(), execution.id, 1, 10)).map((event) => event.kind)).toEqual([
      'step.started',
      'approval.required',
      'step.waiting',
    ]);
    expect(await getStep(db(), execution.id, anInstance({ stepId: 'gate' }))).toMatchObject({
      status: 'waiting_approval',
      input: { v: { prompt: 'Deploy?' } },
    });
  });

  it('H18: answers an opening that is tried again with the decision that came meanwhile', async () => {
    const execution = await started(db());
    const gate = await aGate({}, execution);
    await decideGate(db(), aDecision(gate.id));
    expect(await aGate({}, execution)).toMatchObject({ id: gate.id, status: 'approved', decidedBy: [{ id: 'usr_ana' }] });
    expect((await readEvents(db(), execution.id, 0, 20)).filter(({ kind }) => kind === 'approval.required')).toHaveLength(1);
  });

  it('is settled by one approval, with who, when and the answer', async () => {
    const gate = await aGate();
    const result = await decideGate(db(), aDecision(gate.id, { reason: 'fine', answer: { v: { n: 1 } } }));
    expect(result).toMatchObject({
      kind: 'voted',
      settled: true,
      gate: { status: 'approved', decidedBy: [{ id: 'usr_ana', name: 'Ana' }], reason: 'fine', answer: { v: { n: 1 } } },
    });
    expect((await readEvents(db(), gate.executionId ?? '', 4, 10)).map((event) => event.kind)).toEqual([
      'approval.voted',
      'approval.approved',
    ]);
  });

  it('H6: counts distinct people for the quorum; one denial settles', async () => {
    const gate = await aGate({ quorum: 2 });
    expect(await decideGate(db(), aDecision(gate.id, person('usr_ana')))).toMatchObject({
      kind: 'voted',
      settled: false,
      gate: { status: 'pending' },
    });
    expect(await decideGate(db(), aDecision(gate.id, person('usr_ana')))).toMatchObject({ kind: 'refused', refusal: 'already_voted' });
    expect(await decideGate(db(), aDecision(gate.id, person('usr_bo')))).toMatchObject({
      settled: true,
      gate: { status: 'approved', decidedBy: [{ id: 'usr_ana' }, { id: 'usr_bo' }] },
    });
    const denied = await aGate({ quorum: 2 });
    await decideGate(db(), aDecision(denied.id, person('usr_ana')));
    expect(await decideGate(db(), aDecision(denied.id, { ...person('usr_bo'), decision: 'deny' }))).toMatchObject({
      settled: true,
      gate: { status: 'denied', decidedBy: [{ id: 'usr_bo' }] },
    });
  });

  it('H4: has one outcome of 50 opposite decisions at once, and the rest learn it', async () => {
    const gate = await aGate();
    const results = await Promise.all(
      Array.from({ length: 50 }, (_, index) =>
        decideGate(db(), aDecision(gate.id, { ...person(`usr_${index}`), decision: index % 2 === 0 ? 'approve' : 'deny' })),
      ),
    );
    expect(results.filter((result) => result.kind === 'voted')).toHaveLength(1);
    const now = await getGate(db(), gate.id);
    expect(now?.votes).toHaveLength(1);
    for (const result of results)
      if (result.kind === 'refused')
        expect(result.gate).toMatchObject({ status: now?.status, decidedBy: now?.decidedBy, decidedAt: now?.decidedAt });
    const ends = (await readEvents(db(), gate.executionId ?? '', 0, 200)).filter(
      (event) => event.kind === 'approval.approved' || event.kind === 'approval.denied',
    );
    expect(ends).toHaveLength(1);
  });

  it("H19: expires by PostgreSQL's clock, whoever comes, and records no vote", async () => {
    const gate = await aGate({ deadlineAt: Date.now() - 1 });
    expect(await decideGate(db(), aDecision(gate.id))).toMatchObject({
      kind: 'refused',
      refusal: 'settled',
      gate: { status: 'expired', votes: [], decidedBy: [] },
    });
    expect((await readEvents(db(), gate.executionId ?? '', 4, 10)).map((event) => event.kind)).toEqual(['approval.expired']);
  });

  it('H9: has one outcome when clicks and the timer meet at the deadline', async () => {
    const deadlineAt = Date.now() + 400;
    const gates = await Promise.all(Array.from({ length: 40 }, () => aGate({ deadlineAt })));
    await delay(deadlineAt - Date.now() - 20);
    const results = await Promise.all(
      gates.map(async (gate, index) => {
        await delay(index);
        const [click, closed] = await Promise.all([
          decideGate(db(), aDecision(gate.id)),
          delay(20).then(() => closeGate(db(), { approvalId: gate.id, to: 'expired' })),
        ]);
        return { click, closed };
      }),
    );
    for (const { click, closed } of results) {
      expect(closed?.status).toBe(click.kind === 'voted' ? 'approved' : 'expired');
      if (click.kind === 'voted') expect(Date.parse(click.gate.decidedAt ?? '')).toBeLessThan(deadlineAt);
    }
  });

  it('lets the timer expire it without asking a clock, and a decision that came first stand', async () => {
    const gate = await aGate();
    await decideGate(db(), aDecision(gate.id));
    expect(await closeGate(db(), { approvalId: gate.id, to: 'expired' })).toMatchObject({ status: 'approved' });
    const untouched = await aGate();
    expect(await closeGate(db(), { approvalId: untouched.id, to: 'expired', carry: aCarry() })).toMatchObject({ status: 'expired' });
  });

  it('is not found by a signal to another execution', async () => {
    const gate = await aGate();
    expect(await decideGate(db(), aDecision(gate.id, { executionId: 'exe_other' }))).toEqual({ kind: 'not_found' });
  });

  it("lets the engine end the step's row after its own opening", async () => {
    const gate = await aGate();
    const done = anEngineEvent({
      instance: anInstance({ stepId: 'gate' }),
      stepType: 'approval',
      record: { output: { v: { decision: 'approved' } } },
    });
    await recordEvents(db(), gate.executionId ?? '', aCarry({ events: [done] }));
    expect(await getStep(db(), gate.executionId ?? '', anInstance({ stepId: 'gate' }))).toMatchObject({
      status: 'completed',
      output: { v: { decision: 'approved' } },
    });
  });

  it('tells the reconciler what is overdue and what was settled but not delivered', async () => {
    const overdue = await aGate({ deadlineAt: Date.now() - 1 });
    const settled = await aGate();
    await decideGate(db(), aDecision(settled.id));
    expect(await overdueGates(db(), 100)).toContain(overdue.id);
    expect((await undeliveredGates(db(), 0, 100)).map((gate) => gate.id)).toContain(settled.id);
  });

  describe('in lists', () => {
    const viewer = (userId: string, overrides: object = {}) => ({
      userId,
      email: `${userId}@x.io`,
      groups: [],
      isAdmin: false,
      ...overrides,
    });
    const seenBy = async (userId: string, overrides: object = {}, mine = false) =>
      (await listGates(db(), { viewer: viewer(userId, overrides), limit: 100, mine })).items.map((gate) => gate.id);

    it('S2: is seen by owner, approvers and admins, and by nobody else', async () => {
      const execution = await started(db(), { ownerId: 'usr_own' });
      const gate = await aGate({ approvers: ['usr_cy', 'Di@X.io', 'group:ops'] }, execution);
      expect(await seenBy('usr_own')).toEqual([gate.id]);
      expect(await seenBy('usr_cy')).toEqual([gate.id]);
      expect(await seenBy('usr_d', { email: 'di@x.io' })).toEqual([gate.id]);
      expect(await seenBy('usr_e', { groups: ['ops'] })).toContain(gate.id);
      expect(await seenBy('usr_f', { isAdmin: true })).toContain(gate.id);
      expect(await seenBy('usr_g', { groups: ['dev'] })).toEqual([]);
      expect(await seenBy('usr_own', {}, true)).toEqual([]);
      expect(await seenBy('usr_cy', {}, true)).toEqual([gate.id]);
    });

    it("is seen by the owner's team when it names no approvers", async () => {
      const owner = await createUser(db(), { name: 'Own', email: 'team-owner@x.io', role: 'editor', groups: ['red'] });
      const gate = await aGate({}, await started(db(), { ownerId: owner.id }));
      expect(await seenBy('usr_mate', { groups: ['red'] }, true)).toEqual([gate.id]);
      expect(await seenBy('usr_blue', { groups: ['blue'] })).toEqual([]);
    });

    it('H2: is found on the execution above its own, at any depth', async () => {
      const top = await started(db(), { ownerId: 'usr_deep' });
      const link = (executionId: string) => ({
        parent: { executionId, stepId: 'sub', iterationPath: '', attempt: 1, awaited: true },
        ownerId: 'usr_deep',
      });
      const middle = await started(db(), link(top.id));
      const gate = await aGate({}, await started(db(), link(middle.id)));
      const found = await listGates(db(), { viewer: viewer('usr_deep'), executionId: top.id, status: 'pending', limit: 10 });
      expect(found.items.map(({ id }) => id)).toEqual([gate.id]);
    });
  });
});
