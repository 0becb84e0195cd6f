import { Client, Connection } from '@temporalio/client';
import type { ExecutionInput } from '../../src/engine/types.js';
import { createTemporalGateway, type StartRequest, type TemporalGateway } from '../../src/operations/temporal-gateway.js';
import { testTemporal, type TestTemporal } from '../support/temporal.js';

const INPUT: ExecutionInput = { kind: 'load', executionId: 'exe_x' };

describe('the gateway to a real Temporal, without a worker', () => {
  let temporal: TestTemporal;
  let gateway: TemporalGateway;
  let connection: Connection;
  let client: Client;
  let count = 0;
  beforeAll(async () => {
    temporal = await testTemporal();
    gateway = createTemporalGateway({ address: temporal.address, namespace: temporal.namespace, taskQueue: temporal.prefix });
    connection = await Connection.connect({ address: temporal.address });
    client = new Client({ connection, namespace: temporal.namespace });
  });
  afterAll(async () => {
    await gateway.close();
    await connection.close();
  });
  const aStart = (overrides: Partial<StartRequest> = {}): StartRequest => ({
    executionId: `exe_${temporal.prefix}${(count += 1)}`,
    summary: 'Nightly report',
    input: INPUT,
    attributes: { workflow: 'Nightly report', owner: 'usr_1', status: 'running', trigger: 'manual' },
    ...overrides,
  });

  it('starts a conversation, joins the open one, and starts it again when it has ended', async () => {
    const conversation = { sessionId: `ses_${temporal.prefix}`, ownerId: 'usr_1' };
    const tell = (id: string) => gateway.tellConversation(conversation, { name: 'message', payload: { id, messageId: 'msg_1' } });
    expect(await Promise.all(['cmd_1', 'cmd_2', 'cmd_3'].map(tell))).toEqual(Array.from({ length: 3 }, () => ({ kind: 'sent' })));
    const handle = client.workflow.getHandle(conversation.sessionId);
    const { runId, type } = await handle.describe();
    expect(type).toBe('conversation');
    const signals = ((await handle.fetchHistory()).events ?? []).filter((event) => event.workflowExecutionSignaledEventAttributes != null);
    expect(signals).toHaveLength(3);
    await handle.terminate();
    expect(await gateway.signal(conversation.sessionId, 'stop', { id: 'cmd_4', messageId: null, upTo: 1 })).toEqual({ kind: 'gone' });
    expect(await gateway.tellConversation(conversation, { name: 'stop', payload: { id: 'cmd_4', messageId: null, upTo: 1 } })).toEqual({
      kind: 'sent',
    });
    expect((await handle.describe()).runId).not.toBe(runId);
  });

  it('starts an id once, whether it is open or has ended (D13)', async () => {
    const start = aStart();
    expect(await Promise.all(Array.from({ length: 5 }, () => gateway.startExecution(start)))).toEqual(
      Array.from({ length: 5 }, () => ({ kind: 'sent' })),
    );
    const { runId } = await client.workflow.getHandle(start.executionId).describe();
    await client.workflow.getHandle(start.executionId).terminate();
    expect(await gateway.startExecution(start)).toEqual({ kind: 'sent' });
    expect(await client.workflow.getHandle(start.executionId).describe()).toMatchObject({ runId, status: { name: 'TERMINATED' } });
  });

  it('names the run for operators, also by a very long name', async () => {
    const start = aStart({ summary: '😀'.repeat(300) });
    expect(await gateway.startExecution(start)).toEqual({ kind: 'sent' });
    const run = await client.workflow.getHandle(start.executionId).describe();
    expect(await run.staticSummary()).toMatch(/^(😀)+$/u);
    expect(run.searchAttributes).toMatchObject({
      SignalboxOwner: ['usr_1'],
      SignalboxTrigger: ['manual'],
      SignalboxStatus: ['running'],
      SignalboxWorkflow: ['Nightly report'],
    });
    expect(run.type).toBe('execution');
  });

  it('signals and cancels while it is open, again and again; afterwards it is gone', async () => {
    const { executionId, ...rest } = aStart();
    await gateway.startExecution({ executionId, ...rest });
    for (let n = 0; n < 2; n += 1) {
      expect(await gateway.signal(executionId, 'pause', { id: 'cmd_1', by: 'usr_1' })).toEqual({ kind: 'sent' });
      expect(await gateway.cancel(executionId)).toEqual({ kind: 'sent' });
    }
    await client.workflow.getHandle(executionId).terminate();
    expect(await gateway.signal(executionId, 'pause', {})).toEqual({ kind: 'gone' });
    // A second cancel of what has ended is no error of the server's.
    expect(['sent', 'gone']).toContain((await gateway.cancel(executionId)).kind);
    expect(await gateway.cancel('exe_nobody')).toEqual({ kind: 'gone' });
    expect(await gateway.signal('exe_nobody', 'pause', {})).toEqual({ kind: 'gone' });
  });

  it('tells open, closed and unknown apart', async () => {
    const [open, closed] = [aStart(), aStart()];
    await Promise.all([gateway.startExecution(open), gateway.startExecution(closed)]);
    await client.workflow.getHandle(closed.executionId).terminate();
    const lives = await gateway.describe([open.executionId, closed.executionId, 'exe_nobody']);
    expect([...lives.values()]).toEqual(['running', 'closed', 'unknown']);
  });

  it('lists what was terminated, once visibility knows it (D12)', async () => {
    const sinceMs = Date.now();
    const start = aStart();
    await gateway.startExecution(start);
    await client.workflow.getHandle(start.executionId).terminate();
    const untilMs = Date.now() + 10_000;
    for (let listed: readonly string[] | undefined = []; !listed?.includes(start.executionId); listed = await gateway.listClosed(sinceMs)) {
      if (Date.now() > untilMs) throw new Error('Visibility does not tell');
    }
    expect(await gateway.listClosed(Date.now() + 60_000)).toEqual([]);
  });
});

describe('the gateway while Temporal is away', () => {
  it('answers so for everything, within its deadline and without an exception', async () => {
    const away = createTemporalGateway({ address: '127.0.0.1:1', namespace: 'default', deadlineMs: 300 });
    const attributes = { workflow: 'w', owner: 'o', status: 's', trigger: 't' };
    const [start, signal, cancel, lives, closed] = await Promise.all([
      away.startExecution({ executionId: 'exe_1', summary: 's', input: INPUT, attributes }),
      away.signal('exe_1', 'pause', {}),
      away.cancel('exe_1'),
      away.describe(['exe_1', 'exe_2']),
      away.listClosed(0),
    ]);
    expect([start.kind, signal.kind, cancel.kind, lives.size, closed]).toEqual(['unavailable', 'unavailable', 'unavailable', 0, undefined]);
    await away.close();
  });
});
