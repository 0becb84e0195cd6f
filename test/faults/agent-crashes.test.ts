import { setTimeout as sleep } from 'node:timers/promises';
import { startModelServer, type ModelReply, type ModelServer } from '../support/model-server.js';
import { Service } from '../support/service.js';
import type { StepJson } from '../support/service-shapes.js';
import { startStubServer, type StubServer } from '../support/stub-server.js';

jest.setTimeout(120_000);
/** Enough for two turns and a call on a busy machine. */
const LIMIT_MS = 8_000;

const agent = (id: string, prompt: string, fields: { readonly [field: string]: unknown } = {}): StepJson => ({
  id,
  type: 'agent_prompt',
  prompt,
  ...fields,
});

interface Said {
  readonly content: string;
  readonly parts: readonly { readonly type: string; readonly status?: string }[];
  readonly turn?: {
    readonly status: string;
    readonly attempt: number;
    readonly usage: { readonly estimated?: true; readonly outputTokens: number };
  } | null;
}

describe('agents whose worker is killed', () => {
  let model: ModelServer;
  let stub: StubServer;
  let service: Service;
  beforeAll(async () => {
    [model, stub] = await Promise.all([startModelServer(), startStubServer()]);
    service = await Service.start({
      env: {
        ANTHROPIC_API_KEY: 'test',
        ANTHROPIC_BASE_URL: model.url,
        SIGNALBOX_MODELS: 'model-a',
        SIGNALBOX_SHELL: 'plain',
      },
    });
  });
  beforeEach(() => (model.clear(), stub.clear()));
  afterAll(async () => {
    await service?.close();
    await Promise.all([model?.close(), stub?.close()]);
  });

  const turnsOf = async (sessionId: string): Promise<Said[]> =>
    (await service.api.get<{ items: Said[] }>(`/api/sessions/${sessionId}/messages?limit=200`)).body.items.filter(
      ({ turn }) => turn != null,
    );
  const callOf = (path: string): ModelReply => ({
    text: 'Let me look. ',
    toolCalls: [
      { id: 'toolu_1', name: 'call_tool', input: { toolId: 'http:request', params: { url: `${stub.url}${path}` }, summary: 'look' } },
    ],
    usage: { inputTokens: 50, outputTokens: 20 },
  });

  it('A10, E3 in turn 2 after 100 deltas and one tool call: that call once, turn 2 again, the old turn canceled, usage of both', async () => {
    const pieces = Array.from({ length: 100 }, (_, n) => `word${n} `);
    model.script((_request, nth) => {
      if (nth === 0) return callOf('/once');
      if (nth === 1) return { text: pieces, fault: 'hang_mid', usage: { inputTokens: 200, outputTokens: 7 } };
      return { text: 'The whole story.', usage: { inputTokens: 210, outputTokens: 30 } };
    });
    const { id, sessionId } = await service.run([agent('tell', 'Look, then tell')]);
    await model.called(2);
    await service.until('the deltas', async () => ((await turnsOf(sessionId))[1]?.content === pieces.join('') ? true : undefined));
    await service.worker.kill();
    await service.startWorker();
    const ended = await service.untilEnded(id);
    expect(ended).toMatchObject({ status: 'completed', output: { tell: 'The whole story.' } });
    expect(stub.calls('/once')).toHaveLength(1);
    expect(model.requests).toHaveLength(3);
    const turns = await turnsOf(sessionId);
    expect(turns.map(({ turn }) => [turn?.status, turn?.attempt])).toEqual([
      ['end_turn', 1],
      ['canceled', 1],
      ['end_turn', 2],
    ]);
    const open = turns.flatMap(({ parts }) => parts).filter(({ status }) => status === 'pending' || status === 'running');
    expect(open).toEqual([]);
    const cut = Math.ceil(pieces.join('').length / 4);
    expect(turns[1]?.turn?.usage).toMatchObject({ estimated: true, outputTokens: cut });
    expect(await service.step(id, 'tell')).toMatchObject({
      usage: { inputTokens: 50 + 200 + 210, outputTokens: 20 + cut + 30, estimated: true, models: ['model-a'] },
    });
    await service.expectGapFreeLog(id);
  });

  it('in a tool call that may repeat: it is made again under its key; in one that may not: the model is told', async () => {
    stub.on('/slow', (_call, nth) => (nth === 0 ? { delayMs: 20_000 } : { body: { nth } }));
    model.script((_request, nth) => (nth === 0 ? callOf('/slow') : { text: 'seen' }));
    const { id } = await service.run([agent('fetch', 'Fetch it')]);
    await stub.called('/slow');
    await service.worker.kill();
    await service.startWorker();
    expect(await service.untilEnded(id)).toMatchObject({ status: 'completed', output: { fetch: 'seen' } });
    const keys = stub.calls('/slow').map(({ headers }) => headers['idempotency-key']);
    expect(keys).toHaveLength(2);
    expect(keys[0]).toBe(keys[1]);
    expect(keys[0]).toContain(`${id}/fetch/`);

    stub.on('/mark', {});
    model.script((_request, nth) =>
      nth === 0
        ? {
            toolCalls: [
              {
                id: 'toolu_sh',
                name: 'call_tool',
                input: { toolId: 'shell:bash', params: { command: `curl -s ${stub.url}/mark; sleep 30` }, summary: 'run' },
              },
            ],
          }
        : { text: 'told' },
    );
    const second = await service.run([agent('shell', 'Run it')]);
    await stub.called('/mark');
    await service.worker.kill();
    await service.startWorker();
    expect(await service.untilEnded(second.id)).toMatchObject({ status: 'completed', output: { shell: 'told' } });
    expect(stub.calls('/mark')).toHaveLength(1);
    expect(JSON.stringify(model.requests.at(-1)?.body.messages)).toContain('outcome_unknown');
  });

  it('while a call is held and while nothing is in flight: the run waits on, and goes on as the person says', async () => {
    model.script((_request, nth) =>
      nth === 0
        ? { toolCalls: [{ name: 'call_tool', input: { toolId: 'http:request', params: { url: `${stub.url}/held` }, summary: 'send' } }] }
        : { text: 'sent' },
    );
    await service.api.put('/api/policies', { policies: { 'http:request': 'approve' } });
    const { id } = await service.run([agent('send', 'Send it', { await_timeout_ms: LIMIT_MS })]);
    const gate = await service.until('the gate', async () => {
      const { body } = await service.api.get<{ items: { id: string; status: string }[] }>(`/api/approvals?executionId=${id}`);
      return body.items.find(({ status }) => status === 'pending');
    });
    await service.worker.kill();
    // Waiting for a person does not count: the limit passes meanwhile.
    await sleep(LIMIT_MS + 500);
    expect((await service.api.post(`/api/approvals/${gate.id}/approve`, {})).status).toBe(200);
    expect(stub.calls('/held')).toHaveLength(0);
    await service.startWorker();
    expect(await service.untilEnded(id)).toMatchObject({ status: 'completed', output: { send: 'sent' } });
    expect(stub.calls('/held')).toHaveLength(1);
  });
});
