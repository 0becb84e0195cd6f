import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { historyFromJSON } from '@temporalio/common/lib/proto-utils.js';
import { DefaultLogger, Runtime, Worker } from '@temporalio/worker';
import { type EmbeddedTemporal, startTemporal } from '../../src/embedded/temporal.js';
import { CHAT_SCENARIOS } from '../histories/chat-scenarios.js';
import { type ChatPlayed, playChats } from '../support/chat-stage.js';
import { bundlePath } from '../support/service-build.js';

jest.setTimeout(120_000);

const RECORDED = join(__dirname, '..', 'histories', 'conversation');

describe('the conversation workflow', () => {
  const folder = mkdtempSync(join(tmpdir(), 'sbx-chats-'));
  let played: ReadonlyMap<string, ChatPlayed>;
  let server: EmbeddedTemporal;

  beforeAll(async () => {
    Runtime.install({ logger: new DefaultLogger('ERROR') });
    const dynamicConfig = { 'limit.historyCount.suggestContinueAsNew': 40, 'history.workflowIdReuseMinimalInterval': '0s' };
    server = await startTemporal({ dir: folder, ui: false, dynamicConfig });
    played = await playChats({ address: server.address, bundle: bundlePath() }, CHAT_SCENARIOS);
  });
  afterAll(async () => {
    await server?.stop();
    rmSync(folder, { recursive: true, force: true });
  });

  /** Each from its first event, with nothing cached. */
  async function replay(histories: readonly (readonly [name: string, text: string])[]): Promise<readonly string[]> {
    const faults: string[] = [];
    const input = histories.map(([, text]) => ({ workflowId: 'ses_recorded', history: historyFromJSON(JSON.parse(text)) }));
    let index = 0;
    for await (const { error } of Worker.runReplayHistories({ workflowBundle: { codePath: bundlePath() }, replayName: 'chats' }, input)) {
      if (error !== undefined) faults.push(`${histories[index]?.[0]}: ${error.message}`);
      index += 1;
    }
    expect(index).toBe(histories.length);
    return faults;
  }

  it.each(CHAT_SCENARIOS.map(({ name, expected }) => [name, expected] as const))('A13 %s', (name, expected) => {
    expect(played.get(name)?.journal).toEqual(expected);
  });

  it('hands over between replies, several times', () => {
    expect(played.get('hand-over')?.histories.length).toBeGreaterThan(2);
  });

  it('replays what it has just done', async () => {
    expect(await replay([...played].flatMap(([name, { histories }]) => histories.map((text) => [name, text] as const)))).toEqual([]);
  });

  it('D2 replays what was recorded of it, every scenario', async () => {
    const files = readdirSync(RECORDED).filter((file) => file.endsWith('.json'));
    expect(CHAT_SCENARIOS.map(({ name }) => `${name}.json`).filter((file) => !files.includes(file))).toEqual([]);
    expect(files).toContain('hand-over.run2.json');
    expect(await replay(files.map((file) => [file, readFileSync(join(RECORDED, file), 'utf8')] as const))).toEqual([]);
  });
});
