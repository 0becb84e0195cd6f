/** Tokens from a model through real processes to sockets: worker and gateway are killed in between. */
import { setTimeout as sleep } from 'node:timers/promises';
import { SocketClient, type Frame } from '../realtime/support/socket-client.js';
import { TextReader } from '../realtime/support/text-reader.js';
import { startModelServer, type ModelServer } from '../support/model-server.js';
import { Service } from '../support/service.js';

jest.setTimeout(120_000);

let model: ModelServer;
let service: Service;
const clients: SocketClient[] = [];

beforeAll(async () => {
  model = await startModelServer();
  service = await Service.start({ env: { ANTHROPIC_API_KEY: 'test', ANTHROPIC_BASE_URL: model.url, SIGNALBOX_MODELS: 'scripted' } });
});
afterAll(async () => {
  await Promise.all(clients.map((client) => client.end()));
  await service?.close();
  await model?.close();
});

async function follow(sessionId: string, place: object = {}): Promise<SocketClient> {
  const { baseUrl, key } = service.api;
  const client = await SocketClient.open(Number(new URL(baseUrl).port), '/ws', { headers: { authorization: `Bearer ${key}` } });
  clients.push(client);
  client.send({ type: 'subscribe', id: 'follow', channel: `session:${sessionId}`, ...place });
  await client.answer('follow');
  return client;
}
/** The run, its gate open, and what comes behind it not begun. */
async function parkedTalk(): Promise<{ readonly id: string; readonly sessionId: string; start(): Promise<unknown> }> {
  const { id, sessionId } = await service.run([
    { id: 'gate', type: 'approval' },
    { id: 'talk', name: 'Small talk', type: 'agent_prompt', prompt: 'Talk.' },
  ]);
  const gate = await service.openApproval(id);
  return { id, sessionId, start: () => service.api.post(`/api/approvals/${gate.id}/approve`) };
}
/** A reader that comes when all is over finds it in its snapshot. */
const isOver = ({ event, data }: Frame): boolean =>
  event?.kind === 'execution.completed' || (data?.['execution'] as { readonly status?: string } | undefined)?.status === 'completed';
const wordsOf = (count: number, word = 'w'): string[] => Array.from({ length: count }, (_, index) => `${word}${index} `);

it('E2 tokens arrive as they are said, and a gateway that is killed in between costs nobody a word', async () => {
  const words = wordsOf(350);
  model.script({ text: words, chunkDelayMs: 20 });
  const run = await parkedTalk();
  const first = await follow(run.sessionId);
  await run.start();
  await first.next((frame) => frame.type === 'delta');
  await first.next((frame) => frame.type === 'delta', first.frames.length);
  await service.gateway.kill();
  await first.closed;
  const seen = new TextReader(first);
  expect(seen.faults).toEqual([]);
  await service.startGateway();
  const again = await follow(run.sessionId, { after: seen.lastSeq, texts: seen.known });
  const late = await follow(run.sessionId);
  await service.untilEnded(run.id);
  for (const client of [again, late]) await client.next(isOver);
  for (const frame of again.frames) seen.take(frame);
  const [turnId = ''] = seen.texts.keys();
  expect([seen.textOf(turnId), seen.faults]).toEqual([words.join(''), []]);
  const lateReader = new TextReader(late);
  expect([lateReader.textOf(turnId), lateReader.faults]).toEqual([words.join(''), []]);
  expect(again.frames.map((frame) => frame.type)).not.toContain('snapshot');
});

it('E3 a worker that is killed in the middle leaves a turn that is given up, and its repetition streams', async () => {
  model.script([
    { text: wordsOf(400, 'lost'), chunkDelayMs: 20 },
    { text: wordsOf(30, 'kept'), chunkDelayMs: 10 },
  ]);
  const run = await parkedTalk();
  const client = await follow(run.sessionId);
  await run.start();
  await client.next((frame) => frame.type === 'delta' && Number(frame.offset) > 100);
  await service.worker.kill();
  await service.startWorker();
  await service.untilEnded(run.id, 40_000);
  await client.next(isOver);
  const reader = new TextReader(client);
  expect(reader.faults).toEqual([]);
  const card = client.frames.find(({ event }) => event?.kind === 'step.completed' && event.stepId === 'talk')?.event;
  expect(card).toMatchObject({ executionId: run.id, sessionId: run.sessionId, iterationPath: '', attempt: 1 });
  expect(card?.data['step']).toMatchObject({ stepId: 'talk', name: 'Small talk', type: 'agent_prompt', status: 'completed' });
  const turns = [...reader.statuses];
  expect(turns.map(([, status]) => status)).toEqual(['canceled', 'end_turn']);
  expect(reader.textOf(turns[1]?.[0] ?? '')).toBe(wordsOf(30, 'kept').join(''));
  expect(reader.textOf(turns[0]?.[0] ?? '')).toMatch(/^lost0 lost1 /);
});

it('R10 a person sends, watches and stops over one socket', async () => {
  const { body } = await service.api.post<{ session: { id: string } }>('/api/sessions', { title: 'Talk' });
  const client = await follow(body.session.id);
  model.script({ text: wordsOf(2_000), chunkDelayMs: 20 });
  client.send({ type: 'send', id: 1, sessionId: body.session.id, content: 'Tell me everything', clientMessageId: 'one' });
  expect(await client.answer(1)).toMatchObject({ type: 'result', duplicate: false });
  const delta = await client.next((frame) => frame.type === 'delta');
  const stopping = Date.now();
  client.send({ type: 'stop', id: 2, sessionId: body.session.id, turnId: delta.turnId });
  expect(await client.answer(2)).toMatchObject({ type: 'result' });
  await model.aborted();
  expect(Date.now() - stopping).toBeLessThan(8_000);
  const finished = await client.next((frame) => frame.event?.kind === 'turn.finished');
  expect(finished.event?.data['turn']).toMatchObject({ id: delta.turnId, status: 'canceled' });
  await sleep(300);
  expect(new TextReader(client).faults).toEqual([]);
});
