import { readEvents } from '../../src/store/event-log.js';
import { gatesToNudge, nudgeGate } from '../../src/store/gate-nudges.js';
import { adoptPost, claimPosts, readAgenda, postDone, postFailed, type PostRecord } from '../../src/store/gate-posts.js';
import { closeGate, decideGate, getGate, openGate, type NewGate } from '../../src/store/gates.js';
import { beginCancel } from '../../src/store/end-execution.js';
import { aNewGate, started, useDatabase } from './builders.js';

const NOW = Date.now();
const PAST = NOW - 1_000;
const LATER = NOW + 60_000;

describe('what a gate says by itself', () => {
  const { db } = useDatabase(20);

  async function aGate(notice: NonNullable<NewGate['notice']>, overrides: Partial<NewGate> = {}) {
    const execution = await started(db());
    const opened = await openGate(db(), aNewGate(execution, { deadlineAt: LATER, notice, ...overrides }));
    if (opened.kind !== 'gate') throw new Error('The gate did not open');
    return opened.gate;
  }
  const notice = (overrides: Partial<NonNullable<NewGate['notice']>> = {}) => ({ targets: [], remindAt: [], ...overrides });
  const kinds = async (executionId: string | null) => (await readEvents(db(), executionId ?? '', 0, 50)).map(({ kind }) => kind);
  const due = async (approvalId: string) => (await gatesToNudge(db(), 500)).includes(approvalId);
  const vote = (approvalId: string, voter = 'ana') =>
    decideGate(db(), {
      approvalId,
      voter: { id: voter, name: voter },
      via: 'slack',
      decision: 'approve',
      reason: null,
      answer: null,
      refuse: ({ gate }) => (gate.status === 'pending' ? undefined : 'settled'),
    });

  describe('nudges (H13)', () => {
    it('reminds once each time, whoever asks and however many at once', async () => {
      const gate = await aGate(notice({ remindAt: [PAST, LATER - 1] }));
      expect(await due(gate.id)).toBe(true);
      const all = await Promise.all(Array.from({ length: 8 }, () => nudgeGate(db(), gate.id)));
      expect(all.filter((one) => one !== undefined)).toEqual([expect.objectContaining({ reminded: 1 })]);
      expect(await due(gate.id)).toBe(false);
      expect((await kinds(gate.executionId)).filter((kind) => kind === 'approval.reminded')).toHaveLength(1);
      expect((await readAgenda(db())).nudgeInMs).toBeLessThanOrEqual(60_000);
    });

    it('makes one reminder of those that fell due while nobody looked', async () => {
      const gate = await aGate(notice({ remindAt: [PAST, PAST - 2_000, PAST - 1_000] }));
      expect(await nudgeGate(db(), gate.id)).toMatchObject({ reminded: 3 });
      expect((await kinds(gate.executionId)).filter((kind) => kind === 'approval.reminded')).toHaveLength(1);
    });

    it('escalates: the others may decide, the first approvers still may', async () => {
      const gate = await aGate(notice({ escalate: { at: PAST, to: ['cy', 'group:ops'] } }), { approvers: ['ana'] });
      expect(await nudgeGate(db(), gate.id)).toMatchObject({ escalatedTo: ['cy', 'group:ops'] });
      expect(await getGate(db(), gate.id)).toMatchObject({ approvers: ['ana'], escalatedTo: ['cy', 'group:ops'], status: 'pending' });
      const events = await readEvents(db(), gate.executionId ?? '', 0, 50);
      expect(events.at(-1)).toMatchObject({
        kind: 'approval.escalated',
        stepId: 'gate',
        data: { approvalId: gate.id, to: ['cy', 'group:ops'] },
      });
    });

    it.each<[string, number, number, readonly string[]]>([
      ['reminder', PAST - 1, PAST, ['approval.reminded', 'approval.escalated']],
      ['escalation', PAST, PAST - 1, ['approval.escalated', 'approval.reminded']],
    ])('makes what fell due together in its order: the %s first', async (_what, remindAt, escalateAt, expected) => {
      const gate = await aGate(notice({ remindAt: [remindAt], escalate: { at: escalateAt, to: ['cy'] } }));
      await nudgeGate(db(), gate.id);
      expect((await kinds(gate.executionId)).slice(-2)).toEqual(expected);
    });

    it.each([
      ['decided', (id: string) => vote(id)],
      ['expired', (id: string) => closeGate(db(), { approvalId: id, to: 'expired' })],
    ])('says nothing of a gate that is %s', async (_how, end) => {
      const gate = await aGate(notice({ remindAt: [PAST], escalate: { at: PAST, to: ['cy'] } }));
      await end(gate.id);
      expect(await due(gate.id)).toBe(false);
      expect(await nudgeGate(db(), gate.id)).toBeUndefined();
      expect(await kinds(gate.executionId)).not.toEqual(expect.arrayContaining(['approval.reminded']));
    });

    it('says nothing of a gate at its deadline, which is about to expire', async () => {
      const gate = await aGate(notice({ remindAt: [PAST - 1] }), { deadlineAt: PAST });
      expect(await nudgeGate(db(), gate.id)).toBeUndefined();
      expect(await due(gate.id)).toBe(false);
      expect(await kinds(gate.executionId)).not.toContain('approval.reminded');
    });
  });

  describe('posts', () => {
    /** The claims on this gate's posts; what other tests left is put back untouched by its lease. */
    const claimed = async (approvalId: string): Promise<PostRecord[]> =>
      [...(await claimPosts(db(), 500, 'slack')), ...(await claimPosts(db(), 500, 'others'))]
        .filter((post) => post.approvalId === approvalId)
        .toSorted((a, b) => a.target.localeCompare(b.target));
    const one = async (approvalId: string): Promise<PostRecord> => {
      const [post] = await claimed(approvalId);
      if (post === undefined) throw new Error('Nothing was due');
      return post;
    };
    const place = { channel: 'C1', ts: '1.1' };

    it('is one for each target, each claimed by one', async () => {
      const gate = await aGate(notice({ targets: ['slack:C1', 'webhook:https://x.test/a', 'chat'] }));
      const claims = (await Promise.all(Array.from({ length: 5 }, () => claimed(gate.id)))).flat();
      expect(claims.map(({ target }) => target).toSorted()).toEqual(['chat', 'slack:C1', 'webhook:https://x.test/a']);
      expect(new Set(claims.map(({ cause, claim, place: at }) => JSON.stringify([cause, claim, at])))).toEqual(
        new Set(['["required",1,null]']),
      );
    });

    it('leaves what is for Slack when Slack wants to be left alone', async () => {
      const gate = await aGate(notice({ targets: ['slack:C1', 'chat'] }));
      const without = (await claimPosts(db(), 500, 'others')).filter(({ approvalId }) => approvalId === gate.id);
      expect(without.map(({ target }) => target)).toEqual(['chat']);
      expect((await one(gate.id)).target).toBe('slack:C1');
    });

    it('comes again for every outcome, with the place it was put', async () => {
      const ends: Record<string, (id: string, executionId: string) => Promise<unknown>> = {
        approved: (id) => vote(id),
        expired: (id) => closeGate(db(), { approvalId: id, to: 'expired' }),
        cancelled: (_id, executionId) => beginCancel(db(), executionId, { ownerId: null, by: { id: 'usr_1', name: 'x' }, reason: null }),
      };
      for (const end of Object.values(ends)) {
        const gate = await aGate(notice({ targets: ['slack:C1', 'chat'] }));
        for (const post of await claimed(gate.id)) await postDone(db(), post, post.target === 'chat' ? null : place);
        expect(await claimed(gate.id)).toEqual([]);
        await end(gate.id, gate.executionId ?? '');
        const again = await claimed(gate.id);
        expect(again).toMatchObject([{ target: 'slack:C1', place, wanted: 2 }]);
        for (const post of again) await postDone(db(), post);
        expect(await claimed(gate.id)).toEqual([]);
      }
    });

    it('comes again for a vote that settles nothing, and for an escalation', async () => {
      const gate = await aGate(notice({ targets: ['slack:C1'], escalate: { at: PAST, to: ['cy'] } }), { quorum: 2 });
      await postDone(db(), await one(gate.id), place);
      await vote(gate.id);
      await postDone(db(), await one(gate.id));
      await nudgeGate(db(), gate.id);
      expect((await claimed(gate.id)).map(({ cause }) => cause).toSorted()).toEqual(['escalated', 'required']);
    });

    it('is due at once when its gate changed while it was under way', async () => {
      const gate = await aGate(notice({ targets: ['slack:C1'] }));
      const post = await one(gate.id);
      await vote(gate.id);
      expect(await claimed(gate.id)).toEqual([]);
      expect(await postDone(db(), post, place)).toBe(true);
      expect(await one(gate.id)).toMatchObject({ place, wanted: 2 });
    });

    it('is the later claim that counts when the first took too long', async () => {
      const gate = await aGate(notice({ targets: ['slack:C1'] }));
      const slow = await one(gate.id);
      await db().pool.query(`UPDATE gate_posts SET lease_until = now() - interval '1 second' WHERE approval_id = $1`, [gate.id]);
      const quick = await one(gate.id);
      expect(await postDone(db(), quick, place)).toBe(true);
      expect(await postDone(db(), slow, { channel: 'C1', ts: '9.9' })).toBe(false);
      await vote(gate.id);
      expect((await one(gate.id)).place).toEqual(place);
    });

    it('waits after a failure, also when its gate changes meanwhile; one given up comes back with a change', async () => {
      const waiting = await aGate(notice({ targets: ['slack:C1'] }));
      await postFailed(db(), await one(waiting.id), 'ratelimited', 60_000);
      await vote(waiting.id);
      expect(await claimed(waiting.id)).toEqual([]);
      const given = await aGate(notice({ targets: ['slack:C1'] }));
      await postFailed(db(), await one(given.id), 'channel_not_found', null);
      expect(await claimed(given.id)).toEqual([]);
      await vote(given.id);
      expect(await one(given.id)).toMatchObject({ failures: 1, wanted: 2 });
    });

    it('adopts a message that its row had lost, once', async () => {
      const gate = await aGate(notice({ targets: [] }));
      const found = { channel: 'C9', ts: `${NOW}.7` };
      await Promise.all([adoptPost(db(), gate.id, found), adoptPost(db(), gate.id, found)]);
      const post = await one(gate.id);
      expect(post).toMatchObject({ cause: 'found', target: 'slack:C9', place: found });
      await postDone(db(), post);
      await adoptPost(db(), gate.id, found);
      expect(await claimed(gate.id)).toEqual([]);
      await vote(gate.id);
      expect(await claimed(gate.id)).toHaveLength(1);
    });
  });
});
