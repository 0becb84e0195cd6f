/**
 * Records the histories of conversations into test/histories/conversation/, on a real development server:
 *
 *     node -r ./scripts/register.cjs test/histories/record-chats.ts
 *
 * Only for a new scenario: an old recording is the promise that conversations started then can go on.
 */
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { DefaultLogger, Runtime } from '@temporalio/worker';
import { startTemporal } from '../../src/embedded/temporal.js';
import { playChats } from '../support/chat-stage.js';
import { bundlePath } from '../support/service-build.js';
import { CHAT_SCENARIOS } from './chat-scenarios.js';

const wanted = process.argv.slice(2);

async function main(): Promise<void> {
  Runtime.install({ logger: new DefaultLogger('ERROR') });
  const folder = join(__dirname, 'conversation');
  mkdirSync(folder, { recursive: true });
  const dir = mkdtempSync(join(tmpdir(), 'sbx-record-chats-'));
  const dynamicConfig = { 'limit.historyCount.suggestContinueAsNew': 40, 'history.workflowIdReuseMinimalInterval': '0s' };
  const server = await startTemporal({ dir, ui: false, dynamicConfig });
  try {
    const chosen = CHAT_SCENARIOS.filter(({ name }) => wanted.length === 0 || wanted.includes(name));
    for (const [name, { histories }] of await playChats({ address: server.address, bundle: bundlePath() }, chosen)) {
      histories.forEach((text, index) => writeFileSync(join(folder, `${name}${index === 0 ? '' : `.run${index + 1}`}.json`), `${text}\n`));
      console.log(`${name}: ${histories.length} runs`);
    }
  } finally {
    await server.stop();
    rmSync(dir, { recursive: true, force: true });
  }
}

main().then(
  () => process.exit(0),
  (error: unknown) => {
    console.error(error);
    process.exit(1);
  },
);
