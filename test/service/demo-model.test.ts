import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { Service } from '../support/service.js';
import type { DefinitionJson } from '../support/service-shapes.js';
import { startStubServer, type StubServer } from '../support/stub-server.js';

jest.setTimeout(120_000);

const EXAMPLES = join(__dirname, '..', '..', 'examples');
const example = (name: string): DefinitionJson => JSON.parse(readFileSync(join(EXAMPLES, `${name}.json`), 'utf8')) as DefinitionJson;

describe('A14 without a key the demo model answers', () => {
  let stub: StubServer;
  let service: Service;
  beforeAll(async () => {
    [stub, service] = await Promise.all([startStubServer(), Service.start()]);
    stub.on('/ci', { body: { runs: 3 } });
    const persona: unknown = JSON.parse(readFileSync(join(EXAMPLES, 'personas', 'reviewer.json'), 'utf8'));
    expect([200, 201]).toContain((await service.api.put('/api/personas/reviewer', persona)).status);
  });
  afterAll(async () => {
    await service?.close();
    await stub?.close();
  });

  it.each([
    ['ci-digest', () => ({ ci: `${stub.url}/ci` }), 'completed'],
    ['pr-review', () => ({ repo: 'acme/site', pr: 7 }), 'completed'],
    ['assess-each', () => ({}), 'completed'],
    ['research', () => ({ topic: 'queues' }), 'completed'],
    ['ticket', () => ({ id: 't1', subject: 'No login' }), 'waiting_approval'],
    ['escalation', () => ({ title: 'No login' }), 'completed'],
    ['briefing', () => ({}), 'completed'],
    ['self-improving', () => ({}), 'completed'],
  ] as const)('runs the example %s', async (name, variables, status) => {
    const { id, sessionId } = await service.run(example(name), variables());
    const ended = status === 'completed' ? await service.untilEnded(id) : await service.untilStatus(id, status);
    expect(ended).toMatchObject({ status, error: null });
    const { body } = await service.api.get<{ items: { role: string; content: string; turn?: unknown }[] }>(
      `/api/sessions/${sessionId}/messages`,
    );
    const replies = body.items.filter(({ turn }) => turn != null);
    expect(replies.length).toBeGreaterThan(0);
    expect(replies.every(({ content }) => content.includes('[demo model]'))).toBe(true);
  });

  it('calls a tool that the prompt asks for, and says what came of it', async () => {
    stub.on('/page', { body: 'the words of the page' });
    const ended = await service.runToEnd([
      { id: 'fetch', type: 'agent_prompt', prompt: `Fetch ${stub.url}/page` },
      { id: 'tools', type: 'agent_prompt', prompt: 'Which tools are there?', thread: '@new' },
    ]);
    expect(ended).toMatchObject({
      status: 'completed',
      output: {
        fetch: expect.stringMatching(/demo model.*the words of the page/s) as string,
        tools: expect.stringContaining('http:request') as string,
      },
    });
    expect(stub.calls('/page')).toHaveLength(1);
  });
});
