import { setTimeout as delay } from 'node:timers/promises';
import { createMessagePoster } from '../../src/activities/session-messages.js';
import { decideApproval } from '../../src/operations/decide-approval.js';
import type { Principal } from '../../src/operations/principal.js';
import { getApproval } from '../../src/operations/read-approvals.js';
import { GateCourier } from '../../src/realtime/notices/gate-courier.js';
import { createSlackClient } from '../../src/realtime/slack/slack-client.js';
import { readEvents } from '../../src/store/event-log.js';
import type { NewGate } from '../../src/store/gates.js';
import { listMessages } from '../../src/store/messages.js';
import { getOrchestratorSession } from '../../src/store/sessions.js';
import { getExecution } from '../../src/store/executions.js';
import { createHttpClient } from '../../src/tools/index.js';
import { aBench, aPerson, type TestBench } from '../operations/support.js';
import { anOpenGate, aRunning } from '../operations/running.js';
import { shownBy, SlackServer } from '../support/slack-server.js';
import { startStubServer, type StubServer } from '../support/stub-server.js';

let nth = 0;
const sorted = (texts: readonly string[]): string[] => texts.toSorted((a, b) => a.localeCompare(b));
const fresh = () => `C${(nth += 1)}`;

describe('what gates have to say', () => {
  let bench: TestBench;
  let slack: SlackServer;
  let stub: StubServer;
  let ana: Principal;
  const http = createHttpClient({ allow: ['127.0.0.1'] });
  const couriers: GateCourier[] = [];
  const warnings: string[] = [];
  beforeAll(async () => {
    [bench, slack, stub] = await Promise.all([aBench({ limits: { activePerUser: 0, active: 0 } }), SlackServer.start(), startStubServer()]);
    ana = await aPerson(bench, { name: 'Ana' });
  });
  afterEach(async () => {
    await Promise.all(couriers.splice(0).map((courier) => courier.stop()));
    await bench.db.pool.query('DELETE FROM gate_posts');
    slack.clear();
    stub.clear();
    warnings.length = 0;
  });
  afterAll(async () => {
    await Promise.all([slack?.close(), stub?.close(), http.close()]);
    await bench?.close();
  });

  function aCourier(withSlack = true): GateCourier {
    const { db } = bench;
    const client = withSlack ? createSlackClient({ botToken: 'xoxb-test', apiUrl: slack.apiUrl }) : undefined;
    const log = {
      info: () => undefined,
      warn: (fields: object, message: string) => void warnings.push(`${message} ${JSON.stringify(fields)}`),
    };
    const courier = new GateCourier({ db, http, messages: createMessagePoster(db), slack: client, log }, { sweepMs: 40 });
    couriers.push(courier);
    return courier;
  }
  async function aGate(notice: Partial<NonNullable<NewGate['notice']>>, overrides: Partial<NewGate> = {}) {
    const id = await aRunning(bench, ana, 'waiting_approval');
    const { sessionId } = (await getExecution(bench.db, null, id)) ?? { sessionId: '' };
    return anOpenGate(bench, ana, id, { sessionId, notice: { targets: [], remindAt: [], ...notice }, ...overrides });
  }
  async function until<T>(what: string, look: () => Promise<T | undefined>): Promise<T> {
    for (const deadline = Date.now() + 15_000; ; await delay(20)) {
      const found = await look();
      if (found !== undefined) return found;
      if (Date.now() > deadline) throw new Error(`waited for ${what}`);
    }
  }
  const rowOf = async (approvalId: string) =>
    (
      await bench.db.pool.query<{ failures: number; failure: string | null; due_at: Date | null }>(
        'SELECT * FROM gate_posts WHERE approval_id = $1',
        [approvalId],
      )
    ).rows[0];
  const noticesOf = async (id: string) =>
    Object.fromEntries((await getApproval(bench, ana, { id })).approval.notices.map(({ target, status }) => [target, status]));
  const contents = async (sessionId: string) =>
    (await listMessages(bench.db, ana.userId, sessionId, { after: 0, limit: 50 })).items.map(({ content }) => content);

  it('goes to every kind of target when the gate opens, once, however many look', async () => {
    const channel = fresh();
    const gate = await aGate({ targets: [`slack:${channel}`, `webhook:${stub.url}/hook`, 'chat', 'orchestrator'] }, { prompt: 'Deploy?' });
    for (let count = 0; count < 3; count += 1) aCourier();
    await slack.untilMessages(channel);
    const [call] = await stub.called('/hook');
    expect(call?.json).toEqual({
      content: 'Deploy?',
      executionId: gate.executionId,
      stepId: 'g',
      workflowName: 'Greet',
      at: expect.stringMatching(/Z$/),
      event: 'approval.required',
      approvalId: gate.id,
      iterationPath: '',
      status: 'pending',
      deadline: gate.deadline,
      escalatedTo: [],
    });
    expect(call?.headers['idempotency-key']).toMatch(/^pst_/);
    const orchestrator = (await getOrchestratorSession(bench.db, ana.userId))?.id ?? '';
    for (const session of [gate.sessionId, orchestrator])
      await until('the message', async () =>
        (await contents(session)).some((text) => text.startsWith('Approval needed: Deploy?')) ? true : undefined,
      );
    await until('all to be done', async () =>
      (await bench.db.pool.query('SELECT FROM gate_posts WHERE due_at IS NOT NULL')).rowCount === 0 ? true : undefined,
    );
    expect([slack.messages(channel), stub.calls('/hook')].map((all) => all.length)).toEqual([1, 1]);
  });

  it('reminds and escalates at their times, to the same targets, also when nobody was there to wake it (H13)', async () => {
    const channel = fresh();
    const at = Date.now();
    const targets = [`slack:${channel}`, `webhook:${stub.url}/nag`, 'chat'];
    const gate = await aGate({ targets, remindAt: [at + 400], escalate: { at: at + 800, to: [ana.email, 'group:ops'] } }, { quorum: 2 });
    aCourier();
    const messages = await slack.untilMessages(channel, 3);
    // Two that are late together overtake each other.
    expect(sorted(messages.map((message) => /Reminder|Escalated to Ana, ops|Approval needed/.exec(shownBy(message))?.[0] ?? ''))).toEqual([
      'Approval needed',
      'Escalated to Ana, ops',
      'Reminder',
    ]);
    expect(sorted((await stub.called('/nag', 3)).map(({ json }) => (json as { event: string }).event))).toEqual([
      'approval.escalated',
      'approval.reminded',
      'approval.required',
    ]);
    const events = await readEvents(bench.db, gate.executionId ?? '', 0, 50);
    const told = events.filter(({ kind }) => kind === 'approval.reminded' || kind === 'approval.escalated');
    expect(told.map(({ kind, data }) => [kind, data])).toEqual([
      ['approval.reminded', { approvalId: gate.id, reminder: 1, deadline: gate.deadline }],
      ['approval.escalated', { approvalId: gate.id, to: [ana.email, 'group:ops'], deadline: gate.deadline }],
    ]);
    for (const [index, due] of [at + 400, at + 800].entries()) {
      const late = Date.parse(told[index]?.at ?? '') - due;
      expect(late).toBeGreaterThanOrEqual(0);
      // A second, and what a busy machine adds.
      expect(late).toBeLessThan(4_000);
    }
    const said = await until('both in the chat', async () => {
      const all = await contents(gate.sessionId);
      return all.length >= 3 ? all : undefined;
    });
    expect(sorted(said)).toEqual([
      expect.stringMatching(/^Approval needed/),
      expect.stringMatching(/^Escalated to/),
      expect.stringMatching(/^Reminder/),
    ]);
    await decideApproval(bench, ana, { id: gate.id, decision: 'deny' });
    await slack.until('all three rewritten', () =>
      slack.messages(channel).every((message) => shownBy(message).includes('Denied* by Ana')) ? true : undefined,
    );
  });

  it('waits as long as Slack asks for, for all that is for Slack, and keeps nobody else waiting', async () => {
    const [first, second] = [fresh(), fresh()];
    slack.next('chat.postMessage', { retryAfter: 3 });
    await aGate({ targets: [`slack:${first}`] });
    aCourier();
    const refused = await slack.until('the refusal', () => slack.callsOf('chat.postMessage')[0]);
    await delay(50);
    const asked = Date.now();
    await aGate({ targets: [`slack:${second}`, `webhook:${stub.url}/meanwhile`] });
    await stub.called('/meanwhile');
    expect(Date.now() - asked).toBeLessThan(2_500);
    await slack.untilMessages(first);
    await slack.untilMessages(second);
    for (const { at } of slack.callsOf('chat.postMessage').slice(1)) expect(at - refused.at).toBeGreaterThanOrEqual(2_990);
  });

  it('comes through when Slack and the receiver are back', async () => {
    const channel = fresh();
    slack.next('chat.postMessage', 'drop', { status: 503 }, { error: 'internal_error' });
    stub.on('/flaky', [{ status: 503 }, { fault: 'drop' }, { status: 200 }]);
    await bench.db.pool.query('SELECT 1');
    const gate = await aGate({ targets: [`slack:${channel}`, `webhook:${stub.url}/flaky`] });
    aCourier();
    await slack.untilMessages(channel);
    const calls = await stub.called('/flaky', 3);
    expect(new Set(calls.map(({ headers }) => headers['idempotency-key'])).size).toBe(1);
    expect(warnings.filter((text) => text.includes(gate.id)).every((text) => text.includes('tried again'))).toBe(true);
    expect(warnings.join('\n')).not.toContain('/flaky');
  });

  it('is done by the next process when one is gone, with what was claimed', async () => {
    const channel = fresh();
    const gate = await aGate({ targets: [`slack:${channel}`] });
    // As a process leaves it that was killed in mid-call, a minute ago.
    await bench.db.pool.query(`UPDATE gate_posts SET claims = 1, lease_until = now() - interval '1 second' WHERE approval_id = $1`, [
      gate.id,
    ]);
    aCourier();
    expect(await slack.untilMessages(channel)).toHaveLength(1);
  });

  it('is not said any more to people when it is decided by then; a receiver that keeps books hears of it', async () => {
    const channel = fresh();
    const gate = await aGate({ targets: [`slack:${channel}`, `webhook:${stub.url}/late`, 'chat'] });
    await decideApproval(bench, ana, { id: gate.id, decision: 'approve' });
    aCourier();
    expect((await stub.called('/late'))[0]?.json).toMatchObject({ event: 'approval.required', status: 'approved' });
    await until('all to be done', async () =>
      (await bench.db.pool.query('SELECT FROM gate_posts WHERE due_at IS NOT NULL')).rowCount === 0 ? true : undefined,
    );
    expect(slack.messages(channel)).toEqual([]);
    expect(await contents(gate.sessionId)).toEqual([]);
    expect(await noticesOf(gate.id)).toEqual({ [`slack:${channel}`]: 'dropped', [`webhook:${stub.url}`]: 'told', chat: 'dropped' });
  });

  it.each<[string, string, (channel: string) => string, 'never' | 'later']>([
    ['a channel that is not there, later', 'channel_not_found', (channel) => `slack:${channel}`, 'later'],
    ['a message that Slack cannot take, never', 'invalid_blocks', (channel) => `slack:${channel}`, 'never'],
    ['a person who is not linked, later', 'user_not_linked', () => `slack:${ana.email}`, 'later'],
  ])('comes back to %s', async (_what, failure, targetOf, hope) => {
    const channel = fresh();
    slack.next('chat.postMessage', { error: failure });
    const gate = await aGate({ targets: [targetOf(channel)] });
    aCourier();
    const row = await until('the failure', async () => {
      const found = await rowOf(gate.id);
      return (found?.failures ?? 0) > 0 ? found : undefined;
    });
    expect([row.failure, row.due_at === null]).toEqual([failure, hope === 'never']);
    expect(Object.values(await noticesOf(gate.id))).toEqual([hope === 'never' ? 'failed' : 'due']);
  });

  it('does not fall over a message that somebody has deleted', async () => {
    const channel = fresh();
    const gate = await aGate({ targets: [`slack:${channel}`] });
    aCourier();
    await slack.untilMessages(channel);
    await until('it to be noted', async () => ((await rowOf(gate.id))?.due_at === null ? true : undefined));
    slack.next('chat.update', { error: 'message_not_found' });
    await decideApproval(bench, ana, { id: gate.id, decision: 'approve' });
    const row = await until('the failure', async () => {
      const found = await rowOf(gate.id);
      return found?.failure === 'message_not_found' ? found : undefined;
    });
    expect(row.due_at).toBeNull();
  });

  it('is kept, and told in the log, while no Slack is connected', async () => {
    const channel = fresh();
    const gate = await aGate({ targets: [`slack:${channel}`] });
    aCourier(false);
    await until('the failure', async () => ((await rowOf(gate.id))?.failure === 'not_authed' ? true : undefined));
    await Promise.all(couriers.splice(0).map((courier) => courier.stop()));
    expect(warnings.join()).toContain('not_authed');
    await bench.db.pool.query('UPDATE gate_posts SET due_at = now()');
    aCourier();
    expect(await slack.untilMessages(channel)).toHaveLength(1);
  });

  it('does not let a stalled Slack keep a webhook waiting', async () => {
    const channels = Array.from({ length: 12 }, fresh);
    slack.next('chat.postMessage', ...channels.map(() => ({ stallMs: 4_000 })));
    await aGate({ targets: channels.map((channel) => `slack:${channel}`) });
    aCourier();
    await slack.until('ten calls under way', () => (slack.callsOf('chat.postMessage').length === 10 ? true : undefined));
    const asked = Date.now();
    await aGate({ targets: [`webhook:${stub.url}/free`] });
    await stub.called('/free');
    expect(Date.now() - asked).toBeLessThan(3_500);
    for (const channel of channels) await slack.untilMessages(channel);
  });
});
