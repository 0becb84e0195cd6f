import { ApiUnderTest } from '../api/api-under-test.js';
import { LiveSession } from './support/live-session.js';
import { SocketClient, type Frame } from './support/socket-client.js';

let api: ApiUnderTest;
let session: LiveSession;
const clients: SocketClient[] = [];

beforeAll(async () => {
  api = await ApiUnderTest.start();
});
beforeEach(async () => {
  session = await LiveSession.start(api);
});
afterEach(async () => {
  await Promise.all(clients.splice(0).map((client) => client.end()));
});
afterAll(() => api.close());

const watching = async (channel: 'executions' | 'approvals', key = session.key, after?: number): Promise<SocketClient> => {
  const client = await SocketClient.open(api.port, '/ws', { headers: { authorization: `Bearer ${key}` } });
  clients.push(client);
  client.send({ type: 'subscribe', id: 'list', channel, ...(after === undefined ? {} : { after }) });
  await client.type('snapshot');
  return client;
};
const again = (): Promise<LiveSession> => LiveSession.start(api, { id: session.ownerId, key: session.key, keyId: session.keyId });
const cancel = (id: string, key = session.key) => api.send('POST', `/api/executions/${id}/cancel`, { key, body: {} });
const eventsOf = (client: SocketClient): Frame[] => client.frames.filter((frame) => frame.type === 'event');

describe('the list of executions', () => {
  it('begins with the newest and tells each change of a row, numbered from the snapshot on', async () => {
    const client = await watching('executions');
    expect(client.frames.find((frame) => frame.type === 'snapshot')).toMatchObject({
      channel: 'executions',
      cursor: 0,
      data: { items: [{ id: session.executionId, status: 'pending' }], hasMore: false },
    });
    const second = await again();
    expect(await client.type('event')).toMatchObject({
      channel: 'executions',
      seq: 1,
      event: {
        seq: 1,
        kind: 'execution.started',
        executionId: second.executionId,
        sessionId: second.id,
        data: { execution: { id: second.executionId, status: 'pending' } },
      },
    });
    await cancel(session.executionId);
    expect(await client.next((frame) => frame.seq === 2)).toMatchObject({
      event: { kind: 'execution.cancelled', executionId: session.executionId, data: { execution: { status: 'cancelled' } } },
    });
  });

  it("tells nobody of another owner's", async () => {
    const stranger = await LiveSession.start(api);
    const client = await watching('executions', stranger.key);
    await cancel(session.executionId);
    await cancel(stranger.executionId, stranger.key);
    await client.type('event');
    expect(eventsOf(client).map((frame) => frame.event?.executionId)).toEqual([stranger.executionId]);
  });

  it('R6 finds a change whose wake-up was lost at a sweep', async () => {
    const client = await watching('executions');
    // As another process does whose NOTIFY is lost.
    await api.db.pool.query("UPDATE executions SET status = 'running', counter = counter + 1, updated_at = now() WHERE id = $1", [
      session.executionId,
    ]);
    expect(await client.type('event')).toMatchObject({ event: { kind: 'execution.updated', data: { execution: { status: 'running' } } } });
  });

  it('answers a cursor by reset and snapshot: a list has none that outlives a subscription', async () => {
    const client = await watching('executions', session.key, 7);
    expect(client.frames.slice(1).map((frame) => frame.type)).toEqual(['subscribed', 'reset', 'snapshot']);
  });
});

describe('the list of approvals', () => {
  it('begins with the pending ones that the reader may know, and tells opening, votes and ends', async () => {
    const before = await session.openGate();
    const client = await watching('approvals');
    const snapshot = client.frames.find((frame) => frame.type === 'snapshot');
    expect((snapshot?.data?.['items'] as readonly { id: string }[] | undefined)?.map((item) => item.id)).toContain(before);
    const id = await session.openGate({ quorum: 2, approvers: [session.ownerId, 'group:ops'] });
    const required = await client.next((frame) => frame.event?.kind === 'approval.required');
    expect(required.event).toMatchObject({
      executionId: session.executionId,
      sessionId: session.id,
      data: { approval: { id, status: 'pending' } },
    });
    await api.send('POST', `/api/approvals/${id}/approve`, { key: session.key, body: {} });
    expect(await client.next((frame) => frame.event?.kind === 'approval.voted')).toMatchObject({
      event: { data: { approval: { id, status: 'pending' } } },
    });
    const other = await api.person('approver', { groups: ['ops'] });
    await api.send('POST', `/api/approvals/${id}/approve`, { key: other.key, body: {} });
    expect(await client.next((frame) => frame.event?.kind === 'approval.approved')).toMatchObject({
      event: { data: { approval: { id, status: 'approved', votes: [{ via: 'http' }, { via: 'http' }] } } },
    });
    await cancel(session.executionId);
    expect(await client.next((frame) => frame.event?.kind === 'approval.cancelled')).toMatchObject({
      event: { data: { approval: { id: before } } },
    });
  });

  it('R8 tells a gate to those who may know it alone', async () => {
    const approver = await api.person('approver', { groups: ['release'] });
    const stranger = await api.person('editor');
    const [invited, outside] = [await watching('approvals', approver.key), await watching('approvals', stranger.key)];
    const hidden = await session.openGate({ approvers: [session.ownerId] });
    const id = await session.openGate({ approvers: ['group:release'] });
    await invited.next((frame) => frame.event?.kind === 'approval.required');
    const marker = await LiveSession.start(api, stranger);
    const own = await marker.openGate();
    await outside.next((frame) => (frame.event?.data['approval'] as { id?: string } | undefined)?.id === own);
    const idsOf = (client: SocketClient): unknown[] =>
      eventsOf(client).map((frame) => (frame.event?.data['approval'] as { id: string } | undefined)?.id);
    expect([idsOf(invited), idsOf(outside)]).toEqual([[id], [own]]);
    expect(hidden).not.toBe(id);
  });
});
