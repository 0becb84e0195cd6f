import type { Approval } from '../support/service-shapes.js';
import { type Person, Service } from '../support/service.js';
import { clickOn, hasButtons, shownBy, signed, SlackServer, type SlackMessage } from '../support/slack-server.js';
import { call, gate, parallel } from '../support/steps.js';
import { startStubServer, type StubServer } from '../support/stub-server.js';

jest.setTimeout(90_000);

const SECRET = 'a-signing-secret';
const seconds = () => Math.floor(Date.now() / 1000);

describe('approvals in Slack, on the real service', () => {
  let stub: StubServer;
  let slack: SlackServer;
  let service: Service;
  let ana: Person;
  let bo: Person;
  let cy: Person;
  beforeAll(async () => {
    [stub, slack] = await Promise.all([startStubServer(), SlackServer.start()]);
    service = await Service.start({
      env: { SLACK_BOT_TOKEN: 'xoxb-test', SLACK_SIGNING_SECRET: SECRET, SLACK_API_URL: slack.apiUrl },
    });
    [ana, bo, cy] = await Promise.all([linked('Ana', 'U1'), linked('Bo', 'U2'), linked('Cy', 'U3'), linked('Out', 'U9')]);
  });
  beforeEach(() => {
    stub.clear();
    slack.clear();
  });
  afterAll(async () => {
    await service?.close();
    await Promise.all([slack?.close(), stub?.close()]);
  });

  async function linked(name: string, slackUserId: string): Promise<Person> {
    const person = await service.person(name, { role: 'approver' });
    const { status, text } = await service.api.call('PATCH', `/api/users/${person.id}`, { slackUserId });
    if (status !== 200) throw new Error(text);
    return person;
  }
  const send = async ({ headers, body }: ReturnType<typeof signed>) => {
    const started = Date.now();
    const { status, text } = await service.api.withKey(null).post<unknown>('/slack/interactions', undefined, { headers, raw: body });
    return { status, text, ms: Date.now() - started };
  };
  const click = (message: SlackMessage, button: 'Approve' | 'Deny', user: string) => send(signed(SECRET, clickOn(message, button, user)));
  const whispered = (user: string, text: RegExp) =>
    slack.until(`a word to ${user} like ${String(text)}`, () =>
      slack.callsOf('chat.postEphemeral').find(({ args }) => args['user'] === user && text.test(String(args['text']))),
    );
  const rewritten = (channel: string, text: RegExp) =>
    slack.until(`a copy in ${channel} like ${String(text)}`, () => slack.messages(channel).find((message) => text.test(shownBy(message))));
  const inChannel = async (channel: string) => (await slack.untilMessages(channel))[0] as SlackMessage;
  const refusals = async (approvalId: string) =>
    (
      await service.api.get<{ items: { action: string; targetId: string; details: { code?: string } }[] }>('/api/audit?limit=200')
    ).body.items
      .filter(({ action, targetId }) => action === 'approval.refused' && targetId === approvalId)
      .map(({ details }) => details.code ?? '')
      .toSorted((a, b) => a.localeCompare(b));

  it('E4 takes two votes by Slack and HTTP, refuses all others each in their way, and rewrites both copies with names', async () => {
    const { id } = await service.run([
      gate('g', { prompt: 'Ship <it>?', quorum: 2, approvers: [ana.email, bo.email, cy.email], notify: ['slack:C1', 'slack:U1'] }),
      call('after', stub, '/e4'),
    ]);
    const approval = await service.openApproval(id);
    const [copy, direct] = await Promise.all([inChannel('C1'), inChannel('D1')]);
    expect(shownBy(copy)).toContain('Ship &lt;it&gt;?');
    const good = clickOn(copy, 'Approve', 'U1');
    for (const bad of [signed('guessed', good), signed(SECRET, good, seconds() - 360), { ...signed(SECRET, good), body: 'payload=%7B%7D' }])
      expect((await send(bad)).status).toBe(401);
    expect((await click(copy, 'Approve', 'U404')).status).toBe(200);
    expect((await click(copy, 'Deny', 'U9')).status).toBe(200);
    await Promise.all([whispered('U404', /not linked/), whispered('U9', /not among those/)]);
    expect(await service.approval(approval.id)).toMatchObject({ status: 'pending', votes: [] });
    expect(await refusals(approval.id)).toEqual(['not_found', 'slack_user_unknown']);

    expect((await send(signed(SECRET, good))).status).toBe(200);
    expect((await click(direct, 'Approve', 'U1')).status).toBe(200);
    await whispered('U1', /voted on this already/);
    expect((await service.approval(approval.id)).votes).toEqual([
      expect.objectContaining({ via: 'slack', by: { id: ana.id, name: 'Ana' } }),
    ]);
    expect(hasButtons(await rewritten('C1', /1 of 2 approvals/))).toBe(true);
    expect(stub.calls('/e4')).toEqual([]);

    const answer = await bo.client.post<{ approval: Approval }>(`/api/approvals/${approval.id}/approve`, { reason: 'go' });
    const decidedAt = Date.now();
    expect([answer.status, answer.body.approval.status]).toEqual([200, 'approved']);
    const [next] = await stub.called('/e4');
    console.log(`E4: decision to the next step's call ${(next?.at ?? 0) - decidedAt} ms after the answer`);
    const settled = await Promise.all(['C1', 'D1'].map((channel) => rewritten(channel, /Approved\* by Ana, Bo/)));
    expect(settled.map(hasButtons)).toEqual([false, false]);
    expect(shownBy(settled[0] as SlackMessage)).toContain('reason: go');
    expect((await click(copy, 'Deny', 'U3')).status).toBe(200);
    await whispered('U3', /already approved by Ana, Bo/);
    expect((await service.untilEnded(id)).status).toBe('completed');
    expect((await service.approval(approval.id)).votes.map(({ via }) => via)).toEqual(['slack', 'http']);
    expect(slack.messages()).toHaveLength(2);
    expect(service.worker.lastLines(2_000) + service.gateway.lastLines(2_000)).not.toContain('xoxb-test');
  });

  it('H15, E4 answers within 3 s while Slack stalls for 10 s; the decision counts at once, the copies follow', async () => {
    const { id } = await service.run([
      gate('g', { approvers: [ana.email], notify: ['slack:C2', 'slack:U3'] }),
      call('after', stub, '/h15'),
    ]);
    const approval = await service.openApproval(id);
    const copy = await inChannel('C2');
    await inChannel('D3');
    slack.next('chat.update', { stallMs: 10_000 }, { stallMs: 10_000 });
    slack.next('chat.postEphemeral', { stallMs: 10_000 });
    const [stranger, right] = await Promise.all([click(copy, 'Approve', 'U404'), click(copy, 'Approve', 'U1')]);
    expect([stranger.status, right.status]).toEqual([200, 200]);
    expect(Math.max(stranger.ms, right.ms)).toBeLessThan(3_000);
    await stub.called('/h15');
    expect((await service.untilEnded(id)).status).toBe('completed');
    expect(await service.approval(approval.id)).toMatchObject({ status: 'approved', decidedBy: [{ id: ana.id }] });
    await Promise.all(['C2', 'D3'].map((channel) => rewritten(channel, /Approved\* by Ana/)));
  });

  it('H11 rewrites every copy when the run is cancelled, its branch is lost, or its deadline comes', async () => {
    const cancelled = await service.run([gate('g', { notify: 'slack:C3' })]);
    const lost = await service.run([
      parallel(
        'p',
        { slow: [gate('g', { notify: ['slack:C4'] })], fast: [gate('f', { approvers: [ana.email], notify: 'slack:C5' })] },
        { wait: 'any' },
      ),
    ]);
    const expired = await service.run([gate('g', { timeout: '5s', notify: 'slack:C6' })]);
    const [, , first] = await Promise.all(['C3', 'C4', 'C5', 'C6'].map((channel) => inChannel(channel)));
    await service.api.post(`/api/executions/${cancelled.id}/cancel`);
    await click(first as SlackMessage, 'Approve', 'U1');
    const settled = await Promise.all([
      rewritten('C3', /\*Cancelled\*/),
      rewritten('C4', /\*Cancelled\*/),
      rewritten('C5', /Approved\* by Ana/),
      rewritten('C6', /\*Expired\*/),
    ]);
    expect(settled.some(hasButtons)).toBe(false);
    expect((await service.untilEnded(cancelled.id)).status).toBe('cancelled');
    expect((await service.untilEnded(lost.id)).status).toBe('completed');
    expect(await service.untilEnded(expired.id)).toMatchObject({ error: { code: 'approval_expired' } });
  });

  it('H12 asks for the form in a modal; the answer goes on into the run', async () => {
    const form = { type: 'object', required: ['n'], properties: { n: { type: 'number' } } };
    const { id } = await service.run({
      name: 'H12 in Slack',
      steps: [gate('g', { approvers: [ana.email], form, notify: 'slack:C7' })],
      output: '{{ outputs.g.answer.n }}',
    });
    expect((await click(await inChannel('C7'), 'Approve', 'U1')).status).toBe(200);
    const modal = await slack.until(
      'a modal',
      () => slack.callsOf('views.open')[0]?.args['view'] as { private_metadata: string } | undefined,
    );
    const submit = (value: string) =>
      send(
        signed(SECRET, {
          type: 'view_submission',
          user: { id: 'U1' },
          view: {
            callback_id: 'signalbox_answer',
            private_metadata: modal.private_metadata,
            state: { values: { field_0: { value: { type: 'number_input', value } } } },
          },
        }),
      );
    expect((await submit('many')).text).toContain('Write a number');
    expect(await submit('4')).toMatchObject({ status: 200, text: '' });
    expect(await service.untilEnded(id)).toMatchObject({ status: 'completed', output: 4 });
    await rewritten('C7', /Approved\* by Ana/);
  });

  it('L42 delivers a notify step when Slack has accepted it, and fails it when not', async () => {
    const notify = (id: string, fields: object = {}) => ({
      id,
      type: 'notify',
      content: 'Done: {{ variables.x }}',
      target: 'slack:C8',
      ...fields,
    });
    const told = await service.run({ name: 'told', variables: { x: { type: 'string', default: '<b>' } }, steps: [notify('n')] });
    expect((await service.untilEnded(told.id)).status).toBe('completed');
    const [message] = await slack.untilMessages('C8');
    expect(message?.text).toBe('Done: &lt;b&gt;');
    expect((await service.step(told.id, 'n')).output).toEqual({ target: 'slack:C8', delivered: true, id: message?.ts });
    slack.next('chat.postMessage', { error: 'not_in_channel' });
    const failed = await service.run({ name: 'untold', variables: { x: { type: 'string', default: 'x' } }, steps: [notify('n')] });
    expect(await service.untilEnded(failed.id)).toMatchObject({
      status: 'failed',
      error: { code: 'notify_failed', details: { reason: 'not_in_channel', delivered: false } },
    });
  });
});
