import { isFromSlack } from '../../src/api/slack/signature.js';
import { cancelExecution } from '../../src/operations/cancel-execution.js';
import { decideApproval } from '../../src/operations/decide-approval.js';
import type { Principal } from '../../src/operations/principal.js';
import { isResponseAddress } from '../../src/realtime/slack/slack-client.js';
import { closeGate } from '../../src/store/gates.js';
import { clickOn, hasButtons, shownBy, signed, type SlackMessage } from '../support/slack-server.js';
import { SECRET, SlackDoor } from './slack-door.js';

const seconds = () => Math.floor(Date.now() / 1000);
let nth = 0;
/** Slack's ids: unique in a database, as users are linked by them. */
const fresh = (letter: 'U' | 'C') => `${letter}${(nth += 1)}X${process.pid}`;

describe('a click in Slack', () => {
  let door: SlackDoor;
  let ana: Principal;
  let bo: Principal;
  let [anaInSlack, boInSlack] = ['', ''];
  beforeAll(async () => {
    door = await SlackDoor.start();
  });
  beforeEach(async () => {
    const group = `team-${fresh('C')}`;
    [anaInSlack, boInSlack] = [fresh('U'), fresh('U')];
    ana = await door.linked(anaInSlack, { groups: [group], name: 'Ana' });
    bo = await door.linked(boInSlack, { groups: [group], name: 'Bo', role: 'approver' });
  });
  afterAll(() => door?.close());

  /** A gate and its message in a channel of its own. */
  async function posted(overrides: Parameters<SlackDoor['gate']>[2] = {}) {
    const channel = fresh('C');
    const gate = await door.gate(ana, [`slack:${channel}`], overrides);
    const [message] = (await door.slack.untilMessages(channel)) as [SlackMessage];
    return { gate, channel, message };
  }
  const rewritten = (channel: string, what: RegExp) =>
    door.slack.until(`a message in ${channel} with ${String(what)}`, () =>
      door.slack.messages(channel).find((message) => what.test(shownBy(message))),
    );

  describe('from whoever it may be (H14)', () => {
    const untouched = async (approvalId: string) => {
      expect(await door.now(approvalId)).toMatchObject({ status: 'pending', votes: [] });
      expect(await door.audited(approvalId)).toEqual([]);
    };

    it.each<[string, (payload: object) => { headers: Record<string, string>; body: string }]>([
      ['with another secret', (payload) => signed('another', payload)],
      ['6 minutes old', (payload) => signed(SECRET, payload, seconds() - 360)],
      ['6 minutes ahead', (payload) => signed(SECRET, payload, seconds() + 360)],
      ['with one byte changed', (payload) => ({ ...signed(SECRET, payload), body: `${signed(SECRET, payload).body}+` })],
      [
        'without a signature',
        (payload) => ({ headers: { 'x-slack-request-timestamp': String(seconds()) }, body: signed(SECRET, payload).body }),
      ],
      [
        'without a time',
        (payload) => ({
          ...signed(SECRET, payload),
          headers: { 'x-slack-signature': signed(SECRET, payload).headers['x-slack-signature'] ?? '' },
        }),
      ],
      [
        'with a time that is none',
        (payload) => ({ ...signed(SECRET, payload), headers: { ...signed(SECRET, payload).headers, 'x-slack-request-timestamp': 'now' } }),
      ],
      [
        'with a short signature',
        (payload) => ({ ...signed(SECRET, payload), headers: { ...signed(SECRET, payload).headers, 'x-slack-signature': 'v0=ab' } }),
      ],
      ['that is no JSON, unsigned', () => ({ headers: { 'x-slack-signature': 'v0=00' }, body: '{' })],
    ])('is 401 %s, and nothing is recorded', async (_what, make) => {
      const { gate, message } = await posted();
      const answer = await door.send(make(clickOn(message, 'Approve', anaInSlack)));
      expect([answer.status, JSON.parse(answer.text)]).toEqual([401, expect.objectContaining({ code: 'unauthenticated' })]);
      await untouched(gate.id);
    });

    it('is 401 whatever it carries where no signing secret is set', async () => {
      const closed = await SlackDoor.start({ signingSecret: null });
      try {
        const { message } = await posted();
        for (const secret of [SECRET, '', 'undefined'])
          expect((await closed.send(signed(secret, clickOn(message, 'Approve', anaInSlack)))).status).toBe(401);
      } finally {
        await closed.close();
      }
    }, 90_000);

    it('needs nothing but an answer when it is signed and not ours', async () => {
      const { gate, message } = await posted();
      const ours = clickOn(message, 'Approve', anaInSlack) as { actions: object[] };
      for (const payload of [
        { type: 'shortcut' },
        { ...ours, actions: [{ action_id: 'other', value: gate.id }] },
        { ...ours, actions: [{ action_id: 'signalbox_approve', value: "apr_'; DROP" }] },
        { ...ours, user: { id: 'U\u00000' } },
        { ...ours, container: { channel_id: 'C\u00000', message_ts: '1.2' } },
        { type: 'view_submission', user: { id: anaInSlack }, view: { callback_id: 'signalbox_answer', private_metadata: 'no json' } },
        {
          type: 'view_submission',
          user: { id: anaInSlack },
          view: { callback_id: 'other', private_metadata: `{"approvalId":"${gate.id}"}` },
        },
      ])
        expect(await door.send(signed(SECRET, payload))).toMatchObject({ status: 200, text: '' });
      expect(
        await door.send(signed(SECRET, { ...ours, actions: [{ action_id: 'signalbox_deny', value: 'apr_00000000000000000000000000' }] })),
      ).toMatchObject({
        status: 200,
      });
      await untouched(gate.id);
    });
  });

  it('of a stranger is told so privately, and written down (H15)', async () => {
    const { gate, message } = await posted();
    const eve = fresh('U');
    expect(await door.click(message, 'Approve', eve)).toMatchObject({ status: 200, text: '' });
    expect(await door.whispered(eve, /not linked/)).toBeDefined();
    expect(await door.now(gate.id)).toMatchObject({ status: 'pending', votes: [] });
    expect(await door.audited(gate.id)).toEqual([
      expect.objectContaining({
        action: 'approval.refused',
        ownerId: ana.userId,
        actor: { id: null, name: `name-of-${eve}`, kind: 'slack', slackUserId: eve },
        details: { code: 'slack_user_unknown', decision: 'approve', via: 'slack' },
      }),
    ]);
  });

  it.each<[string, Parameters<SlackDoor['linked']>[1], RegExp, string]>([
    ['who is not an approver', { name: 'Out' }, /not among those/, 'not_found'],
    ['whose role decides nothing', { name: 'Vi', role: 'viewer' }, /role does not allow/, 'forbidden'],
  ])('of a linked person %s is told so privately, and written down', async (_who, person, said, code) => {
    const { gate, message } = await posted();
    const out = fresh('U');
    await door.linked(out, person);
    expect((await door.click(message, 'Deny', out)).status).toBe(200);
    await door.whispered(out, said);
    expect((await door.now(gate.id))?.status).toBe('pending');
    expect(await door.audited(gate.id)).toEqual([expect.objectContaining({ details: { code, decision: 'deny', via: 'slack' } })]);
  });

  it('approves at once as the linked person; every copy is rewritten with the name, and has no buttons', async () => {
    const channel = fresh('C');
    const gate = await door.gate(ana, [`slack:${channel}`, `slack:${bo.email}`, `slack:${boInSlack}`]);
    const direct = boInSlack.replace(/^U/, 'D');
    const [message] = (await door.slack.untilMessages(channel)) as [SlackMessage];
    await door.slack.untilMessages(direct, 2);
    expect(await door.click(message, 'Approve', boInSlack)).toMatchObject({ status: 200, text: '' });
    expect(await door.now(gate.id)).toMatchObject({
      status: 'approved',
      decidedBy: [{ id: bo.userId, name: 'Bo' }],
      votes: [{ via: 'slack' }],
    });
    await door.slack.until('all copies', () => {
      const copies = [...door.slack.messages(channel), ...door.slack.messages(direct)];
      return copies.length === 3 && copies.every((copy) => shownBy(copy).includes('*Approved* by Bo') && !hasButtons(copy))
        ? true
        : undefined;
    });
    expect(await door.audited(gate.id)).toEqual([
      expect.objectContaining({
        action: 'approval.approve',
        actor: expect.objectContaining({ id: bo.userId }),
        details: { status: 'approved', via: 'slack' },
      }),
    ]);
    expect(door.slack.calls.every(({ token }) => token === 'Bearer xoxb-test')).toBe(true);
  });

  it('counts one vote of one person, shows it in every copy, and tells them how far it is', async () => {
    const { gate, channel, message } = await posted({ quorum: 2 });
    await door.click(message, 'Approve', anaInSlack);
    await door.whispered(anaInSlack, /1 of 2/);
    const voted = await rewritten(channel, /1 of 2 approvals · approved by Ana/);
    expect(hasButtons(voted)).toBe(true);
    await door.click(message, 'Approve', anaInSlack);
    await door.whispered(anaInSlack, /voted on this already/);
    await decideApproval(door.bench, bo, { id: gate.id, decision: 'approve' });
    expect(hasButtons(await rewritten(channel, /Approved\* by Ana, Bo/))).toBe(false);
    expect((await door.now(gate.id))?.votes.map(({ via }) => via)).toEqual(['slack', 'http']);
  });

  it('that comes late is told privately who decided and when, and its copy is put right', async () => {
    const { gate, channel, message } = await posted();
    await door.stopCourier();
    await decideApproval(door.bench, bo, { id: gate.id, decision: 'deny', reason: 'not today' });
    await door.click(message, 'Approve', anaInSlack);
    expect(await door.whispered(anaInSlack, /already denied by Bo/)).toMatch(/<!date\^\d+\^/);
    expect(door.slack.messages(channel)).toMatchObject([{ edits: 0 }]);
    door.startCourier();
    expect(shownBy(await rewritten(channel, /Denied\* by Bo/))).toContain('reason: not today');
  });

  it.each<[string, (approvalId: string, executionId: string) => Promise<unknown>, RegExp]>([
    ['expired', (id) => closeGate(door.bench.db, { approvalId: id, to: 'expired' }), /\*Expired\*/],
    ['cancelled (H11)', (_id, executionId) => cancelExecution(door.bench, ana, { id: executionId }), /\*Cancelled\*/],
    ['denied by HTTP', (id) => decideApproval(door.bench, ana, { id, decision: 'deny' }), /\*Denied\* by Ana/],
  ])('finds its copy rewritten when the gate was %s meanwhile', async (_how, end, shown) => {
    const { gate, channel } = await posted();
    await end(gate.id, gate.executionId ?? '');
    expect(hasButtons(await rewritten(channel, shown))).toBe(false);
  });

  it('is answered within 3 s and counts while Slack stalls; the copy is rewritten when Slack is back (H15)', async () => {
    const { gate, channel, message } = await posted();
    door.slack.next('chat.update', { stallMs: 4_000 });
    door.slack.next('chat.postEphemeral', { stallMs: 4_000 });
    const [first, stranger] = await Promise.all([door.click(message, 'Approve', boInSlack), door.click(message, 'Approve', fresh('U'))]);
    expect([first.status, stranger.status]).toEqual([200, 200]);
    expect(Math.max(first.ms, stranger.ms)).toBeLessThan(2_900);
    expect((await door.now(gate.id))?.status).toBe('approved');
    expect(door.slack.messages(channel)).toMatchObject([{ edits: 0 }]);
    await rewritten(channel, /Approved\* by Bo/);
  });

  it('on a message whose row was lost brings it back: it is rewritten as the others are', async () => {
    const { gate, channel, message } = await posted({ quorum: 2 });
    await door.bench.db.pool.query('DELETE FROM gate_posts WHERE approval_id = $1', [gate.id]);
    await door.click(message, 'Approve', anaInSlack);
    await rewritten(channel, /1 of 2/);
    await decideApproval(door.bench, bo, { id: gate.id, decision: 'approve' });
    await rewritten(channel, /Approved\* by Ana, Bo/);
    expect(door.slack.messages(channel)).toHaveLength(1);
  });

  describe('where a private word cannot be said in the channel', () => {
    it('is answered by its response URL', async () => {
      const { message } = await posted();
      const eve = fresh('U');
      door.slack.next('chat.postEphemeral', { error: 'not_in_channel' });
      await door.click(message, 'Deny', eve, { response_url: door.slack.responseUrl });
      const said = await door.slack.until('a response', () => door.slack.responses.at(-1));
      expect(said).toMatchObject({ response_type: 'ephemeral', replace_original: false, text: expect.stringContaining('not linked') });
    });

    it('is not answered at an address that is not Slack’s', async () => {
      const { message } = await posted();
      door.slack.next('chat.postEphemeral', { error: 'not_in_channel' });
      await door.click(message, 'Deny', fresh('U'), { response_url: `${door.stub.url}/steal` });
      await door.bench.background.drain();
      expect(door.stub.calls('/steal')).toEqual([]);
    });

    it.each<[string, boolean]>([
      ['https://hooks.slack.com/actions/T1/2/3', true],
      ['https://hooks.slack-gov.com/actions/T1/2/3', true],
      ['http://127.0.0.1:9/respond', true],
      ['http://hooks.slack.com/actions', false],
      ['https://hooks.slack.com.evil.test/', false],
      ['https://hooks.slack.com@evil.test/', false],
      ['https://hooks.slack.com:8443/', false],
      ['http://127.0.0.1:10/respond', false],
      ['http://169.254.169.254/', false],
      ['nonsense', false],
    ])('%s is Slack’s: %s', (url, isTheirs) => {
      expect(isResponseAddress(url, 'http://127.0.0.1:9/api/')).toBe(isTheirs);
    });
  });

  describe('on a gate with a form (H12)', () => {
    const form = { type: 'object', required: ['n'], properties: { n: { type: 'integer', minimum: 1 }, env: { enum: ['a', 'b'] } } };
    const submit = (user: string, view: { private_metadata: string }, values: object) =>
      door.send(
        signed(SECRET, {
          type: 'view_submission',
          user: { id: user },
          view: { callback_id: 'signalbox_answer', private_metadata: view.private_metadata, state: { values } },
        }),
      );
    async function opened() {
      const { gate, channel, message } = await posted({ form });
      expect((await door.click(message, 'Approve', anaInSlack)).status).toBe(200);
      const view = await door.slack.until(
        'a modal',
        () => door.slack.callsOf('views.open').find(({ args }) => args['trigger_id'] === `trigger-${anaInSlack}`)?.args['view'],
      );
      return { gate, channel, message, view: view as { private_metadata: string; blocks: object[] } };
    }
    const number = (value: string) => ({ field_0: { value: { type: 'number_input', value } } });

    it('opens a modal for approving, which settles nothing; denying needs none', async () => {
      const { gate, view, message } = await opened();
      expect(view).toMatchObject({
        type: 'modal',
        blocks: [{ type: 'section' }, { type: 'input', optional: false }, { optional: true }, { block_id: 'reason' }],
      });
      expect((await door.now(gate.id))?.status).toBe('pending');
      await door.click(message, 'Deny', boInSlack);
      expect((await door.now(gate.id))?.status).toBe('denied');
    });

    it('is approved with the answer and reason that were filled in', async () => {
      const { gate, channel, view } = await opened();
      const reason = { reason: { value: { value: 'as agreed' } } };
      const choice = { field_1: { value: { selected_option: { value: '1' } } } };
      expect(await submit(anaInSlack, view, { ...number('3'), ...choice, ...reason })).toMatchObject({ status: 200, text: '' });
      expect(await door.now(gate.id)).toMatchObject({
        status: 'approved',
        answer: { v: { n: 3, env: 'b' } },
        reason: 'as agreed',
        votes: [{ via: 'slack' }],
      });
      await rewritten(channel, /Approved\* by Ana/);
    });

    it('keeps the modal with what is wrong beside its field, and stays pending', async () => {
      const { gate, view } = await opened();
      expect(JSON.parse((await submit(anaInSlack, view, number('0'))).text)).toEqual({
        response_action: 'errors',
        errors: { field_0: expect.any(String) },
      });
      expect(JSON.parse((await submit(anaInSlack, view, {})).text)).toMatchObject({
        response_action: 'errors',
        errors: { field_0: expect.any(String) },
      });
      expect(await door.now(gate.id)).toMatchObject({ status: 'pending', votes: [] });
    });

    it('says in the modal who was first', async () => {
      const { gate, view } = await opened();
      await decideApproval(door.bench, bo, { id: gate.id, decision: 'deny' });
      const { text } = await submit(anaInSlack, view, number('3'));
      expect(JSON.parse(text)).toMatchObject({ response_action: 'update', view: { type: 'modal' } });
      expect(text).toContain('already denied by Bo');
    });

    it('opens no modal for who may not decide, and takes none from a stranger', async () => {
      const { gate, message, view } = await opened();
      const out = fresh('U');
      await door.linked(out, { name: 'Out' });
      const before = door.slack.callsOf('views.open').length;
      await door.click(message, 'Approve', out);
      await door.whispered(out, /not among those/);
      expect((await submit(fresh('U'), view, number('3'))).text).toContain('not linked');
      expect((await submit(out, view, number('3'))).text).toContain('not among those');
      expect(door.slack.callsOf('views.open')).toHaveLength(before);
      expect(await door.now(gate.id)).toMatchObject({ status: 'pending', votes: [] });
    });

    it('says so privately when Slack did not open it', async () => {
      const { message } = await posted({ form });
      door.slack.next('views.open', { error: 'expired_trigger_id' });
      expect((await door.click(message, 'Approve', anaInSlack)).status).toBe(200);
      await door.whispered(anaInSlack, /could not be opened/);
    });
  });
});

describe('the signature of Slack', () => {
  // The example of Slack's own documentation.
  const secret = '8f742231b10e8888abcd99yyyzzz85a5';
  const body = Buffer.from(
    'token=xyzz0WbapA4vBCDEFasx0q6G&team_id=T1DC2JH3J&team_domain=testteamnow&channel_id=G8PSS9T3V&channel_name=foobar&user_id=U2CERLKJA&user_name=roadrunner&command=%2Fwebhook-collect&text=&response_url=https%3A%2F%2Fhooks.slack.com%2Fcommands%2FT1DC2JH3J%2F397700885554%2F96rGlfmibIGlgcZRskXaIFfN&trigger_id=398738663015.47445629121.803a0bc887a14d10d2c447fce8b6703c',
  );
  const signature = 'v0=a2114d57b48eac39b9ad189dd8316235a7b4a8d21a10bd27519666489c69b503';
  const timestamp = '1531420618';

  it('is what their documentation says', () => {
    expect(isFromSlack({ timestamp, signature, body }, secret, 1_531_420_618_000)).toBe(true);
    expect(isFromSlack({ timestamp, signature, body }, secret, 1_531_420_918_000)).toBe(true);
    expect(isFromSlack({ timestamp, signature, body }, secret, 1_531_420_919_500)).toBe(false);
    expect(isFromSlack({ timestamp, signature, body }, '', 1_531_420_618_000)).toBe(false);
    expect(isFromSlack({ timestamp, signature: signature.toUpperCase(), body }, secret, 1_531_420_618_000)).toBe(false);
  });
});
